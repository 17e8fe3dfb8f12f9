#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/changes.h"
#include "bulkhead/db/trace.h"
#include "cache/freshness.h"
#include "cache/second_level.h"

#define STALE_SHARE 10 /* past its time by a tenth of it, an answer bridges the next one's making */

/* By the kind of an answer: its main statement. */
static const struct {
    char kind;
    const char *sqlite, *postgres;
} statements[] = {
    { 'S', "search", "search_postings" },       { 'A', "search", "search_postings" },
    { 'B', "search_books", "search_postings" }, { 'c', "chunk_by_id", "chunk_by_id" },
    { 'b', "book_by_id", "book_by_id" },        { 'p', "page_chunks", "page_chunks" },
    { 'l', "books_count", "books_count" },
};

struct tome_cache {
    const struct tome_settings *settings;
    struct bh_trace_saved saved[BH_COUNT_OF(statements)];
    struct bh_cache *values;
    struct tome_freshness *freshness;
    struct bh_redis *redis; /* NULL: none */
    struct bh_db *db;
    bool has_replica;
};

/* ---- Life ---- */

int tome_cache_create(const struct tome_settings *const settings, struct bh_db *const db,
                      struct bh_redis *const redis, struct tome_cache **const ret_cache,
                      struct bh_error *const reterr)
{
    *ret_cache = NULL;
    if (!settings->cache_enabled)
        return 0;
    const struct bh_cache_options options = { .name = "answers",
                                              .maximum_bytes = (size_t)settings->cache_max_mb
                                                               << 20 };
    struct tome_cache *const cache = calloc(1, sizeof(*cache));
    int result = cache != NULL ? bh_cache_create(&options, &cache->values) : BH_ENOMEM;
    if (result == 0)
        result = tome_freshness_create(db, cache->values, &cache->freshness);
    if (result != 0) {
        tome_cache_destroy(cache);
        return bh_error_set(reterr, result, "no memory for a cache of %lld MB: lower CACHE_MAX_MB",
                            (long long)settings->cache_max_mb);
    }
    cache->settings = settings;
    cache->redis = redis;
    cache->db = db;
    cache->has_replica = settings->database_read_url[0] != '\0';
    const bool is_sqlite = strcmp(bh_db_backend(db), "sqlite") == 0;
    for (size_t i = 0; i < BH_COUNT_OF(statements); i++)
        cache->saved[i].name = is_sqlite ? statements[i].sqlite : statements[i].postgres;
    *ret_cache = cache;
    return 0;
}

void tome_cache_destroy(struct tome_cache *const cache)
{
    if (cache == NULL)
        return;
    tome_freshness_destroy(cache->freshness);
    bh_cache_destroy(cache->values);
    free(cache);
}

struct bh_cache *tome_cache_peek(struct tome_cache *const cache)
{
    return cache != NULL ? cache->values : NULL;
}

/* ---- Keys ---- */

static void append(struct tome_key *const key, const void *const data, const size_t size)
{
    if (size == 0) /* data may be NULL, which memcpy must not get */
        return;
    if (key->size <= sizeof(key->data) && size <= sizeof(key->data) - key->size)
        memcpy(key->data + key->size, data, size);
    else
        key->size = sizeof(key->data);
    key->size += size;
}

void tome_key_begin(struct tome_key *const key, const char kind, const int64_t owner_id)
{
    key->size = 0;
    append(key, &kind, 1);
    tome_key_int(key, owner_id);
}

void tome_key_int(struct tome_key *const key, const int64_t value)
{
    append(key, &value, sizeof(value));
}

void tome_key_text(struct tome_key *const key, const struct bh_str text)
{
    tome_key_int(key, (int64_t)text.size);
    append(key, text.data, text.size);
}

static bool is_too_long(const struct tome_key *const key)
{
    return key->size > sizeof(key->data);
}

/* ---- Asking ---- */

static uint64_t time_to_live_us(const struct tome_settings *const settings,
                                const enum tome_cache_class class)
{
    switch (class) {
    case TOME_CACHE_SEARCH:
        return settings->cache_ttl_search_us;
    case TOME_CACHE_CONTENT:
        return settings->cache_ttl_content_us;
    case TOME_CACHE_CONCEPTS:
        return settings->cache_ttl_concepts_us;
    case TOME_CACHE_DEFAULT:
        break;
    }
    return settings->cache_ttl_default_us;
}

