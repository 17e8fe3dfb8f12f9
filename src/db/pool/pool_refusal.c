/*
 * What those hear who get no connection: who has them, or what is wrong with the host.
 */
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/log.h"
#include "db/pool/pool_steps.h"

#define HOLDERS_TOLD 3
#define LOG_EVERY_US BH_SECOND_US

static double seconds(const uint64_t from_us, const uint64_t to_us)
{
    return to_us > from_us ? (double)(to_us - from_us) / 1e6 : 0;
}

/* ---- Who has the connections ---- */

static struct bh_pool_held held_by(struct bh_list *const node)
{
    const struct bh_pool_connection *const connection = bh_pool_connection_at(node);
    const struct bh_pool_lease *const lease = bh_pool_lease_at(connection->leases.next);
    const struct bh_str route = bh_pool_holder(lease);
    struct bh_pool_held held = { .since_us = lease->granted_us };
    const size_t room = sizeof(held.route) - 1;
    memcpy(held.route, route.data, route.size < room ? route.size : room);
    return held;
}

/* Into its place among the longest, if it is one of them. */
static void insert(struct bh_pool_held held[HOLDERS_TOLD], const struct bh_pool_held *const one)
{
    unsigned at = HOLDERS_TOLD;
    while (at > 0 && (held[at - 1].since_us == 0 || held[at - 1].since_us > one->since_us))
        at--;
    if (one->since_us == 0 || at == HOLDERS_TOLD)
        return;
    memmove(&held[at + 1], &held[at], (HOLDERS_TOLD - 1 - at) * sizeof(*held));
    held[at] = *one;
}

static void find_longest(const struct bh_pool_shard *const shard, const unsigned count,
                         struct bh_pool_held held[HOLDERS_TOLD])
{
    static const enum bh_pool_state states[] = { BH_POOL_BUSY, BH_POOL_SHARED };
    for (unsigned i = 0; i < BH_COUNT_OF(states); i++) {
        unsigned seen = 0;
        BH_LIST_FOREACH(node, &shard->states[states[i]]) {
            if (seen++ == count)
                break;
            const struct bh_pool_held one = held_by(node);
            insert(held, &one);
        }
    }
}

void bh_pool_tell_longest(struct bh_pool_shard *const shard)
{
    struct bh_pool_held held[HOLDERS_TOLD] = { 0 };
    find_longest(shard, 1, held);
    pthread_mutex_lock(&shard->pool->shared.mutex);
    shard->longest = held[0];
    pthread_mutex_unlock(&shard->pool->shared.mutex);
}

/* What the other shards have, and the longest of each. False: a refusal was logged a moment ago. */
static bool look_at_others(const struct bh_pool_shard *const shard,
                           struct bh_pool_held held[HOLDERS_TOLD], unsigned *const busy,
                           unsigned *const waiting)
{
    struct bh_pool *const pool = shard->pool;
    pthread_mutex_lock(&pool->shared.mutex);
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        const struct bh_pool_shard *const other = pool->shared.shards[i];
        if (!other || other == shard)
            continue;
        *busy += bh_pool_in_state(other, BH_POOL_BUSY) + bh_pool_in_state(other, BH_POOL_SHARED);
        *waiting += bh_pool_load(&other->waiting);
        insert(held, &other->longest);
    }
    uint64_t *const logged_us = &pool->shared.refusal_logged_us;
    const bool is_due = *logged_us == 0 || shard->now_us >= bh_pool_later(*logged_us, LOG_EVERY_US);
    if (is_due)
        *logged_us = shard->now_us;
    pthread_mutex_unlock(&pool->shared.mutex);
    return is_due;
}

static void append_holders(const struct bh_pool_held held[HOLDERS_TOLD], const uint64_t now_us,
                           struct bh_error *const error)
{
    for (unsigned i = 0; i < HOLDERS_TOLD && held[i].since_us > 0; i++) {
        const size_t length = strlen(error->message);
        snprintf(error->message + length, sizeof(error->message) - length, "%s %.1f s with \"%s\"",
                 i == 0 ? ", the longest for" : ",", seconds(held[i].since_us, now_us),
                 held[i].route);
    }
}

/* ---- What is told ---- */

int bh_pool_tell_busy(const struct bh_pool_shard *const shard,
                      const struct bh_pool_lease *const lease, const char *const why)
{
    const struct bh_pool *const pool = shard->pool;
    if (!lease->error)
        return BH_EBUSY;
    struct bh_pool_held held[HOLDERS_TOLD] = { 0 };
    unsigned busy = bh_pool_in_state(shard, BH_POOL_BUSY) + bh_pool_in_state(shard, BH_POOL_SHARED);
    unsigned waiting = bh_pool_load(&shard->waiting);
    find_longest(shard, HOLDERS_TOLD, held);
    const bool is_logged = look_at_others(shard, held, &busy, &waiting);
    const bool is_paused = bh_pool_load(&pool->pauses) > 0;
    bh_error_set(lease->error, BH_EBUSY,
                 "\"%.*s\" got no %s connection after %.1f s: %s; %s%u of %u are busy, %u wait",
                 BH_STR_ARGS(bh_pool_holder(lease)), pool->options.name,
                 seconds(lease->requested_us, shard->now_us), why,
                 is_paused ? "the pool is paused; " : "", busy,
                 bh_pool_load(&pool->maximum) + bh_pool_load(&pool->overflow), waiting);
    append_holders(held, shard->now_us, lease->error);
    if (is_logged)
        bh_log_warning("db", "%s", lease->error->message);
    return BH_EBUSY;
}

int bh_pool_tell_unavailable(struct bh_pool_shard *const shard,
                             const struct bh_pool_lease *const lease)
{
    struct bh_pool *const pool = shard->pool;
    if (!lease->error)
        return BH_EUNAVAILABLE;
    pthread_mutex_lock(&pool->shared.mutex);
    const struct bh_error error = pool->shared.last_error;
    const uint64_t next_try_us = pool->shared.breaker.next_try_us;
    pthread_mutex_unlock(&pool->shared.mutex);
    const uint64_t since_us = atomic_load_explicit(&pool->down_since_us, memory_order_relaxed);
    bh_error_set(lease->error, BH_EUNAVAILABLE,
                 "the %s database has been down for %.1f s, next attempt in %.1f s: %.200s",
                 pool->options.name, seconds(since_us, shard->now_us),
                 seconds(shard->now_us, next_try_us), error.message);
    memcpy(lease->error->sqlstate, error.sqlstate, sizeof(error.sqlstate));
    return BH_EUNAVAILABLE;
}

int bh_pool_tell_shutdown(const struct bh_pool_lease *const lease)
{
    return bh_error_set(lease->error, BH_ESHUTDOWN, "the connection pool is being closed");
}
