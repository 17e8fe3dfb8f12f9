/*
 * Answers kept for those who ask the same again: by owner, kind of question and all its parameters.
 * Never older than what is committed when the question comes (freshness.h).
 */
#pragma once

#include "bulkhead/cache/cache.h"
#include "bulkhead/db/db.h"
#include "bulkhead/redis/redis.h"
#include "settings.h"

struct tome_cache; /* opaque; shared by all loops */

/* NULL in *ret_cache: switched off, which every call below takes. Borrows `db` and `redis`, through
 * which servers share answers (NULL: they do not). */
int tome_cache_create(const struct tome_settings *settings, struct bh_db *db,
                      struct bh_redis *redis, struct tome_cache **ret_cache,
                      struct bh_error *reterr) BH_MUST_CHECK;
/* No call may be running. NULL is fine. */
void tome_cache_destroy(struct tome_cache *cache);

/* For the ladder of memory, which makes it smaller and lets it grow; NULL: there is none. */
struct bh_cache *tome_cache_peek(struct tome_cache *cache);

/* ---- Keys ---- */

/* What was asked, unambiguously. On the stack; past its size it only notes that. */
struct tome_key {
    size_t size; /* private; more than fits: too long to be kept */
    char data[BH_CACHE_KEY_MAX];
};

/* `kind`: a letter of its own for each kind of answer. */
void tome_key_begin(struct tome_key *key, char kind, int64_t owner_id);
void tome_key_int(struct tome_key *key, int64_t value);
void tome_key_text(struct tome_key *key, struct bh_str text);

/* ---- Asking ---- */

/* How long an answer is kept when nothing changes: CACHE_TTL_…. */
enum tome_cache_class {
    TOME_CACHE_DEFAULT, /* lists, counts */
    TOME_CACHE_SEARCH,
    TOME_CACHE_CONTENT,
    TOME_CACHE_CONCEPTS
};

struct tome_question {
    const struct tome_key *key;
    int64_t owner_id;
    int64_t book_id; /* the only book the answer depends on; 0: all of the owner's */
    enum tome_cache_class class;
    bh_cache_load *load; /* makes the answer */
    void *argument;
};

/* For answers that are never kept: what is read from now on is not older than what is committed
 * now, whichever replica answers. Errors as bh_db_query. Fiber. */
int tome_cache_catch_up(struct tome_cache *cache, int64_t owner_id,
                        struct bh_error *reterr) BH_MUST_CHECK;

/* The answer, kept or made, in *ret_value (a reference for the caller). *ret_is_hit: it was kept.
 * What `load` returned, or as bh_cache_fetch and bh_db_query. Fiber. */
int tome_cache_ask(struct tome_cache *cache, const struct tome_question *question,
                   struct bh_cache_value **ret_value, bool *ret_is_hit,
                   struct bh_error *reterr) BH_MUST_CHECK;