/* A load that asks the other servers' answers first. */
struct shared_load {
    struct tome_cache *cache;
    const struct tome_question *question;
    struct tome_library_state state; /* the answer is of this one or a later one */
    bool was_kept;
};

static int load_shared(void *const argument, struct bh_cache_value **const ret_value,
                       struct bh_error *const reterr)
{
    struct shared_load *const load = argument;
    const struct tome_question *const question = load->question;
    struct bh_redis *const redis = load->cache->redis;
    const struct bh_str key = { question->key->data, question->key->size };
    load->was_kept = tome_second_level_get(redis, &load->state, key, ret_value);
    if (load->was_kept)
        return 0;
    const int result = question->load(question->argument, ret_value, reterr);
    if (result == 0)
        tome_second_level_put(redis, &load->state, key, *ret_value,
                              time_to_live_us(load->cache->settings, question->class));
    return result;
}

/* For the statistics of statements. */
static void count_hit(struct tome_cache *const cache, const struct tome_key *const key)
{
    for (size_t i = 0; i < BH_COUNT_OF(statements); i++)
        if (statements[i].kind == key->data[0])
            bh_trace_saved(&cache->saved[i]);
}

static int fetch(struct tome_cache *const cache, const struct tome_question *const question,
                 const struct tome_library_state *const state,
                 struct bh_cache_value **const ret_value, bool *const ret_is_hit,
                 struct bh_error *const reterr)
{
    const uint64_t ttl_us = time_to_live_us(cache->settings, question->class);
    const uint64_t tags[] = { tome_tag_owner(question->owner_id),
                              question->book_id != 0
                                  ? tome_tag_book(question->owner_id, question->book_id)
                                  : tome_tag_lists(question->owner_id) };
    struct shared_load load = { .cache = cache, .question = question, .state = *state };
    /* A content is one row: as quick to read as to ask for. */
    const bool is_shared = cache->redis != NULL && question->class != TOME_CACHE_CONTENT;
    const struct bh_cache_fetch what = {
        .key = { question->key->data, question->key->size },
        .tags = tags,
        .tag_count = BH_COUNT_OF(tags),
        .lifetime = { .ttl_us = ttl_us, .stale_us = ttl_us / STALE_SHARE },
        .load = is_shared ? load_shared : question->load,
        .argument = is_shared ? &load : question->argument,
    };
    enum bh_cache_outcome outcome = BH_CACHE_LOADED;
    const int result = bh_cache_fetch(cache->values, &what, bh_time_now_us(), ret_value, &outcome,
                                      reterr);
    if (result != 0)
        return result;
    *ret_is_hit = outcome != BH_CACHE_LOADED || load.was_kept;
    if (*ret_is_hit)
        count_hit(cache, question->key);
    return 0;
}

/* As tome_freshness_check; of owners that are not known there nothing is read that is older. */
static int check(struct tome_cache *const cache, const int64_t owner_id,
                 struct tome_library_state *const ret_state, struct bh_error *const reterr)
{
    const int result = tome_freshness_check(cache->freshness, owner_id, ret_state, reterr);
    if (result == BH_ELIMIT)
        bh_db_note_seen(cache->db);
    return result;
}

int tome_cache_catch_up(struct tome_cache *const cache, const int64_t owner_id,
                        struct bh_error *const reterr)
{
    if (cache == NULL || !cache->has_replica)
        return 0;
    struct tome_library_state state;
    const int result = check(cache, owner_id, &state, reterr);
    return result == BH_ELIMIT || result == BH_ENOTFOUND ? 0 : result;
}

int tome_cache_ask(struct tome_cache *const cache, const struct tome_question *const question,
                   struct bh_cache_value **const ret_value, bool *const ret_is_hit,
                   struct bh_error *const reterr)
{
    struct tome_library_state state;
    const bool is_kept = cache != NULL && !is_too_long(question->key);
    const int result = is_kept ? check(cache, question->owner_id, &state, reterr)
                               : tome_cache_catch_up(cache, question->owner_id, reterr);
    if (result == 0 && is_kept)
        return fetch(cache, question, &state, ret_value, ret_is_hit, reterr);
    if (result != 0 && result != BH_ELIMIT && result != BH_ENOTFOUND)
        return result;
    *ret_is_hit = false;
    return question->load(question->argument, ret_value, reterr);
}
