/*
 * Loading: concurrent misses of one key make one flight, which one fiber flies.
 *
 * A flight is in its shard's table while it may be joined: until its value is there, or until an
 * invalidation makes what it will bring too old for those who come later. Its waiters stay with it
 * either way. When the load fails, the first of the waiters takes over; when nobody waits, the
 * flight ends. Flights and waiters are guarded by the shard's mutex. A waiter stands on its fiber's
 * stack, so a fiber that was told something stays until the posted task has come.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "cache/shard.h"

struct flight {
    struct bh_list node; /* in the shard's table, or unlinked */
    uint64_t hash;
    struct bh_cache_ticket ticket;
    struct bh_list waiters;
    size_t key_size;
    char key[];
};

struct waiter {
    struct bh_list node;
    struct bh_task task;
    struct bh_loop *loop;
    struct bh_fiber *fiber;
    struct bh_cache_value *value; /* the result; NULL when told: load it yourself */
    bool is_told;                 /* guarded by the shard's mutex */
    bool is_woken;                /* of the loop's thread */
};

/* One call of bh_cache_fetch. */
struct call {
    struct bh_cache *cache;
    const struct bh_cache_fetch *fetch;
    struct bh_cache_shard *shard;
    uint64_t hash, now_us;
    struct flight *flight;
};

static struct bh_list *list_of(const struct call *const call)
{
    return &call->shard->flights[call->hash & (BH_CACHE_FLIGHT_LISTS - 1)];
}

/* ---- Under the shard's mutex ---- */

/* The flight of the key that may still be joined, or NULL; one that may not leaves the table. */
static struct flight *find_flight(const struct call *const call)
{
    const struct bh_str key = call->fetch->key;
    BH_LIST_FOREACH(node, list_of(call)) {
        struct flight *const flight = BH_LIST_ENTRY(node, struct flight, node);
        if (flight->hash != call->hash || flight->key_size != key.size ||
            memcmp(flight->key, key.data, key.size) != 0)
            continue;
        if (bh_cache_tags_hold(&call->cache->tags, &flight->ticket))
            return flight;
        bh_list_unlink(&flight->node);
    }
    return NULL;
}

static struct flight *make_flight(const struct call *const call)
{
    const struct bh_cache_fetch *const fetch = call->fetch;
    struct flight *const flight = malloc(sizeof(*flight) + fetch->key.size);
    if (flight == NULL)
        return NULL;
    flight->hash = call->hash;
    flight->ticket = bh_cache_begin(call->cache, fetch->tags, fetch->tag_count);
    flight->key_size = fetch->key.size;
    memcpy(flight->key, fetch->key.data, fetch->key.size);
    bh_list_init(&flight->waiters);
    bh_list_append(list_of(call), &flight->node);
    return flight;
}

/* `value`: NULL tells the waiter to load. */
static void tell(struct waiter *const waiter, struct bh_cache_value *const value)
{
    waiter->value = value != NULL ? bh_cache_value_ref(value) : NULL;
    waiter->is_told = true;
    bh_loop_post(waiter->loop, &waiter->task);
}

/* The load failed, or its fiber has left: the next one in line loads. Returns the flight if nobody
 * is in line, to be freed. */
static struct flight *hand_over(struct flight *const flight)
{
    struct bh_list *const node = bh_list_pop(&flight->waiters);
    if (node != NULL) {
        tell(BH_LIST_ENTRY(node, struct waiter, node), NULL);
        return NULL;
    }
    bh_list_unlink(&flight->node);
    return flight;
}

/* ---- Loading ---- */

static void land(const struct call *const call, struct bh_cache_value *const value)
{
    struct flight *const flight = call->flight;
    struct bh_list evicted;
    bh_list_init(&evicted);
    pthread_mutex_lock(&call->shard->mutex);
    (void)bh_cache_shard_put(call->cache, call->shard, call->hash, call->fetch->key,
                             &flight->ticket, call->fetch->lifetime, value, call->now_us, &evicted);
    bh_list_unlink(&flight->node);
    for (struct bh_list *node; (node = bh_list_pop(&flight->waiters)) != NULL;)
        tell(BH_LIST_ENTRY(node, struct waiter, node), value);
    call->shard->statistics.loads++;
    pthread_mutex_unlock(&call->shard->mutex);
    bh_cache_free_entries(&evicted);
    free(flight);
    bh_metrics_add(call->cache->metrics.loaded, 1);
}

/* The calling fiber flies call->flight. */
static int fly(const struct call *const call, struct bh_cache_value **const ret_value,
               struct bh_error *const reterr)
{
    struct bh_cache_value *value = NULL;
    const int result = call->fetch->load(call->fetch->argument, &value, reterr);
    if (result == 0) {
        land(call, value);
        *ret_value = value;
        return 0;
    }
    pthread_mutex_lock(&call->shard->mutex);
    call->shard->statistics.load_failures++;
    struct flight *const ended = hand_over(call->flight);
    pthread_mutex_unlock(&call->shard->mutex);
    free(ended);
    bh_metrics_add(call->cache->metrics.failed, 1);
    return result;
}

