#include "db/pool/pool.h"

#include <stdlib.h>

#include "bulkhead/db/statistics.h"
#include "db/pool/pool_budget.h"

/* ---- Metrics ----
 * Read with the metrics' lock held, which a thread's first update takes within the pool's. So these
 * take not the pool's mutex but the roster's, within which nobody takes any other. */

static double read_idle(void *const argument)
{
    struct bh_pool *const pool = argument;
    unsigned idle = 0;
    pthread_mutex_lock(&pool->shared.roster);
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        if (pool->shared.shards[i])
            idle += bh_pool_in_state(pool->shared.shards[i], BH_POOL_IDLE);
    }
    pthread_mutex_unlock(&pool->shared.roster);
    return idle;
}

static double read_reuse(void *const argument)
{
    struct bh_pool *const pool = argument;
    pthread_mutex_lock(&pool->shared.roster);
    uint64_t granted = pool->shared.retired[BH_POOL_COUNT_GRANTED];
    uint64_t connected = pool->shared.retired[BH_POOL_COUNT_CONNECTED];
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        const struct bh_pool_shard *const shard = pool->shared.shards[i];
        if (!shard)
            continue;
        granted += atomic_load_explicit(&shard->counts[BH_POOL_COUNT_GRANTED],
                                        memory_order_relaxed);
        connected += atomic_load_explicit(&shard->counts[BH_POOL_COUNT_CONNECTED],
                                          memory_order_relaxed);
    }
    pthread_mutex_unlock(&pool->shared.roster);
    return bh_db_reuse_ratio(granted, connected);
}

/* ---- Life ---- */

void bh_pool_options_default(struct bh_pool_options *const options)
{
    *options = (struct bh_pool_options){
        .name = "pool",
        .shard_count = 1,
        .minimum = 5,
        .maximum = 40,
        .waiters_maximum = 10000,
        .shared_connections = 1,
        .shared_depth = 64,
        .class_count = 1,
        .shared_drain_us = 10 * BH_MS_US,
        .shared_slow_us = 20 * BH_MS_US,
        .shared_timeout_us = 30 * BH_SECOND_US,
        .acquire_timeout_us = 30 * BH_SECOND_US,
        .connect_timeout_us = 10 * BH_SECOND_US,
        .host_count = 1,
        .ping_timeout_us = 500 * BH_MS_US,
        .clean_timeout_us = 5 * BH_SECOND_US,
        .close_timeout_us = BH_SECOND_US,
        .idle_timeout_us = 600 * BH_SECOND_US,
        .lifetime_us = 3600 * BH_SECOND_US,
        .ping_after_us = BH_SECOND_US,
        .leak_us = BH_NEVER_US,
        .outage_patience_us = 5 * BH_SECOND_US,
        .delay_target_us = 50 * BH_MS_US,
        .delay_interval_us = BH_SECOND_US,
    };
}

static int check_sizes(const unsigned minimum, const unsigned maximum, const unsigned overflow,
                       const unsigned reserve, struct bh_error *const reterr)
{
    if (maximum == 0 || minimum > maximum)
        return bh_error_set(reterr, BH_EINVAL,
                            "a pool of %u to %u connections: the maximum must be 1 or more, and "
                            "not below the minimum",
                            minimum, maximum);
    if (maximum > 100000 || overflow > 100000)
        return bh_error_set(reterr, BH_EINVAL, "a pool may have 100,000 connections at most");
    if (reserve >= maximum + overflow || minimum > maximum + overflow - reserve)
        return bh_error_set(reterr, BH_EINVAL,
                            "a reserve of %u leaves too little of %u connections for others",
                            reserve, maximum + overflow);
    return 0;
}

