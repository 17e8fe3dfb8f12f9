/*
 * How many connections a shard should have: enough for who waits, as far as a connect pays, and
 * never fewer than its part of the minimum.
 *
 * A connect pays if the line would take longer than it: with 50 requests of 2 ms at 5 connections
 * the line is gone in 20 ms, before a sixth connection could be there. Whoever has waited for as
 * long as a connect takes is worth one in any case, so a wrong prediction costs that much at most;
 * then as many are begun as there are, and have as long to show what they change.
 */
#include "db/pool/pool_budget.h"

/* How long a connect takes, until one is known. */
#define CONNECT_GUESS_US (10 * BH_MS_US)
#define REVIEW_LEAST_US (1 * BH_MS_US)
/* How long the verdict on a host holds, after the time a connect may take. */
#define VERDICT_US BH_SECOND_US

unsigned bh_pool_minimum_of(const struct bh_pool_shard *const shard)
{
    const unsigned minimum = bh_pool_load(&shard->pool->minimum);
    const unsigned shards = shard->pool->options.shard_count;
    return minimum / shards + (shard->index < minimum % shards);
}

/* Nothing came back for as long, either: while the password is wrong, or the server shuts down
 * gently, what is open goes on serving. */
uint64_t bh_pool_hopeless_at_us(const struct bh_pool_shard *const shard)
{
    const struct bh_pool *const pool = shard->pool;
    if (BH_LIKELY(!atomic_load_explicit(&pool->is_down, memory_order_relaxed)))
        return BH_NEVER_US;
    if (bh_pool_in_state(shard, BH_POOL_IDLE) + bh_pool_in_state(shard, BH_POOL_PINGING) > 0)
        return BH_NEVER_US;
    const uint64_t since_us = atomic_load_explicit(&pool->down_since_us, memory_order_relaxed);
    const uint64_t quiet_us = since_us > shard->last_good_us ? since_us : shard->last_good_us;
    return bh_pool_later(quiet_us, pool->options.outage_patience_us);
}

/* An old verdict is none: with every connection in use, nobody can try the host. */
bool bh_pool_is_unavailable(const struct bh_pool_shard *const shard)
{
    const struct bh_pool *const pool = shard->pool;
    if (shard->now_us < bh_pool_hopeless_at_us(shard))
        return false;
    const uint64_t failed_us = atomic_load_explicit(&pool->failed_us, memory_order_relaxed);
    const uint64_t holds_us = bh_pool_later(pool->options.connect_timeout_us, VERDICT_US);
    return shard->now_us <= bh_pool_later(failed_us, holds_us);
}

static uint64_t connect_us(const struct bh_pool_shard *const shard)
{
    const uint64_t known_us = shard->connect_us ? shard->connect_us : CONNECT_GUESS_US;
    return known_us > REVIEW_LEAST_US ? known_us : REVIEW_LEAST_US;
}

/* Connections that would be used if they were there. */
static unsigned demand_of(const struct bh_pool_shard *const shard)
{
    const unsigned live = bh_pool_shared_live(shard);
    const unsigned maximum = shard->pool->options.shared_connections;
    const unsigned shared = shard->line_counts[BH_POOL_LANE_SHARED];
    const unsigned room = live < maximum ? maximum - live : 0;
    return shard->line_counts[BH_POOL_LANE_EXCLUSIVE] + (shared < room ? shared : room);
}

/* Of the `missing` connections, how many pay. */
static unsigned worth_of(struct bh_pool_shard *const shard, const unsigned missing)
{
    const unsigned working = bh_pool_in_state(shard, BH_POOL_BUSY) +
                             bh_pool_in_state(shard, BH_POOL_SHARED) + bh_pool_coming(shard);
    if (missing == 0 || working == 0)
        return missing > 0;
    const uint64_t takes_us = connect_us(shard);
    const uint64_t line_us = bh_pool_load(&shard->waiting) * shard->hold_us;
    const uint64_t useful = (line_us + takes_us - 1) / takes_us;
    uint64_t worth = useful > working ? useful - working : 0;

    /* A new connection has as long to show what it changes. */
    const uint64_t oldest_us = bh_pool_oldest_request_us(shard);
    const uint64_t since_us = oldest_us > shard->grown_us ? oldest_us : shard->grown_us;
    const uint64_t review_us = bh_pool_later(since_us, takes_us);
    const bool is_overdue = shard->now_us >= review_us;
    if (is_overdue && bh_pool_in_state(shard, BH_POOL_CONNECTING) == 0 && worth < working)
        worth = working; /* twice as many as now */
    if (worth < missing)
        bh_pool_wakeup(shard, is_overdue ? bh_pool_later(shard->now_us, takes_us) : review_us);
    return worth < missing ? (unsigned)worth : missing;
}

