/*
 * Leases: request, grant or refusal, release.
 */
#include "db/pool/pool_budget.h"

#define CLASS_GUESS_US 1000

uint64_t bh_pool_class_us(const struct bh_pool_shard *const shard, const unsigned statement_class)
{
    const unsigned class_count = shard->pool->options.class_count;
    const uint32_t known_us = shard->class_us[statement_class < class_count ? statement_class : 0];
    return known_us ? known_us : CLASS_GUESS_US;
}

static void learn_class(struct bh_pool_shard *const shard, const unsigned statement_class,
                        const uint64_t took_us)
{
    const unsigned class_count = shard->pool->options.class_count;
    uint32_t *const known_us =
        &shard->class_us[statement_class < class_count ? statement_class : 0];
    const uint64_t sample_us = took_us < UINT32_MAX ? took_us : UINT32_MAX;
    const uint64_t average_us = *known_us ? (7 * (uint64_t)*known_us + sample_us) / 8 : sample_us;
    *known_us = average_us > 0 ? (uint32_t)average_us : 1;
}

/* ---- Request ---- */

static void prepare(struct bh_pool_shard *const shard, struct bh_pool_lease *const lease)
{
    const struct bh_pool_options *const options = &shard->pool->options;
    bh_assert(lease->state == BH_POOL_LEASE_NONE && lease->priority < BH_POOL_PRIORITY_COUNT);
    lease->requested_us = shard->now_us;
    if (lease->deadline_us == 0)
        lease->deadline_us = BH_NEVER_US;
    lease->until_us = bh_pool_later(shard->now_us, options->acquire_timeout_us);
    if (lease->deadline_us < lease->until_us)
        lease->until_us = lease->deadline_us;
    lease->is_diverted = lease->lane == BH_POOL_LANE_SHARED &&
                         (options->shared_connections == 0 ||
                          bh_pool_class_us(shard, lease->statement_class) >
                              options->shared_slow_us);
    if (lease->is_diverted)
        lease->lane = BH_POOL_LANE_EXCLUSIVE;
}

static int count_refusal(struct bh_pool_shard *const shard, const enum bh_pool_count count,
                         const int code)
{
    bh_pool_count(shard, count);
    return code;
}

/* Why it may not even wait; or 0. */
static int entry(struct bh_pool_shard *const shard, const struct bh_pool_lease *const lease)
{
    if (shard->is_draining)
        return bh_pool_tell_shutdown(lease);
    if (shard->now_us >= lease->until_us)
        return count_refusal(shard, BH_POOL_COUNT_TIMED_OUT,
                             bh_error_set(lease->error, BH_ETIMEDOUT,
                                          "no connection was asked for: %s",
                                          bh_error_text(BH_ETIMEDOUT)));
    if (bh_pool_is_unavailable(shard))
        return count_refusal(shard, BH_POOL_COUNT_UNAVAILABLE,
                             bh_pool_tell_unavailable(shard, lease));
    if (bh_pool_load(&shard->waiting) >= shard->waiters_maximum &&
        !bh_pool_make_place(shard, lease->priority))
        return count_refusal(shard, BH_POOL_COUNT_SHED,
                             bh_pool_tell_busy(shard, lease, "too many wait already"));
    return 0;
}

int bh_pool_request(struct bh_pool_shard *const shard, struct bh_pool_lease *const lease,
                    const uint64_t now_us)
{
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_pool_advance(shard, now_us);
    prepare(shard, lease);
    if (BH_LIKELY(!shard->is_draining && shard->now_us < lease->until_us &&
                  bh_pool_grant_at_once(shard, lease)))
        return 0;
    const int refused = entry(shard, lease);
    if (refused)
        return refused;
    shard->requesting = lease;
    bh_pool_enter_line(shard, lease);
    bh_pool_settle(shard);
    shard->requesting = NULL;
    if (lease->state == BH_POOL_LEASE_WAITING)
        return 1;
    return lease->state == BH_POOL_LEASE_GRANTED ? 0 : lease->result;
}

/* ---- Release ---- */

/* A dirty connection is worth the round trips only if it will be used again. */
static bool is_worth_cleaning(const struct bh_pool_connection *const connection)
{
    const struct bh_pool_shard *const shard = connection->shard;
    return !connection->doomed && !shard->is_draining && shard->now_us < connection->expires_us &&
           connection->generation == bh_pool_load(&shard->pool->generation);
}

