#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/changes.h"
#include "bulkhead/db/trace.h"
#include "bulkhead/loop/fiber.h"
#include "cache/freshness.h"
#include "cache/second_level.h"

#define BH_METRICS_FILE "cache/degraded_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define PATIENCE_US (5 * BH_SECOND_US) /* with a database that tells nothing, for one number */
#define STALE_SHARE 10 /* past its time by a tenth of it, an answer bridges the next one's making */

/* By the kind of an answer: its main statement. */
static const struct {
    char kind;
    const char *sqlite, *postgres;
} statements[] = {
    { 'S', "search", "search_postings" },       { 'A', "search", "search_postings" },
    { 'B', "search_books", "search_postings" }, { 'c', "chunk_by_id", "chunk_by_id" },
    { 'b', "book_by_id", "book_by_id" },        { 'p', "page", "page" },
    { 'l', "books_count", "books_count" },
};

struct tome_cache {
    const struct tome_settings *settings;
    struct bh_trace_saved saved[BH_COUNT_OF(statements)];
    struct bh_cache *values;
    struct tome_freshness *freshness;
    struct bh_db *db;
    const struct bh_database_breakers *breakers; /* NULL: none */
    struct bh_redis *redis;                      /* NULL: none */
    bool keeps; /* else it only knows what no replica may be asked for yet */
    bool has_replica;
    bool may_hang; /* the database: it is on another machine */
    bh_metric degraded;
};

/* ---- Life ---- */

