/*
 * A URL is fetched by a fiber of its own, for whoever asks may leave: the keys are for all. Files
 * are read, and texts made into keys, on a worker thread.
 */
#include "runtime/jwks_source.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/worker.h"
#include "runtime/auth_fetch.h"
#include "runtime/auth_key.h"

#define FETCH_TIMEOUT_US (5 * BH_SECOND_US)
#define INTERVAL_US (5 * BH_SECOND_US) /* between readings for the sake of an unknown key */
#define FILE_INTERVAL_US (500 * BH_MS_US)
#define AGE_DEFAULT_S 600 /* where a URL does not say; files are looked at as often as a minute */
#define FILE_AGE_S 60
#define AGE_MIN_S 60
#define AGE_MAX_S 86400
#define RETRY_S 30

struct bh_jwks_source {
    const char *source;
    void (*changed)(void *argument);
    void *argument;
    struct bh_client *client; /* NULL: a file */
    struct bh_worker_pool *pool;
    struct bh_auth_refresh refresh;

    pthread_mutex_t mutex; /* guards what follows */
    struct bh_jwks *set;
    uint8_t hash[BH_AUTH_HASH_BYTES]; /* of the text it was made of */
    uint64_t due_us;
};

/* One reading of the source. */
struct reading {
    const struct bh_jwks_source *source;
    struct bh_buf text;
    struct bh_jwks *set;
    uint8_t hash[BH_AUTH_HASH_BYTES];
    int64_t age_s;
    struct bh_error error;

    /* Of the fiber that fetches. */
    struct bh_fiber *asker;
    int fetched;
    bool is_fetched;
};

static void fetch(void *const argument)
{
    struct reading *const reading = argument;
    reading->fetched = bh_auth_fetch_url(reading->source->client, reading->source->source,
                                         bh_time_now_us() + FETCH_TIMEOUT_US, &reading->text,
                                         &reading->age_s, &reading->error);
    reading->is_fetched = true;
    bh_fiber_wake(reading->asker);
}

static int fetch_text(struct reading *const reading)
{
    reading->asker = bh_fiber_current();
    const int result = bh_fiber_spawn(bh_loop_current(), fetch, reading);
    if (result != 0)
        return bh_error_set(&reading->error, result, "%s", bh_error_text(result));
    while (!reading->is_fetched)
        bh_fiber_park_uncancelable();
    return reading->fetched;
}

static int make_set(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct reading *const reading = argument;
    int result = reading->source->client != NULL
                     ? 0
                     : bh_auth_fetch_file(reading->source->source, &reading->text, &reading->error);
    if (result == 0)
        result = bh_jwks_parse(bh_buf_peek(&reading->text), &reading->set, &reading->error);
    return result == 0 ? bh_auth_hash(bh_buf_peek(&reading->text), reading->hash) : result;
}

static int read_set(struct reading *const reading)
{
    bh_buf_init(&reading->text, BH_JWKS_BYTES_MAX);
    int result = reading->source->client != NULL ? fetch_text(reading) : 0;
    if (result == 0)
        result = bh_worker_run_uncancelable(reading->source->pool, make_set, reading);
    bh_buf_fini(&reading->text);
    return result;
}

static void set_due(struct bh_jwks_source *const source, const int64_t seconds)
{
    pthread_mutex_lock(&source->mutex);
    source->due_us = bh_time_now_us() + (uint64_t)seconds * BH_SECOND_US;
    pthread_mutex_unlock(&source->mutex);
}

/* Takes the new set over; whether it differs from the one before. */
static bool take(struct bh_jwks_source *const source, const struct reading *const reading)
{
    pthread_mutex_lock(&source->mutex);
    struct bh_jwks *const before = source->set;
    const bool is_new = !before || memcmp(source->hash, reading->hash, sizeof(source->hash)) != 0;
    source->set = reading->set;
    memcpy(source->hash, reading->hash, sizeof(source->hash));
    pthread_mutex_unlock(&source->mutex);
    bh_jwks_unref(before);
    return is_new;
}

static int64_t age_of(const struct bh_jwks_source *const source,
                      const struct reading *const reading)
{
    if (source->client == NULL)
        return FILE_AGE_S;
    if (reading->age_s < 0)
        return AGE_DEFAULT_S;
    return reading->age_s < AGE_MIN_S   ? AGE_MIN_S
           : reading->age_s > AGE_MAX_S ? AGE_MAX_S
                                        : reading->age_s;
}

static int load(void *const argument, struct bh_error *const reterr)
{
    struct bh_jwks_source *const source = argument;
    struct reading reading = { .source = source, .age_s = -1 };
    const int result = read_set(&reading);
    if (result != 0) {
        set_due(source, RETRY_S);
        bh_jwks_unref(reading.set);
        return bh_error_set(reterr, result, "%s",
                            reading.error.code ? reading.error.message : bh_error_text(result));
    }
    set_due(source, age_of(source, &reading));
    if (take(source, &reading)) {
        struct bh_jwks *const set = bh_jwks_source_get(source);
        bh_log_info("auth", "%zu keys for tokens in use from %s", bh_jwks_count(set),
                    source->source);
        bh_jwks_unref(set);
        source->changed(source->argument);
    }
    return 0;
}

/* ---- Interface ---- */

int bh_jwks_source_create(const char *const source, void (*const changed)(void *argument),
                          void *const argument, struct bh_jwks_source **const ret_source,
                          struct bh_error *const reterr)
{
    const int result = bh_auth_fetch_check(source, reterr);
    if (result != 0)
        return result;
    const bool is_url = bh_auth_fetch_is_url(source);
    struct bh_client_options client;
    bh_client_options_default(&client);
    client.connections_maximum = 1;
    struct bh_jwks_source *const created = calloc(1, sizeof(*created));
    if (!created || (is_url && bh_client_create(&client, &created->client) != 0) ||
        bh_worker_pool_create("auth-keys", 1, 16, &created->pool) != 0) {
        bh_client_destroy(created ? created->client : NULL);
        free(created);
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the keys of tokens");
    }
    created->source = source;
    created->changed = changed;
    created->argument = argument;
    created->refresh.load = load;
    created->refresh.argument = created;
    created->refresh.interval_us = is_url ? INTERVAL_US : FILE_INTERVAL_US;
    pthread_mutex_init(&created->mutex, NULL);
    *ret_source = created;
    return 0;
}

void bh_jwks_source_destroy(struct bh_jwks_source *const source)
{
    if (!source)
        return;
    bh_worker_pool_destroy(source->pool);
    bh_client_destroy(source->client);
    bh_jwks_unref(source->set);
    pthread_mutex_destroy(&source->mutex);
    free(source);
}

struct bh_jwks *bh_jwks_source_get(struct bh_jwks_source *const source)
{
    pthread_mutex_lock(&source->mutex);
    struct bh_jwks *const set = source->set ? bh_jwks_ref(source->set) : NULL;
    pthread_mutex_unlock(&source->mutex);
    return set;
}

int bh_jwks_source_refresh(struct bh_jwks_source *const source, struct bh_error *const reterr)
{
    return bh_auth_refresh_run(&source->refresh, false, reterr);
}

uint64_t bh_jwks_source_due_us(struct bh_jwks_source *const source)
{
    pthread_mutex_lock(&source->mutex);
    const uint64_t due_us = source->due_us;
    pthread_mutex_unlock(&source->mutex);
    return due_us;
}