static int check_options(const struct bh_pool_options *const options, struct bh_error *const reterr)
{
    if (options->shard_count == 0 || options->shard_count > BH_POOL_SHARDS_MAXIMUM)
        return bh_error_set(reterr, BH_EINVAL, "shard_count is %u; it takes 1 to %d",
                            options->shard_count, BH_POOL_SHARDS_MAXIMUM);
    if (options->class_count == 0 || options->class_count > BH_POOL_CLASSES_MAXIMUM)
        return bh_error_set(reterr, BH_EINVAL, "class_count is %u; it takes 1 to %d",
                            options->class_count, BH_POOL_CLASSES_MAXIMUM);
    if (options->host_count == 0 || options->host_count > 256)
        return bh_error_set(reterr, BH_EINVAL, "host_count is %u; it takes 1 to 256",
                            options->host_count);
    if (options->tenant_percent > 100)
        return bh_error_set(reterr, BH_EINVAL, "tenant_percent is %u; it takes 0 to 100",
                            options->tenant_percent);
    if (options->shared_connections > 0 && options->shared_depth == 0)
        return bh_error_set(reterr, BH_EINVAL, "shared_depth is 0; it takes 1 or more");
    if (options->delay_interval_us == 0 || options->shared_slow_us > BH_SECOND_US * 3600)
        return bh_error_set(reterr, BH_EINVAL,
                            "delay_interval_us must be 1 or more, "
                            "shared_slow_us an hour at most");
    return check_sizes(options->minimum, options->maximum, options->overflow, options->reserve,
                       reterr);
}

int bh_pool_create(const struct bh_pool_options *const options, struct bh_pool **const ret_pool,
                   struct bh_error *const reterr)
{
    const int result = check_options(options, reterr);
    if (result)
        return result;
    struct bh_pool *const pool = calloc(1, sizeof(*pool));
    if (!pool)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a connection pool");
    pool->magic = BH_POOL_MAGIC;
    pool->options = *options;
    pool->metrics = bh_pool_metrics_of(options->name);
    atomic_store(&pool->minimum, options->minimum);
    atomic_store(&pool->maximum, options->maximum);
    atomic_store(&pool->overflow, options->overflow);
    pthread_mutex_init(&pool->shared.mutex, NULL);
    pthread_mutex_init(&pool->shared.roster, NULL);
    bh_list_init(&pool->shared.line);
    bh_pool_breaker_init(&pool->shared.breaker, options->seed);
    bh_pool_metrics_read(&pool->metrics, read_idle, read_reuse, pool);
    *ret_pool = pool;
    return 0;
}

void bh_pool_destroy(struct bh_pool *const pool)
{
    if (!pool)
        return;
    bh_magic_check(pool, BH_POOL_MAGIC);
    bh_pool_metrics_read(&pool->metrics, NULL, NULL, pool);
    for (unsigned i = 0; i < pool->options.shard_count; i++)
        bh_assert(!pool->shared.shards[i]);
    bh_assert(bh_pool_load(&pool->used) == 0 && pool->shared.giving == 0);
    if (pool->shared.breaker.is_down)
        bh_metrics_add(pool->metrics.down, -1);
    pthread_mutex_destroy(&pool->shared.roster);
    pthread_mutex_destroy(&pool->shared.mutex);
    pool->magic = 0;
    free(pool);
}

/* ---- Control ---- */

int bh_pool_resize(struct bh_pool *const pool, const unsigned minimum, const unsigned maximum,
                   const unsigned overflow, struct bh_error *const reterr)
{
    bh_magic_check(pool, BH_POOL_MAGIC);
    const int result = check_sizes(minimum, maximum, overflow, pool->options.reserve, reterr);
    if (result)
        return result;
    pthread_mutex_lock(&pool->shared.mutex);
    atomic_store(&pool->minimum, minimum);
    atomic_store(&pool->maximum, maximum);
    atomic_store(&pool->overflow, overflow);
    bh_pool_budget_wake_all(pool);
    pthread_mutex_unlock(&pool->shared.mutex);
    return 0;
}