int tome_cache_create(const struct tome_settings *const settings, struct bh_db *const db,
                      const struct bh_database_breakers *const breakers,
                      struct bh_redis *const redis, struct tome_cache **const ret_cache,
                      struct bh_error *const reterr)
{
    const bool has_replica = settings->database_read_url[0] != '\0';
    *ret_cache = NULL;
    if (!settings->cache_enabled && !has_replica)
        return 0;
    const struct bh_cache_options options = {
        .name = "answers",
        .maximum_bytes = settings->cache_enabled ? (size_t)settings->cache_max_mb << 20 : 0
    };
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
    cache->breakers = breakers;
    cache->redis = redis;
    cache->db = db;
    cache->keeps = settings->cache_enabled;
    cache->has_replica = has_replica;
    bh_metrics_register(metric_families, METRIC_COUNT);
    cache->degraded = bh_metrics_child(&metric_families[METRIC_answers], NULL, 0);
    const bool is_sqlite = strcmp(bh_db_backend(db), "sqlite") == 0;
    cache->may_hang = !is_sqlite;
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
    return cache != NULL && cache->keeps ? cache->values : NULL;
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

struct load {
    struct tome_cache *cache;
    const struct tome_question *question;
    bool was_kept;
};

static int load_alone(void *const argument, struct bh_cache_value **const ret_value,
                      struct bh_error *const reterr)
{
    const struct load *const load = argument;
    if (!load->cache->may_hang) /* it is asked with a look into memory, whatever loads take */
        return load->question->load(load->question->argument, ret_value, reterr);
    const uint64_t begun_us = bh_time_now_us();
    const int result = load->question->load(load->question->argument, ret_value, reterr);
    if (result == 0)
        tome_freshness_note_load(load->cache->freshness, bh_time_now_us() - begun_us);
    return result;
}

/* Asks the other servers' answers first. They are named by the state that is known by now, when the
 * load's tags are noted: by an earlier one, an answer older than the tags would be kept. */
static int load_shared(void *const argument, struct bh_cache_value **const ret_value,
                       struct bh_error *const reterr)
{
    struct load *const load = argument;
    const struct tome_question *const question = load->question;
    struct bh_redis *const redis = load->cache->redis;
    const struct bh_str key = { question->key->data, question->key->size };
    struct tome_library_state state;
    if (!tome_freshness_known(load->cache->freshness, question->owner_id, &state))
        return load_alone(load, ret_value, reterr);
    load->was_kept = tome_second_level_get(redis, &state, key, ret_value);
    if (load->was_kept)
        return 0;
    const int result = load_alone(load, ret_value, reterr);
    if (result == 0)
        tome_second_level_put(redis, &state, key, *ret_value,
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

/* A content is one row: as quick to read as to ask for. */
static bool is_shared(const struct tome_cache *const cache,
                      const struct tome_question *const question)
{
    return cache->redis != NULL && question->class != TOME_CACHE_CONTENT;
}

/* `only_new`: only what is read from now on will do, else BH_EEXISTS. */
static int fetch(struct tome_cache *const cache, const struct tome_question *const question,
                 const bool only_new, struct bh_cache_value **const ret_value,
                 struct tome_origin *const ret_origin, struct bh_error *const reterr)
{
    const uint64_t ttl_us = time_to_live_us(cache->settings, question->class);
    const uint64_t tags[] = { tome_tag_owner(question->owner_id),
                              question->book_id != 0
                                  ? tome_tag_book(question->owner_id, question->book_id)
                                  : tome_tag_lists(question->owner_id) };
    struct load load = { .cache = cache, .question = question };
    const struct bh_cache_fetch what = {
        .key = { question->key->data, question->key->size },
        .tags = tags,
        .tag_count = BH_COUNT_OF(tags),
        .lifetime = { .ttl_us = ttl_us, .stale_us = ttl_us / STALE_SHARE },
        .load = is_shared(cache, question) ? load_shared : load_alone,
        .argument = &load,
        .only_new = only_new,
    };
    enum bh_cache_outcome outcome = BH_CACHE_LOADED;
    const int result = bh_cache_fetch(cache->values, &what, bh_loop_now_us(bh_loop_current()),
                                      ret_value, &outcome, reterr);
    if (result != 0)
        return result;
    *ret_origin = (struct tome_origin){ .is_hit = outcome != BH_CACHE_LOADED || load.was_kept };
    if (ret_origin->is_hit)
        count_hit(cache, question->key);
    return 0;
}

/* As tome_freshness_check; of owners that are not known there nothing is read that is older. */
static int check(struct tome_cache *const cache, const int64_t owner_id,
                 struct bh_error *const reterr)
{
    const int result = tome_freshness_check(cache->freshness, owner_id, reterr);
    if (result == BH_ELIMIT)
        bh_db_note_seen(cache->db);
    return result;
}

int tome_cache_catch_up(struct tome_cache *const cache, const int64_t owner_id,
                        struct bh_error *const reterr)
{
    if (cache == NULL || !cache->has_replica)
        return 0;
    const int result = check(cache, owner_id, reterr);
    return result == BH_ELIMIT || result == BH_ENOTFOUND ? 0 : result;
}

/* An answer of before, for when the database is away, or NULL. One that is known not to hold any
 * more is none. */
static struct bh_cache_value *find_old(struct tome_cache *const cache,
                                       const struct tome_question *const question,
                                       uint64_t *const ret_age_us)
{
    const uint64_t age_maximum_us = cache->settings->cache_degraded_age_us;
    const struct bh_str key = { question->key->data, question->key->size };
    return question->is_exact || age_maximum_us == 0
               ? NULL
               : bh_cache_get_old(cache->values, key, age_maximum_us, bh_time_now_us(), ret_age_us);
}

static bool give_old(struct tome_cache *const cache, const struct tome_question *const question,
                     struct bh_cache_value **const ret_value, struct tome_origin *const ret_origin)
{
    uint64_t age_us = 0;
    struct bh_cache_value *const value = find_old(cache, question, &age_us);
    if (value == NULL)
        return false;
    bh_metrics_add(cache->degraded, 1);
    *ret_value = value;
    *ret_origin = (struct tome_origin){ .is_hit = true, .is_degraded = true, .age_us = age_us };
    return true;
}

/* Who has an answer of before need not wait for as long as the request may take. */
static int check_freshness(struct tome_cache *const cache,
                           const struct tome_question *const question,
                           struct bh_error *const reterr)
{
    uint64_t age_us = 0;
    struct bh_cache_value *const old = cache->may_hang ? find_old(cache, question, &age_us) : NULL;
    if (old == NULL)
        return check(cache, question->owner_id, reterr);
    const uint64_t deadline_us = bh_fiber_deadline();
    const uint64_t patient_us = bh_time_now_us() + PATIENCE_US;
    const bool is_shortened = patient_us < deadline_us;
    bh_cache_value_unref(old);
    if (is_shortened)
        bh_fiber_set_deadline(patient_us);
    const int result = check(cache, question->owner_id, reterr);
    if (is_shortened)
        bh_fiber_set_deadline(deadline_us);
    return result == BH_ETIMEDOUT && is_shortened
               ? bh_error_set(reterr, BH_EUNAVAILABLE, "the database does not answer")
               : result;
}

/* Whether an answer that is made now needs no check: nothing can be newer than what is read from
 * the primary after the question came. (What is kept of it holds as long as its tags, as any.)
 * Else, or where the check costs nothing, it comes first. */
static bool may_load_first(struct tome_cache *const cache,
                           const struct tome_question *const question)
{
    if (!cache->may_hang || cache->has_replica || is_shared(cache, question))
        return false;
    const struct bh_str key = { question->key->data, question->key->size };
    struct tome_library_state state; /* the first check voids everything */
    uint64_t age_us = 0;
    struct bh_cache_value *const kept = bh_cache_get_old(cache->values, key, UINT64_MAX,
                                                         bh_time_now_us(), &age_us);
    bh_cache_value_unref(kept);
    return kept == NULL && tome_freshness_known(cache->freshness, question->owner_id, &state);
}

/* *ret_is_kept: false where answers of this owner are not. */
static int ask_kept(struct tome_cache *const cache, const struct tome_question *const question,
                    struct bh_cache_value **const ret_value, struct tome_origin *const ret_origin,
                    bool *const ret_is_kept, struct bh_error *const reterr)
{
    struct bh_error error;
    *ret_is_kept = true;
    /* Asking a database that is down means waiting for it. */
    if (bh_database_breakers_is_down(cache->breakers, BH_DB_READ) &&
        give_old(cache, question, ret_value, ret_origin))
        return 0;
    int result = BH_EEXISTS;
    if (may_load_first(cache, question))
        result = fetch(cache, question, true, ret_value, ret_origin, &error);
    if (result == BH_EEXISTS) {
        result = check_freshness(cache, question, &error);
        *ret_is_kept = result != BH_ELIMIT && result != BH_ENOTFOUND;
        if (result == 0)
            result = fetch(cache, question, false, ret_value, ret_origin, &error);
    }
    if (result == BH_EUNAVAILABLE && give_old(cache, question, ret_value, ret_origin))
        return 0;
    if (result != 0 && *ret_is_kept && reterr != NULL)
        *reterr = error;
    return result;
}

int tome_cache_ask(struct tome_cache *const cache, const struct tome_question *const question,
                   struct bh_cache_value **const ret_value, struct tome_origin *const ret_origin,
                   struct bh_error *const reterr)
{
    bool is_kept = cache != NULL && cache->keeps && !is_too_long(question->key);
    const int result = is_kept ? ask_kept(cache, question, ret_value, ret_origin, &is_kept, reterr)
                               : tome_cache_catch_up(cache, question->owner_id, reterr);
    if (is_kept || (result != 0 && result != BH_ELIMIT && result != BH_ENOTFOUND))
        return result;
    *ret_origin = (struct tome_origin){ .is_hit = false };
    return question->load(question->argument, ret_value, reterr);
}

void tome_cache_note_change(struct tome_cache *const cache, const int64_t owner_id)
{
    if (cache != NULL && check(cache, owner_id, NULL) != 0)
        bh_cache_invalidate(cache->values, tome_tag_owner(owner_id));
}
