/*
 * Life of a shard: creation, ticks, drain, end.
 */
#include "db/pool/pool_shard.h"

#include <stdlib.h>

#include "db/pool/pool_budget.h"

static void init_lists(struct bh_pool_shard *const shard)
{
    for (unsigned i = 0; i < BH_POOL_STATE_COUNT; i++)
        bh_list_init(&shard->states[i]);
    for (unsigned lane = 0; lane < BH_POOL_LANES; lane++) {
        for (unsigned priority = 0; priority < BH_POOL_PRIORITY_COUNT; priority++)
            bh_list_init(&shard->lines[lane][priority]);
    }
    bh_list_init(&shard->claim.node);
}

/* Its place among the pool's shards. */
static int enroll(struct bh_pool_shard *const shard)
{
    struct bh_pool *const pool = shard->pool;
    unsigned index = 0;
    pthread_mutex_lock(&pool->shared.mutex);
    while (index < pool->options.shard_count && pool->shared.shards[index])
        index++;
    const bool has_place = index < pool->options.shard_count;
    if (has_place) {
        shard->index = index;
        pthread_mutex_lock(&pool->shared.roster);
        pool->shared.shards[index] = shard;
        pthread_mutex_unlock(&pool->shared.roster);
    }
    pthread_mutex_unlock(&pool->shared.mutex);
    return has_place ? 0 : BH_ELIMIT;
}

int bh_pool_shard_create(struct bh_pool *const pool, const struct bh_pool_driver *const driver,
                         void *const driver_context, const struct bh_pool_hooks *const hooks,
                         void *const hooks_context, struct bh_pool_shard **const ret_shard)
{
    bh_magic_check(pool, BH_POOL_MAGIC);
    const struct bh_pool_options *const options = &pool->options;
    struct bh_pool_shard *const shard = calloc(1, sizeof(*shard));
    if (!shard)
        return BH_ENOMEM;
    *shard = (struct bh_pool_shard){
        .magic = BH_POOL_SHARD_MAGIC,
        .pool = pool,
        .driver = driver,
        .driver_context = driver_context,
        .hooks = hooks,
        .hooks_context = hooks_context,
        .wakeup_us = BH_NEVER_US,
        .waiters_due_us = BH_NEVER_US,
        .waiters_maximum = (options->waiters_maximum + options->shard_count - 1) /
                           options->shard_count,
        .class_us = calloc(options->class_count, sizeof(*shard->class_us)),
    };
    init_lists(shard);
    bh_codel_init(&shard->codel, options->delay_target_us, options->delay_interval_us);
    const int result = shard->class_us ? enroll(shard) : BH_ENOMEM;
    if (result) {
        free(shard->class_us);
        free(shard);
        return result;
    }
    shard->random = options->seed + shard->index + 1;
    *ret_shard = shard;
    return 0;
}

void bh_pool_shard_destroy(struct bh_pool_shard *const shard)
{
    if (!shard)
        return;
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    struct bh_pool *const pool = shard->pool;
    bh_assert(shard->is_drained && shard->connection_count == 0);
    bh_assert(bh_pool_load(&shard->waiting) == 0 && !shard->claim.is_in_line);
    pthread_mutex_lock(&pool->shared.mutex);
    pthread_mutex_lock(&pool->shared.roster);
    pool->shared.shards[shard->index] = NULL;
    for (unsigned i = 0; i < BH_POOL_COUNT_COUNT; i++)
        pool->shared.retired[i] += atomic_load_explicit(&shard->counts[i], memory_order_relaxed);
    pthread_mutex_unlock(&pool->shared.roster);
    pthread_mutex_unlock(&pool->shared.mutex);
    free(shard->class_us);
    shard->magic = 0;
    free(shard);
}

static void refuse_all(struct bh_pool_shard *const shard)
{
    for (unsigned line = 0; line < BH_POOL_LANES * BH_POOL_PRIORITY_COUNT; line++) {
        struct bh_list *const head =
            &shard->lines[line / BH_POOL_PRIORITY_COUNT][line % BH_POOL_PRIORITY_COUNT];
        while (!bh_list_is_empty(head)) {
            struct bh_pool_lease *const lease = bh_pool_lease_at(head->next);
            bh_pool_refuse(lease, bh_pool_tell_shutdown(lease), BH_POOL_COUNT_CANCELED);
        }
    }
}

void bh_pool_drain(struct bh_pool_shard *const shard, const uint64_t now_us)
{
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_pool_advance(shard, now_us);
    if (shard->is_draining)
        return;
    shard->is_draining = true;
    bh_pool_budget_unclaim(shard);
    refuse_all(shard);
    BH_LIST_FOREACH(node, &shard->states[BH_POOL_SHARED]) {
        struct bh_pool_connection *const connection = bh_pool_connection_at(node);
        if (!connection->doomed)
            connection->due_us = bh_pool_silent_at_us(connection);
        bh_pool_wakeup(shard, connection->due_us);
    }
    for (unsigned state = 0; state < BH_POOL_STATE_COUNT; state++) {
        if (state == BH_POOL_BUSY || state == BH_POOL_SHARED || state == BH_POOL_CLOSING)
            continue;
        while (!bh_list_is_empty(&shard->states[state])) {
            if (state == BH_POOL_CONNECTING)
                bh_pool_budget_abandoned(shard);
            bh_pool_end(bh_pool_connection_at(shard->states[state].next), BH_POOL_CLOSED_DRAINED);
        }
    }
    bh_pool_settle(shard);
}

void bh_pool_tick(struct bh_pool_shard *const shard, const uint64_t now_us)
{
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_pool_advance(shard, now_us);
    atomic_store(&shard->is_woken, false);
    shard->is_ticking = true;
    bh_pool_expire_connections(shard);
    shard->wakeup_us = BH_NEVER_US; /* what that asked for is asked for again, or over */
    bh_pool_trim(shard);
    bh_pool_settle(shard);
    bh_pool_wakeup(shard, bh_pool_connections_due_us(shard));
    bh_pool_wakeup(shard, shard->waiters_due_us);
    shard->is_ticking = false;
    shard->hooks->schedule(shard->hooks_context, shard->wakeup_us);
}

uint64_t bh_pool_next_wakeup_us(const struct bh_pool_shard *const shard)
{
    return shard->wakeup_us;
}