/* ---- Waiting ---- */

static void wake(struct bh_task *const task)
{
    struct waiter *const waiter = BH_CONTAINER_OF(task, struct waiter, task);
    waiter->is_woken = true;
    bh_fiber_wake(waiter->fiber);
}

/* The wait has ended otherwise. What the waiter was told meanwhile is passed on. */
static void withdraw(const struct call *const call, struct waiter *const waiter)
{
    struct flight *ended = NULL;
    pthread_mutex_lock(&call->shard->mutex);
    const bool is_told = waiter->is_told;
    if (!is_told)
        bh_list_unlink(&waiter->node);
    else if (waiter->value == NULL)
        ended = hand_over(call->flight);
    pthread_mutex_unlock(&call->shard->mutex);
    free(ended);
    while (is_told && !waiter->is_woken)
        bh_fiber_park_uncancelable();
    bh_cache_value_unref(waiter->value);
}

/* Waits in call->flight, where `waiter` stands in line. */
static int wait_for(const struct call *const call, struct waiter *const waiter,
                    struct bh_cache_value **const ret_value,
                    enum bh_cache_outcome *const ret_outcome, struct bh_error *const reterr)
{
    while (!waiter->is_woken) {
        const int result = bh_fiber_park();
        if (result == 0 || waiter->is_woken)
            continue;
        withdraw(call, waiter);
        return bh_error_set(reterr, result, "while another request loads the same: %s",
                            bh_error_text(result));
    }
    if (waiter->value == NULL) {
        /* Whoever is still in line came before now: an invalidation since then is no matter. */
        pthread_mutex_lock(&call->shard->mutex);
        call->flight->ticket = bh_cache_begin(call->cache, call->fetch->tags,
                                              call->fetch->tag_count);
        pthread_mutex_unlock(&call->shard->mutex);
        *ret_outcome = BH_CACHE_LOADED;
        return fly(call, ret_value, reterr);
    }
    *ret_value = waiter->value;
    *ret_outcome = BH_CACHE_SHARED;
    return 0;
}

/* ---- The call ---- */

static void count(const struct call *const call, const enum bh_cache_found found)
{
    struct bh_cache_statistics *const statistics = &call->shard->statistics;
    const struct bh_cache_metrics *const metrics = &call->cache->metrics;
    switch (found) {
    case BH_CACHE_FOUND_FRESH:
        statistics->hits++;
        bh_metrics_add(metrics->hits, 1);
        break;
    case BH_CACHE_FOUND_STALE:
        statistics->stale++;
        bh_metrics_add(metrics->stale, 1);
        break;
    case BH_CACHE_FOUND_NONE:
        statistics->misses++;
        bh_metrics_add(metrics->misses, 1);
        break;
    }
}

int bh_cache_fetch(struct bh_cache *const cache, const struct bh_cache_fetch *const fetch,
                   const uint64_t now_us, struct bh_cache_value **const ret_value,
                   enum bh_cache_outcome *const ret_outcome, struct bh_error *const reterr)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    struct call call = {
        .cache = cache, .fetch = fetch, .hash = bh_cache_hash(cache, fetch->key), .now_us = now_us
    };
    call.shard = bh_cache_shard_of(cache, call.hash);
    struct bh_cache_value *found_value = NULL;
    struct waiter waiter = { .task = { .run = wake },
                             .loop = bh_loop_current(),
                             .fiber = bh_fiber_current() };
    bh_list_init(&waiter.node);

    pthread_mutex_lock(&call.shard->mutex);
    const enum bh_cache_found found = bh_cache_shard_find(cache, call.shard, call.hash, fetch->key,
                                                          now_us, &found_value);
    call.flight = found == BH_CACHE_FOUND_FRESH ? NULL : find_flight(&call);
    const bool is_loading = call.flight != NULL;
    if (fetch->only_new && (found != BH_CACHE_FOUND_NONE || is_loading)) {
        pthread_mutex_unlock(&call.shard->mutex);
        bh_cache_value_unref(found_value);
        return BH_EEXISTS;
    }
    const bool is_served = found == BH_CACHE_FOUND_FRESH ||
                           (found == BH_CACHE_FOUND_STALE && is_loading);
    if (!is_served && is_loading) {
        bh_list_append(&call.flight->waiters, &waiter.node);
        call.shard->statistics.shared++;
    } else if (!is_served) {
        call.flight = make_flight(&call);
    }
    count(&call, is_served ? found : BH_CACHE_FOUND_NONE);
    pthread_mutex_unlock(&call.shard->mutex);

    if (is_served) {
        *ret_value = found_value;
        *ret_outcome = found == BH_CACHE_FOUND_FRESH ? BH_CACHE_HIT : BH_CACHE_STALE;
        return 0;
    }
    bh_cache_value_unref(found_value);
    if (call.flight == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a load");
    if (is_loading) {
        bh_metrics_add(cache->metrics.shared, 1);
        return wait_for(&call, &waiter, ret_value, ret_outcome, reterr);
    }
    *ret_outcome = BH_CACHE_LOADED;
    return fly(&call, ret_value, reterr);
}
