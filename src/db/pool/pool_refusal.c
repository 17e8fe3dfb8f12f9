/*
 * What those hear who get no connection: who has them, or what is wrong with the host.
 */
#include <stdio.h>
#include <string.h>

#include "db/pool/pool_steps.h"

#define HOLDERS_TOLD 3

static double seconds(const uint64_t from_us, const uint64_t to_us)
{
    return to_us > from_us ? (double)(to_us - from_us) / 1e6 : 0;
}

static void append_holders(const struct bh_pool_shard *const shard, struct bh_error *const error)
{
    static const enum bh_pool_state states[] = { BH_POOL_BUSY, BH_POOL_SHARED };
    unsigned told = 0;
    for (unsigned i = 0; i < BH_COUNT_OF(states); i++) {
        BH_LIST_FOREACH(node, &shard->states[states[i]]) {
            const struct bh_pool_connection *const connection = bh_pool_connection_at(node);
            const struct bh_pool_lease *const lease = bh_pool_lease_at(connection->leases.next);
            if (told == HOLDERS_TOLD)
                return;
            const size_t length = strlen(error->message);
            snprintf(error->message + length, sizeof(error->message) - length,
                     "%s %.1f s with \"%.*s\"", told == 0 ? ", the longest for" : ",",
                     seconds(lease->granted_us, shard->now_us), BH_STR_ARGS(bh_pool_holder(lease)));
            told++;
        }
    }
}

int bh_pool_tell_busy(const struct bh_pool_shard *const shard,
                      const struct bh_pool_lease *const lease, const char *const why)
{
    const struct bh_pool *const pool = shard->pool;
    if (!lease->error)
        return BH_EBUSY;
    const unsigned busy = bh_pool_in_state(shard, BH_POOL_BUSY) +
                          bh_pool_in_state(shard, BH_POOL_SHARED);
    const bool is_paused = atomic_load_explicit(&pool->is_paused, memory_order_relaxed);
    bh_error_set(
        lease->error, BH_EBUSY,
        "\"%.*s\" got no %s connection after %.1f s: %s; %s%u of %u are busy%s, %u wait",
        BH_STR_ARGS(bh_pool_holder(lease)), pool->options.name,
        seconds(lease->requested_us, shard->now_us), why, is_paused ? "the pool is paused; " : "",
        busy, bh_pool_load(&pool->maximum) + bh_pool_load(&pool->overflow),
        pool->options.shard_count > 1 ? " by this loop" : "", bh_pool_load(&shard->waiting));
    append_holders(shard, lease->error);
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
