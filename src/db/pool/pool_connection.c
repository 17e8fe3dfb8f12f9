/*
 * The states of a connection: what the driver's answers, time limits and returns do to it.
 */
#include "bulkhead/base/log.h"
#include "db/pool/pool_budget.h"

#define TO(state) (1u << BH_POOL_##state)

static const unsigned legal[BH_POOL_STATE_COUNT] = {
    [BH_POOL_CONNECTING] = TO(IDLE),
    [BH_POOL_IDLE] = TO(BUSY) | TO(SHARED) | TO(PINGING) | TO(CLOSING),
    [BH_POOL_BUSY] = TO(IDLE) | TO(RESETTING) | TO(QUARANTINED),
    [BH_POOL_SHARED] = TO(IDLE),
    [BH_POOL_PINGING] = TO(IDLE),
    [BH_POOL_RESETTING] = TO(IDLE),
    [BH_POOL_QUARANTINED] = TO(IDLE),
    [BH_POOL_CLOSING] = 0,
};

const char *bh_pool_state_name(const enum bh_pool_state state)
{
    static const char *const names[BH_POOL_STATE_COUNT] = {
        "connecting", "idle", "busy", "shared", "pinging", "resetting", "quarantined", "closing",
    };
    bh_assert(state < BH_POOL_STATE_COUNT);
    return names[state];
}

uint64_t bh_pool_advance(struct bh_pool_shard *const shard, const uint64_t now_us)
{
    if (now_us > shard->now_us)
        shard->now_us = now_us;
    return shard->now_us;
}

void bh_pool_wakeup(struct bh_pool_shard *const shard, const uint64_t at_us)
{
    if (BH_LIKELY(at_us >= shard->wakeup_us))
        return;
    shard->wakeup_us = at_us;
    if (!shard->is_ticking)
        shard->hooks->schedule(shard->hooks_context, at_us);
}

/* ---- The one mover ---- */

/* When its pipeline will have been without an answer for too long. Who drains the shard has no
 * caller left. */
uint64_t bh_pool_silent_at_us(const struct bh_pool_connection *const connection)
{
    const struct bh_pool_shard *const shard = connection->shard;
    const struct bh_pool_options *const options = &shard->pool->options;
    const bool is_short = shard->is_draining &&
                          options->clean_timeout_us < options->shared_timeout_us;
    return bh_pool_later(connection->progress_us,
                         is_short ? options->clean_timeout_us : options->shared_timeout_us);
}

static uint64_t time_limit_us(const struct bh_pool_connection *const connection,
                              const enum bh_pool_state state)
{
    const struct bh_pool_shard *const shard = connection->shard;
    const struct bh_pool_options *const options = &shard->pool->options;
    const uint64_t now_us = shard->now_us;
    uint64_t idle_until_us;
    switch (state) {
    case BH_POOL_IDLE:
        idle_until_us = bh_pool_later(now_us, options->idle_timeout_us);
        return idle_until_us < connection->expires_us ? idle_until_us : connection->expires_us;
    case BH_POOL_BUSY:
        return bh_pool_later(now_us, options->leak_us);
    case BH_POOL_PINGING:
        return bh_pool_later(now_us, options->ping_timeout_us);
    case BH_POOL_RESETTING:
    case BH_POOL_QUARANTINED:
        return bh_pool_later(now_us, options->clean_timeout_us);
    case BH_POOL_CLOSING:
        return bh_pool_later(now_us, options->close_timeout_us);
    case BH_POOL_SHARED: /* put off as there is progress, once it is due */
        return bh_pool_silent_at_us(connection);
    case BH_POOL_CONNECTING: /* set as it is begun */
    case BH_POOL_STATE_COUNT:
        break;
    }
    return BH_NEVER_US;
}

static bool is_active(const enum bh_pool_state state)
{
    return state == BH_POOL_BUSY || state == BH_POOL_SHARED;
}