static void change_pauses(struct bh_pool *const pool, const int by)
{
    bh_magic_check(pool, BH_POOL_MAGIC);
    pthread_mutex_lock(&pool->shared.mutex);
    if (by > 0 || bh_pool_load(&pool->pauses) > 0)
        bh_pool_change(&pool->pauses, by);
    bh_pool_budget_wake_all(pool);
    pthread_mutex_unlock(&pool->shared.mutex);
}

void bh_pool_pause(struct bh_pool *const pool)
{
    change_pauses(pool, 1);
}

void bh_pool_resume(struct bh_pool *const pool)
{
    change_pauses(pool, -1);
}

void bh_pool_evict(struct bh_pool *const pool)
{
    bh_magic_check(pool, BH_POOL_MAGIC);
    bh_pool_budget_bump(pool, bh_pool_load(&pool->generation), false, NULL);
}

/* ---- Figures ---- */

static void add_now(struct bh_pool_stats *const stats, const struct bh_pool_shard *const shard)
{
    unsigned in_state[BH_POOL_STATE_COUNT];
    for (unsigned i = 0; i < BH_POOL_STATE_COUNT; i++) {
        in_state[i] = bh_pool_in_state(shard, i);
        stats->total += in_state[i];
    }
    stats->connecting += in_state[BH_POOL_CONNECTING];
    stats->idle += in_state[BH_POOL_IDLE];
    stats->busy += in_state[BH_POOL_BUSY];
    stats->shared += in_state[BH_POOL_SHARED];
    stats->closing += in_state[BH_POOL_CLOSING];
    stats->cleaning += in_state[BH_POOL_PINGING] + in_state[BH_POOL_RESETTING] +
                       in_state[BH_POOL_QUARANTINED];
    stats->waiting += bh_pool_load(&shard->waiting);
}

static void set_totals(struct bh_pool_stats *const stats,
                       const uint64_t totals[BH_POOL_COUNT_COUNT])
{
    stats->granted = totals[BH_POOL_COUNT_GRANTED];
    stats->connected = totals[BH_POOL_COUNT_CONNECTED];
    stats->waited = totals[BH_POOL_COUNT_WAITED];
    stats->timed_out = totals[BH_POOL_COUNT_TIMED_OUT];
    stats->canceled = totals[BH_POOL_COUNT_CANCELED];
    stats->shed = totals[BH_POOL_COUNT_SHED];
    stats->unavailable = totals[BH_POOL_COUNT_UNAVAILABLE];
    stats->leaks = totals[BH_POOL_COUNT_LEAKS];
    for (unsigned i = 0; i < BH_POOL_CLOSE_REASON_COUNT; i++)
        stats->closed[i] = totals[BH_POOL_COUNT_CLOSED + i];
    stats->recycled = stats->closed[BH_POOL_CLOSED_LIFETIME];
}

void bh_pool_stats(struct bh_pool *const pool, struct bh_pool_stats *const ret_stats)
{
    bh_magic_check(pool, BH_POOL_MAGIC);
    *ret_stats = (struct bh_pool_stats){
        .minimum = bh_pool_load(&pool->minimum),
        .maximum = bh_pool_load(&pool->maximum),
        .overflow = bh_pool_load(&pool->overflow),
        .paused = bh_pool_load(&pool->pauses) > 0,
        .down = atomic_load(&pool->is_down),
    };
    uint64_t totals[BH_POOL_COUNT_COUNT];
    pthread_mutex_lock(&pool->shared.mutex);
    memcpy(totals, pool->shared.retired, sizeof(totals));
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        const struct bh_pool_shard *const shard = pool->shared.shards[i];
        if (!shard)
            continue;
        add_now(ret_stats, shard);
        for (unsigned j = 0; j < BH_POOL_COUNT_COUNT; j++)
            totals[j] += atomic_load_explicit(&shard->counts[j], memory_order_relaxed);
    }
    ret_stats->outages = pool->shared.outages;
    pthread_mutex_unlock(&pool->shared.mutex);
    set_totals(ret_stats, totals);
}