static void ping_idle(struct bh_pool_shard *const shard, const unsigned demand)
{
    struct bh_list *const idle = &shard->states[BH_POOL_IDLE];
    while (demand > bh_pool_in_state(shard, BH_POOL_PINGING) && !bh_list_is_empty(idle)) {
        struct bh_pool_connection *const connection = bh_pool_connection_at(idle->next);
        bh_pool_move(connection, BH_POOL_PINGING);
        shard->driver->ping(connection);
    }
}

static unsigned above(const unsigned one, const unsigned other)
{
    return one > other ? one - other : 0;
}

/* As many as the minimum and the waiting need. */
static unsigned missing_of(struct bh_pool_shard *const shard, const unsigned urgent)
{
    const unsigned staying = shard->connection_count - bh_pool_in_state(shard, BH_POOL_CLOSING);
    unsigned patient = above(bh_pool_minimum_of(shard), staying);
    if (patient == 0 && bh_pool_in_state(shard, BH_POOL_CONNECTING) == 0 &&
        atomic_load_explicit(&shard->pool->is_down, memory_order_relaxed))
        patient = 1; /* else nobody would notice that the host is back */
    return urgent > patient ? urgent : patient;
}

static void make_connections(struct bh_pool_shard *const shard, const unsigned demand)
{
    const unsigned urgent = worth_of(shard, above(demand, bh_pool_coming(shard)));
    const unsigned missing = missing_of(shard, urgent);
    for (unsigned made = 0; made < missing; made++) {
        uint64_t limit_us = 0;
        uint64_t retry_us = BH_NEVER_US;
        if (!bh_pool_budget_claim(shard, made < urgent, bh_pool_has_high(shard), &limit_us,
                                  &retry_us)) {
            bh_pool_wakeup(shard, retry_us);
            return;
        }
        bh_pool_connect(shard, limit_us);
    }
    bh_pool_budget_unclaim(shard);
}

/* Idle connections that nobody here waits for go to the shards that are out of tokens. */
static void give_idle(struct bh_pool_shard *const shard)
{
    struct bh_list *const idle = &shard->states[BH_POOL_IDLE];
    while (bh_pool_load(&shard->pool->hungry) > 0 && !bh_list_is_empty(idle)) {
        struct bh_pool_connection *const oldest = bh_pool_connection_at(idle->prev);
        if (!bh_pool_budget_gives_idle(shard, shard->now_us - oldest->since_us))
            return;
        bh_pool_end(oldest, BH_POOL_CLOSED_GIVEN);
    }
}

void bh_pool_plan(struct bh_pool_shard *const shard)
{
    if (shard->is_draining) {
        bh_pool_budget_unclaim(shard);
        return;
    }
    if (bh_pool_load(&shard->pool->hungry) > 0)
        bh_pool_tell_longest(shard);
    const bool is_paused = bh_pool_load(&shard->pool->pauses) > 0;
    const unsigned demand = is_paused ? 0 : demand_of(shard);
    ping_idle(shard, demand);
    make_connections(shard, demand);
    if (demand == 0)
        give_idle(shard);
    if (bh_pool_load(&shard->waiting) == 0)
        return;
    const uint64_t hopeless_at_us = bh_pool_hopeless_at_us(shard);
    if (hopeless_at_us > shard->now_us)
        bh_pool_wakeup(shard, hopeless_at_us);
    if (shard->line_counts[BH_POOL_LANE_SHARED] > 0) /* by then a pipeline may be stuck */
        bh_pool_wakeup(shard, shard->now_us + shard->pool->options.shared_slow_us + 1);
}

void bh_pool_tell_drained(struct bh_pool_shard *const shard)
{
    if (shard->is_drained || shard->connection_count > 0)
        return;
    shard->is_drained = true;
    shard->hooks->drained(shard->hooks_context);
}

void bh_pool_settle(struct bh_pool_shard *const shard)
{
    bh_pool_serve(shard);
    bh_pool_plan(shard);
    if (BH_UNLIKELY(shard->is_draining))
        bh_pool_tell_drained(shard);
}