static void put(struct bh_pool_connection *const connection, const enum bh_pool_state state)
{
    struct bh_pool_shard *const shard = connection->shard;
    connection->state = state;
    connection->since_us = shard->now_us;
    bh_pool_change(&shard->state_counts[state], 1);
    if (state == BH_POOL_IDLE) /* the one used last is taken first */
        bh_list_prepend(&shard->states[state], &connection->node);
    else
        bh_list_append(&shard->states[state], &connection->node);
}

void bh_pool_move(struct bh_pool_connection *const connection, const enum bh_pool_state state)
{
    struct bh_pool_shard *const shard = connection->shard;
    const struct bh_db_lane_metrics *const metrics = &shard->pool->metrics.lane;
    bh_assert(legal[connection->state] & (1u << state));
    if (connection->state == BH_POOL_CONNECTING)
        bh_metrics_add(metrics->connections, 1);
    if (is_active(connection->state) != is_active(state))
        bh_metrics_add(metrics->active, is_active(state) ? 1 : -1);
    bh_pool_change(&shard->state_counts[connection->state], -1);
    bh_list_unlink(&connection->node);
    put(connection, state);
    connection->due_us = time_limit_us(connection, state);
    bh_pool_wakeup(shard, connection->due_us);
}

/* ---- Beginning and end ---- */

void bh_pool_connect(struct bh_pool_shard *const shard, const uint64_t limit_us)
{
    const unsigned generation = bh_pool_load(&shard->pool->generation);
    shard->is_in_driver = true;
    struct bh_pool_connection *const connection = shard->driver->connect(shard,
                                                                         shard->driver_context);
    shard->is_in_driver = false;
    if (!connection) {
        struct bh_error error;
        bh_error_set(&error, BH_ENOMEM, "no memory for a connection");
        bh_pool_count(shard, BH_POOL_COUNT_CLOSED + BH_POOL_CLOSED_CONNECT);
        bh_pool_budget_failed(shard, BH_POOL_UNREACHABLE, &error);
        bh_pool_budget_return(shard, false);
        return;
    }
    *connection = (struct bh_pool_connection){
        .shard = shard,
        .generation = generation,
        .created_us = shard->now_us,
        .expires_us = BH_NEVER_US,
        .due_us = bh_pool_later(shard->now_us, limit_us),
    };
    bh_list_init(&connection->leases);
    bh_list_init(&connection->node);
    shard->connection_count++;
    put(connection, BH_POOL_CONNECTING);
    bh_pool_wakeup(shard, connection->due_us);
}

static void destroy(struct bh_pool_connection *const connection)
{
    struct bh_pool_shard *const shard = connection->shard;
    bh_assert(connection->depth == 0);
    const bool was_given = connection->why == BH_POOL_CLOSED_GIVEN;
    if (connection->state != BH_POOL_CONNECTING)
        bh_metrics_add(shard->pool->metrics.lane.connections, -1);
    if (is_active(connection->state))
        bh_metrics_add(shard->pool->metrics.lane.active, -1);
    if (connection->state == BH_POOL_CLOSING)
        atomic_fetch_sub(&shard->pool->closing, 1);
    bh_pool_change(&shard->state_counts[connection->state], -1);
    bh_list_unlink(&connection->node);
    shard->connection_count--;
    shard->is_in_driver = true;
    shard->driver->destroy(connection);
    shard->is_in_driver = false;
    bh_pool_budget_return(shard, was_given);
}

static bool is_older_than(const struct bh_pool_connection *const connection,
                          const unsigned generation)
{
    return (int)(generation - connection->generation) > 0;
}