/* Whether it is idle now, or still shared. */
static bool take_back_exclusive(struct bh_pool_connection *const connection,
                                const enum bh_pool_outcome outcome)
{
    struct bh_pool_shard *const shard = connection->shard;
    if (outcome == BH_POOL_CLEAN || outcome == BH_POOL_BROKEN)
        return bh_pool_park(connection);
    if (!is_worth_cleaning(connection)) {
        bh_pool_end(connection, connection->doomed ? BH_POOL_CLOSED_LOST : BH_POOL_CLOSED_EVICTED);
    } else if (outcome == BH_POOL_DIRTY) {
        bh_pool_move(connection, BH_POOL_RESETTING);
        shard->driver->reset(connection);
    } else {
        bh_pool_move(connection, BH_POOL_QUARANTINED);
        shard->driver->cancel(connection);
    }
    return false;
}

static bool take_back_shared(struct bh_pool_connection *const connection,
                             const struct bh_pool_lease *const lease)
{
    bh_assert(connection->work_us >= lease->work_us);
    connection->work_us -= lease->work_us;
    connection->progress_us = connection->shard->now_us;
    return connection->depth > 0 || bh_pool_park(connection);
}

static void release(struct bh_pool_lease *const lease, const enum bh_pool_outcome outcome)
{
    struct bh_pool_connection *const connection = lease->connection;
    struct bh_pool_shard *const shard = connection->shard;
    lease->state = BH_POOL_LEASE_NONE;
    lease->connection = NULL;
    bh_list_unlink(&lease->node);
    connection->depth--;
    if (outcome == BH_POOL_BROKEN) {
        connection->doomed = true;
        connection->is_suspect = true;
    } else if (!connection->doomed) {
        shard->last_good_us = shard->now_us;
    }
    bh_metrics_observe_us(shard->pool->metrics.hold, shard->now_us - lease->granted_us);
    bool has_stayed;
    if (lease->lane == BH_POOL_LANE_EXCLUSIVE) {
        bh_pool_tenant_returned(lease, shard);
        has_stayed = take_back_exclusive(connection, outcome);
    } else {
        has_stayed = take_back_shared(connection, lease);
    }
    if (BH_LIKELY(has_stayed && bh_pool_load(&shard->waiting) == 0 &&
                  bh_pool_load(&shard->pool->hungry) == 0))
        return; /* nothing to see to */
    bh_pool_settle(shard);
}

void bh_pool_release(struct bh_pool_lease *const lease, const enum bh_pool_outcome outcome,
                     const uint64_t now_us)
{
    bh_assert(lease->state == BH_POOL_LEASE_GRANTED);
    const struct bh_pool_connection *const connection = lease->connection;
    struct bh_pool_shard *const shard = connection->shard;
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_pool_advance(shard, now_us);
    const uint64_t held_us = shard->now_us - lease->granted_us;
    if (lease->lane == BH_POOL_LANE_SHARED) {
        bh_assert(outcome == BH_POOL_CLEAN || outcome == BH_POOL_BROKEN);
        const uint64_t begun_us = lease->granted_us > connection->progress_us
                                      ? lease->granted_us
                                      : connection->progress_us;
        learn_class(shard, lease->statement_class, shard->now_us - begun_us);
    } else {
        bh_pool_average(&shard->hold_us, held_us);
        if (lease->is_diverted)
            learn_class(shard, lease->statement_class, held_us);
    }
    release(lease, outcome);
}

void bh_pool_withdraw(struct bh_pool_lease *const lease, const uint64_t now_us)
{
    if (lease->state == BH_POOL_LEASE_NONE)
        return;
    struct bh_pool_shard *const shard = lease->shard;
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_pool_advance(shard, now_us);
    bh_pool_count(shard, BH_POOL_COUNT_CANCELED);
    lease->result = BH_ECANCELED;
    if (lease->state == BH_POOL_LEASE_GRANTED) {
        release(lease, BH_POOL_CLEAN);
        return;
    }
    bh_pool_leave_line(lease);
    bh_pool_settle(shard);
}
