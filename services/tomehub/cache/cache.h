/*
 * Answers kept for those who ask the same again: by owner, kind of question and all its parameters.
 * Never older than what is committed when the question comes (freshness.h); but while the database
 * is away, what was kept is given for some time and called degraded.
 */
#pragma once

#include "bulkhead/cache/cache.h"
#include "bulkhead/db/db.h"
#include "bulkhead/redis/redis.h"
#include "bulkhead/runtime/database_breakers.h"
#include "settings.h"

struct tome_cache; /* opaque; shared by all loops */

/* NULL in *ret_cache: switched off, which every call below takes. Beside a replica there is one all
 * the same: it keeps no answers, but sees to it that none is older than what is committed. Borrows
 * `db`, its `breakers` (NULL: none) and `redis`, through which servers share answers (NULL: they do
 * not). */
int tome_cache_create(const struct tome_settings *settings, struct bh_db *db,
                      const struct bh_database_breakers *breakers, struct bh_redis *redis,
                      struct tome_cache **ret_cache, struct bh_error *reterr) BH_MUST_CHECK;
/* No call may be running. NULL is fine. */
void tome_cache_destroy(struct tome_cache *cache);

/* For the ladder of memory, which makes it smaller and lets it grow; NULL: no answers are kept. */
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
    bool is_exact;       /* never degraded: it answers a change */
    bh_cache_load *load; /* makes the answer */
    void *argument;
};

/* For answers that are never kept: what is read from now on is not older than what is committed
 * now, whichever replica answers. Errors as bh_db_query. Fiber. */
int tome_cache_catch_up(struct tome_cache *cache, int64_t owner_id,
                        struct bh_error *reterr) BH_MUST_CHECK;

struct tome_origin {
    bool is_hit;      /* the answer was kept */
    bool is_degraded; /* and the database cannot be asked whether it still holds */
    uint64_t age_us;  /* of a degraded one: how long ago it was asked for and did hold */
};

/* The answer, kept or made, in *ret_value (a reference for the caller). A degraded one is given
 * instead of BH_EUNAVAILABLE, up to CACHE_DEGRADED_AGE, and only if nothing is known to have
 * changed since. What `load` returned, or as bh_cache_fetch and bh_db_query. Fiber. */
int tome_cache_ask(struct tome_cache *cache, const struct tome_question *question,
                   struct bh_cache_value **ret_value, struct tome_origin *ret_origin,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* After a change was committed and before it is answered: so that, should the database go, not even
 * a degraded answer of this server's is older than the change. Fiber. */
void tome_cache_note_change(struct tome_cache *cache, int64_t owner_id);