void bh_pool_end(struct bh_pool_connection *const connection, const enum bh_pool_close_reason why)
{
    struct bh_pool_shard *const shard = connection->shard;
    bh_assert(connection->state != BH_POOL_CLOSING);
    connection->why = why;
    bh_pool_count(shard, BH_POOL_COUNT_CLOSED + why);
    const bool is_worth_goodbye = connection->state == BH_POOL_IDLE && !connection->is_suspect &&
                                  !is_older_than(connection,
                                                 bh_pool_load(&shard->pool->suspect_generation));
    if (!is_worth_goodbye) {
        destroy(connection);
        return;
    }
    bh_pool_move(connection, BH_POOL_CLOSING);
    atomic_fetch_add(&shard->pool->closing, 1);
    shard->is_in_driver = true;
    shard->driver->close(connection);
    shard->is_in_driver = false;
}

/* ---- Who may stay ---- */

/* More connections than there may be, given who waits. */
static bool is_above_size(const struct bh_pool_shard *const shard)
{
    const struct bh_pool *const pool = shard->pool;
    const unsigned maximum = bh_pool_load(&pool->maximum);
    const unsigned used = bh_pool_load(&pool->used);
    if (BH_LIKELY(used + pool->options.reserve <= maximum))
        return false;
    const unsigned limit = maximum + bh_pool_load(&pool->overflow);
    const unsigned staying = used - bh_pool_load(&pool->closing);
    return staying > limit || (staying > maximum && bh_pool_load(&shard->waiting) == 0) ||
           (staying + pool->options.reserve > limit && !bh_pool_has_high(shard));
}

/* Whether an idle connection may stay; else *ret_why gets the reason to end it. */
static bool may_stay(const struct bh_pool_connection *const connection,
                     enum bh_pool_close_reason *const ret_why)
{
    const struct bh_pool_shard *const shard = connection->shard;
    if (BH_UNLIKELY(connection->doomed))
        *ret_why = connection->is_silent ? BH_POOL_CLOSED_SILENT : BH_POOL_CLOSED_LOST;
    else if (BH_UNLIKELY(shard->is_draining))
        *ret_why = BH_POOL_CLOSED_DRAINED;
    else if (BH_UNLIKELY(is_older_than(connection, bh_pool_load(&shard->pool->generation))))
        *ret_why = BH_POOL_CLOSED_EVICTED;
    else if (BH_UNLIKELY(shard->now_us >= connection->expires_us))
        *ret_why = BH_POOL_CLOSED_LIFETIME;
    else if (BH_UNLIKELY(is_above_size(shard)))
        *ret_why = BH_POOL_CLOSED_OVERFLOW;
    else
        return true;
    return false;
}

bool bh_pool_park(struct bh_pool_connection *const connection)
{
    struct bh_pool_shard *const shard = connection->shard;
    enum bh_pool_close_reason why = BH_POOL_CLOSED_GIVEN;
    bh_pool_move(connection, BH_POOL_IDLE);
    if (may_stay(connection, &why) &&
        BH_LIKELY(bh_pool_load(&shard->pool->hungry) == 0 || !bh_pool_budget_yields(shard)))
        return true;
    bh_pool_end(connection, why);
    return false;
}

void bh_pool_trim(struct bh_pool_shard *const shard)
{
    struct bh_list *const idle = &shard->states[BH_POOL_IDLE];
    for (struct bh_list *node = idle->prev, *newer; node != idle; node = newer) {
        struct bh_pool_connection *const connection = bh_pool_connection_at(node);
        newer = node->prev;
        const unsigned staying = shard->connection_count - bh_pool_in_state(shard, BH_POOL_CLOSING);
        enum bh_pool_close_reason why;
        if (!may_stay(connection, &why))
            bh_pool_end(connection, why);
        else if (shard->now_us >= connection->due_us && staying > bh_pool_minimum_of(shard))
            bh_pool_end(connection, BH_POOL_CLOSED_IDLE);
    }
}

/* ---- Time limits ---- */

