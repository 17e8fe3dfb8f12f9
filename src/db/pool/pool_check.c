/*
 * What must always hold between two calls. Asserted by the tests after every step.
 */
#include "db/pool/pool_steps.h"

static void check_connection(const struct bh_pool_shard *const shard,
                             const struct bh_pool_connection *const connection)
{
    const enum bh_pool_state state = connection->state;
    unsigned leases = 0;
    uint64_t work_us = 0;
    BH_LIST_FOREACH(node, &connection->leases) {
        const struct bh_pool_lease *const lease = bh_pool_lease_at(node);
        bh_assert(lease->state == BH_POOL_LEASE_GRANTED && lease->connection == connection);
        bh_assert(lease->shard == shard);
        bh_assert((lease->lane == BH_POOL_LANE_EXCLUSIVE) == (state == BH_POOL_BUSY));
        work_us += lease->lane == BH_POOL_LANE_SHARED ? lease->work_us : 0;
        leases++;
    }
    bh_assert(connection->shard == shard && connection->depth == leases);
    bh_assert(connection->work_us == work_us);
    bh_assert((state == BH_POOL_BUSY || state == BH_POOL_SHARED) == (leases > 0));
    bh_assert(state != BH_POOL_BUSY || leases == 1);
    bh_assert(state != BH_POOL_SHARED || leases <= shard->pool->options.shared_depth);
    bh_assert(!connection->doomed || state == BH_POOL_BUSY || state == BH_POOL_SHARED);
    /* Every wait for the other side ends. */
    if (state == BH_POOL_CONNECTING || state == BH_POOL_PINGING || state == BH_POOL_RESETTING ||
        state == BH_POOL_QUARANTINED || state == BH_POOL_CLOSING)
        bh_assert(connection->due_us != BH_NEVER_US && shard->wakeup_us <= connection->due_us);
    if (state == BH_POOL_SHARED && !connection->doomed)
        bh_assert(connection->due_us <= bh_pool_silent_at_us(connection) &&
                  shard->wakeup_us <= connection->due_us);
}

static unsigned check_connections(const struct bh_pool_shard *const shard)
{
    unsigned total = 0;
    for (unsigned state = 0; state < BH_POOL_STATE_COUNT; state++) {
        unsigned count = 0;
        uint64_t newer_us = BH_NEVER_US;
        BH_LIST_FOREACH(node, &shard->states[state]) {
            const struct bh_pool_connection *const connection = bh_pool_connection_at(node);
            bh_assert(connection->state == state);
            if (state == BH_POOL_IDLE) { /* last in, first out */
                bh_assert(connection->since_us <= newer_us);
                newer_us = connection->since_us;
            }
            check_connection(shard, connection);
            count++;
        }
        bh_assert(count == bh_pool_in_state(shard, state));
        total += count;
    }
    bh_assert(total == shard->connection_count);
    return total;
}

static unsigned check_line(const struct bh_pool_shard *const shard, const unsigned lane,
                           const unsigned priority)
{
    unsigned count = 0;
    const struct bh_pool_lease *older = NULL;
    BH_LIST_FOREACH(node, &shard->lines[lane][priority]) {
        const struct bh_pool_lease *const lease = bh_pool_lease_at(node);
        bh_assert(lease->state == BH_POOL_LEASE_WAITING && lease->shard == shard);
        bh_assert(lease->lane == lane && lease->priority == priority && !lease->connection);
        bh_assert(!older || (older->sequence < lease->sequence &&
                             older->requested_us <= lease->requested_us));
        bh_assert(shard->waiters_due_us <= lease->until_us && shard->wakeup_us <= lease->until_us);
        older = lease;
        count++;
    }
    return count;
}

static void check_lines(const struct bh_pool_shard *const shard)
{
    unsigned total = 0;
    for (unsigned lane = 0; lane < BH_POOL_LANES; lane++) {
        unsigned count = 0;
        for (unsigned priority = 0; priority < BH_POOL_PRIORITY_COUNT; priority++)
            count += check_line(shard, lane, priority);
        bh_assert(count == shard->line_counts[lane]);
        total += count;
    }
    bh_assert(total == bh_pool_load(&shard->waiting) && total <= shard->waiters_maximum);
    bh_assert(!shard->is_draining || total == 0);
}

static void check_tenants(const struct bh_pool_shard *const shard)
{
    unsigned held = 0;
    unsigned waiting = 0;
    for (unsigned i = 0; i < BH_POOL_TENANT_SLOTS; i++) {
        held += shard->tenants_held[i];
        waiting += shard->tenants_waiting[i];
    }
    bh_assert(held == bh_pool_in_state(shard, BH_POOL_BUSY));
    bh_assert(waiting == shard->line_counts[BH_POOL_LANE_EXCLUSIVE]);
}

/* Nobody waits while capacity is free: no exclusive waiter beside an idle connection, unless one is
 * being pinged for it; no shared one beside a pipeline with room; and with nothing of its own that
 * could serve them, the shard is in line for more, or looks again soon. */
static void check_progress(const struct bh_pool_shard *const shard)
{
    const unsigned waiting = bh_pool_load(&shard->waiting);
    if (waiting == 0 || bh_pool_load(&shard->pool->pauses) > 0 || atomic_load(&shard->is_woken))
        return;
    bh_assert(bh_pool_in_state(shard, BH_POOL_IDLE) == 0 ||
              bh_pool_in_state(shard, BH_POOL_PINGING) >=
                  shard->line_counts[BH_POOL_LANE_EXCLUSIVE]);
    bh_assert(shard->line_counts[BH_POOL_LANE_EXCLUSIVE] > 0 || !bh_pool_shared_has_room(shard));
    const unsigned working = bh_pool_in_state(shard, BH_POOL_BUSY) +
                             bh_pool_in_state(shard, BH_POOL_SHARED) + bh_pool_coming(shard) +
                             bh_pool_in_state(shard, BH_POOL_QUARANTINED);
    bh_assert(working > 0 || shard->claim.is_in_line);
    bh_assert(shard->wakeup_us != BH_NEVER_US);
}

static void check_budget(struct bh_pool *const pool)
{
    unsigned held = 0;
    unsigned closing = 0;
    unsigned connecting = 0;
    unsigned in_line = 0;
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        const struct bh_pool_shard *const shard = pool->shared.shards[i];
        if (!shard)
            continue;
        held += shard->claim.held;
        closing += bh_pool_in_state(shard, BH_POOL_CLOSING);
        connecting += bh_pool_in_state(shard, BH_POOL_CONNECTING);
        in_line += shard->claim.is_in_line;
    }
    unsigned listed = 0;
    BH_LIST_FOREACH(node, &pool->shared.line) {
        listed++;
    }
    bh_assert(held == bh_pool_load(&pool->used) && closing == bh_pool_load(&pool->closing));
    bh_assert(connecting == pool->shared.breaker.connecting);
    bh_assert(in_line == listed && bh_pool_load(&pool->hungry) <= listed);
    bh_assert(pool->shared.giving <= closing);
}

void bh_pool_check(const struct bh_pool_shard *const shard)
{
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_assert(check_connections(shard) == shard->claim.held);
    bh_assert(!shard->requesting && !shard->is_ticking);
    check_lines(shard);
    check_tenants(shard);
    check_progress(shard);
}

void bh_pool_check_budget(struct bh_pool *const pool)
{
    bh_magic_check(pool, BH_POOL_MAGIC);
    pthread_mutex_lock(&pool->shared.mutex);
    check_budget(pool);
    pthread_mutex_unlock(&pool->shared.mutex);
}