static void tell_leak(struct bh_pool_connection *const connection)
{
    struct bh_pool_shard *const shard = connection->shard;
    const struct bh_pool_lease *const lease = bh_pool_lease_at(connection->leases.next);
    connection->due_us = BH_NEVER_US;
    bh_pool_count(shard, BH_POOL_COUNT_LEAKS);
    bh_log_warning("db",
                   "pool \"%s\": a connection is held for %.1f s already by %.*s; is it a leak?",
                   shard->pool->options.name, (double)(shard->now_us - lease->granted_us) / 1e6,
                   BH_STR_ARGS(bh_pool_holder(lease)));
}

static void time_out_connect(struct bh_pool_connection *const connection)
{
    struct bh_pool_shard *const shard = connection->shard;
    struct bh_error error;
    bh_error_set(&error, BH_ETIMEDOUT, "the database did not answer a connect within %.1f s",
                 (double)(connection->due_us - connection->created_us) / 1e6);
    bh_pool_budget_failed(shard, BH_POOL_UNREACHABLE, &error);
    bh_pool_end(connection, BH_POOL_CLOSED_CONNECT);
}

/* Half-open: the others, idle as long, are no better, nor may the host be. But where another one
 * was of use or made since the question, the host is there, and only slow: to replace all would
 * make it slower. */
static void time_out_ping(struct bh_pool_connection *const connection)
{
    const struct bh_pool_shard *const shard = connection->shard;
    if (shard->last_good_us <= connection->since_us)
        bh_pool_budget_bump(shard->pool, connection->generation, true, NULL);
    bh_pool_end(connection, BH_POOL_CLOSED_PING);
}

/* As a stopped server does it: its machine keeps the connection, and no statement ends. */
static void time_out_shared(struct bh_pool_connection *const connection)
{
    struct bh_pool_shard *const shard = connection->shard;
    connection->due_us = connection->doomed ? BH_NEVER_US : bh_pool_silent_at_us(connection);
    if (shard->now_us < connection->due_us)
        return;
    connection->due_us = BH_NEVER_US;
    connection->is_silent = true;
    bh_log_warning("db",
                   "pool \"%s\": %u pipelined statements have had no answer for %.1f s; their "
                   "connection is given up",
                   shard->pool->options.name, connection->depth,
                   (double)(shard->now_us - connection->progress_us) / 1e6);
    shard->driver->give_up(connection);
}

static void time_out(struct bh_pool_connection *const connection)
{
    switch (connection->state) {
    case BH_POOL_CONNECTING:
        time_out_connect(connection);
        break;
    case BH_POOL_PINGING:
        time_out_ping(connection);
        break;
    case BH_POOL_RESETTING:
    case BH_POOL_QUARANTINED:
        bh_pool_end(connection, BH_POOL_CLOSED_UNCLEAN);
        break;
    case BH_POOL_CLOSING:
        destroy(connection);
        break;
    case BH_POOL_BUSY:
        tell_leak(connection);
        break;
    case BH_POOL_SHARED:
        time_out_shared(connection);
        break;
    case BH_POOL_IDLE: /* bh_pool_trim */
    case BH_POOL_STATE_COUNT:
        break;
    }
}

void bh_pool_expire_connections(struct bh_pool_shard *const shard)
{
    for (unsigned state = 0; state < BH_POOL_STATE_COUNT; state++) {
        BH_LIST_FOREACH(node, &shard->states[state]) {
            struct bh_pool_connection *const connection = bh_pool_connection_at(node);
            if (shard->now_us >= connection->due_us)
                time_out(connection);
        }
    }
}

uint64_t bh_pool_connections_due_us(const struct bh_pool_shard *const shard)
{
    uint64_t due_us = BH_NEVER_US;
    for (unsigned state = 0; state < BH_POOL_STATE_COUNT; state++) {
        BH_LIST_FOREACH(node, &shard->states[state]) {
            const struct bh_pool_connection *const connection = bh_pool_connection_at(node);
            uint64_t at_us = connection->due_us;
            /* Idle for too long, but kept for the minimum: only its lifetime counts. */
            if (state == BH_POOL_IDLE && at_us <= shard->now_us)
                at_us = connection->expires_us;
            if (at_us < due_us)
                due_us = at_us;
        }
    }
    return due_us;
}

/* ---- The driver's answers ---- */

static struct bh_pool_shard *enter(const struct bh_pool_connection *const connection,
                                   const uint64_t now_us)
{
    struct bh_pool_shard *const shard = connection->shard;
    bh_magic_check(shard, BH_POOL_SHARD_MAGIC);
    bh_assert(!shard->is_in_driver);
    bh_pool_advance(shard, now_us);
    return shard;
}

void bh_pool_connected(struct bh_pool_connection *const connection, const uint64_t now_us)
{
    struct bh_pool_shard *const shard = enter(connection, now_us);
    bh_assert(connection->state == BH_POOL_CONNECTING);
    const uint64_t took_us = shard->now_us - connection->created_us;
    const uint64_t lifetime_us = shard->pool->options.lifetime_us;
    if (lifetime_us != BH_NEVER_US) /* together made is not together closed */
        connection->expires_us = bh_pool_later(
            shard->now_us,
            lifetime_us - lifetime_us / 100 * (bh_pool_random_below(&shard->random, 1001)) / 100);
    bh_pool_average(&shard->connect_us, took_us);
    shard->last_good_us = shard->now_us;
    shard->grown_us = shard->now_us;
    bh_pool_count(shard, BH_POOL_COUNT_CONNECTED);
    bh_metrics_observe_us(shard->pool->metrics.connect, took_us);
    bh_pool_budget_connected(shard);
    bh_pool_park(connection);
    bh_pool_settle(shard);
}

void bh_pool_connect_failed(struct bh_pool_connection *const connection,
                            const enum bh_pool_failure failure, const struct bh_error *const error,
                            const uint64_t now_us)
{
    struct bh_pool_shard *const shard = enter(connection, now_us);
    bh_assert(connection->state == BH_POOL_CONNECTING);
    bh_pool_budget_failed(shard, failure, error);
    bh_pool_end(connection, BH_POOL_CLOSED_CONNECT);
    bh_pool_settle(shard);
}

void bh_pool_ready(struct bh_pool_connection *const connection, const uint64_t now_us)
{
    struct bh_pool_shard *const shard = enter(connection, now_us);
    bh_assert(connection->state == BH_POOL_PINGING || connection->state == BH_POOL_RESETTING ||
              connection->state == BH_POOL_QUARANTINED);
    shard->last_good_us = shard->now_us;
    bh_pool_park(connection);
    bh_pool_settle(shard);
}

void bh_pool_closed(struct bh_pool_connection *const connection, const uint64_t now_us)
{
    struct bh_pool_shard *const shard = enter(connection, now_us);
    bh_assert(connection->state == BH_POOL_CLOSING);
    destroy(connection);
    bh_pool_settle(shard);
}

void bh_pool_lost(struct bh_pool_connection *const connection, const enum bh_pool_failure failure,
                  const struct bh_error *const error, const uint64_t now_us)
{
    struct bh_pool_shard *const shard = enter(connection, now_us);
    const enum bh_pool_state state = connection->state;
    bh_assert(state != BH_POOL_CONNECTING);
    if (state == BH_POOL_CLOSING) {
        bh_pool_closed(connection, now_us);
        return;
    }
    /* One that breaks while idle tells nothing of the others: a firewall does that. Nor does one
     * that is silent while others are not. */
    const bool is_alone = connection->is_silent && shard->last_good_us > connection->progress_us;
    if ((state != BH_POOL_IDLE && !is_alone) || failure == BH_POOL_WRONG_ROLE)
        bh_pool_budget_bump(shard->pool, connection->generation, true, error);
    connection->is_suspect = true;
    if (state == BH_POOL_BUSY || state == BH_POOL_SHARED)
        connection->doomed = true;
    else
        bh_pool_end(connection, BH_POOL_CLOSED_LOST);
    bh_pool_settle(shard);
}
