/*
 * The waiting line: strictly first in, first out within a priority and lane. Connections are handed
 * to the line by one function, bh_pool_serve, in the same step in which they become idle; a request
 * that finds nobody in line takes one itself. So nobody overtakes, and nobody waits beside an idle
 * connection.
 */
#include "db/pool/pool_steps.h"

/* An exclusive waiter may hope for a busy connection that was granted this recently. */
#define TURNOVER_US BH_SECOND_US

/* ---- Connections to grant ---- */

static bool is_stale(const struct bh_pool_connection *const connection)
{
    const struct bh_pool_shard *const shard = connection->shard;
    return connection->doomed || shard->now_us >= connection->expires_us ||
           connection->generation != bh_pool_load(&shard->pool->generation);
}

/* The connection used last, or NULL: none, or it must be pinged first (as those behind it). */
static struct bh_pool_connection *take_idle(struct bh_pool_shard *const shard)
{
    struct bh_list *const idle = &shard->states[BH_POOL_IDLE];
    while (!bh_list_is_empty(idle)) {
        struct bh_pool_connection *const connection = bh_pool_connection_at(idle->next);
        if (BH_LIKELY(!is_stale(connection))) {
            const uint64_t idle_us = shard->now_us - connection->since_us;
            return idle_us < shard->pool->options.ping_after_us ? connection : NULL;
        }
        bh_pool_end(connection, shard->now_us >= connection->expires_us ? BH_POOL_CLOSED_LIFETIME
                                                                        : BH_POOL_CLOSED_EVICTED);
    }
    return NULL;
}

/* Neither ending nor stuck behind a statement that takes longer than was predicted. */
static bool is_live(const struct bh_pool_connection *const connection)
{
    const struct bh_pool_shard *const shard = connection->shard;
    return !is_stale(connection) &&
           shard->now_us - connection->progress_us <= shard->pool->options.shared_slow_us;
}

unsigned bh_pool_shared_live(const struct bh_pool_shard *const shard)
{
    unsigned live = 0;
    BH_LIST_FOREACH(node, &shard->states[BH_POOL_SHARED]) {
        live += is_live(bh_pool_connection_at(node));
    }
    return live;
}

unsigned bh_pool_coming(const struct bh_pool_shard *const shard)
{
    return bh_pool_in_state(shard, BH_POOL_CONNECTING) + bh_pool_in_state(shard, BH_POOL_PINGING) +
           bh_pool_in_state(shard, BH_POOL_RESETTING);
}

/* The shared connection with the least predicted work that takes `work_us` more; or NULL. */
static struct bh_pool_connection *take_room(const struct bh_pool_shard *const shard,
                                            const uint64_t work_us)
{
    const struct bh_pool_options *const options = &shard->pool->options;
    struct bh_pool_connection *least = NULL;
    BH_LIST_FOREACH(node, &shard->states[BH_POOL_SHARED]) {
        struct bh_pool_connection *const connection = bh_pool_connection_at(node);
        const bool has_room = connection->depth < options->shared_depth &&
                              connection->work_us + work_us <= options->shared_drain_us;
        if (has_room && is_live(connection) && (!least || connection->work_us < least->work_us))
            least = connection;
    }
    return least;
}

static struct bh_pool_connection *take_for_shared(struct bh_pool_shard *const shard,
                                                  const struct bh_pool_lease *const lease)
{
    struct bh_pool_connection *connection = take_room(
        shard, bh_pool_class_us(shard, lease->statement_class));
    if (!connection && bh_pool_shared_live(shard) < shard->pool->options.shared_connections)
        connection = take_idle(shard);
    return connection;
}

static unsigned tenant_slot(const struct bh_pool_lease *const lease)
{
    return (lease->tenant * 2654435761u) >> 24; /* 256 slots */
}

void bh_pool_tenant_returned(const struct bh_pool_lease *const lease,
                             struct bh_pool_shard *const shard)
{
    unsigned *const held = &shard->tenants_held[tenant_slot(lease)];
    bh_assert(*held > 0);
    (*held)--;
}

static void grant(struct bh_pool_connection *const connection, struct bh_pool_lease *const lease)
{
    struct bh_pool_shard *const shard = connection->shard;
    lease->state = BH_POOL_LEASE_GRANTED;
    lease->result = 0;
    lease->shard = shard;
    lease->connection = connection;
    lease->granted_us = shard->now_us;
    bh_list_append(&connection->leases, &lease->node);
    connection->depth++;
    if (lease->lane == BH_POOL_LANE_EXCLUSIVE) {
        shard->tenants_held[tenant_slot(lease)]++;
        bh_pool_move(connection, BH_POOL_BUSY);
    } else {
        if (connection->state == BH_POOL_IDLE) {
            connection->progress_us = shard->now_us;
            bh_pool_move(connection, BH_POOL_SHARED);
        }
        lease->work_us = bh_pool_class_us(shard, lease->statement_class);
        connection->work_us += lease->work_us;
    }
    bh_pool_count(shard, BH_POOL_COUNT_GRANTED);
}

bool bh_pool_grant_at_once(struct bh_pool_shard *const shard, struct bh_pool_lease *const lease)
{
    if (bh_pool_load(&shard->waiting) > 0 || bh_pool_load(&shard->pool->pauses) > 0)
        return false;
    struct bh_pool_connection *const connection = lease->lane == BH_POOL_LANE_EXCLUSIVE
                                                      ? take_idle(shard)
                                                      : take_for_shared(shard, lease);
    if (!connection)
        return false;
    grant(connection, lease);
    bh_codel_rest(&shard->codel);
    bh_metrics_observe_us(shard->pool->metrics.lane.acquire_wait, 0);
    return true;
}

/* ---- In and out ---- */

void bh_pool_enter_line(struct bh_pool_shard *const shard, struct bh_pool_lease *const lease)
{
    lease->state = BH_POOL_LEASE_WAITING;
    lease->shard = shard;
    lease->sequence = shard->sequence++;
    bh_list_append(&shard->lines[lease->lane][lease->priority], &lease->node);
    shard->line_counts[lease->lane]++;
    bh_pool_change(&shard->waiting, 1);
    bh_metrics_add(shard->pool->metrics.lane.waiting, 1);
    if (lease->lane == BH_POOL_LANE_EXCLUSIVE)
        shard->tenants_waiting[tenant_slot(lease)]++;
    if (lease->until_us < shard->waiters_due_us)
        shard->waiters_due_us = lease->until_us;
    bh_pool_wakeup(shard, lease->until_us);
}

void bh_pool_leave_line(struct bh_pool_lease *const lease)
{
    struct bh_pool_shard *const shard = lease->shard;
    bh_assert(lease->state == BH_POOL_LEASE_WAITING);
    lease->state = BH_POOL_LEASE_NONE;
    bh_list_unlink(&lease->node);
    shard->line_counts[lease->lane]--;
    bh_pool_change(&shard->waiting, -1);
    bh_metrics_add(shard->pool->metrics.lane.waiting, -1);
    if (lease->lane == BH_POOL_LANE_EXCLUSIVE)
        shard->tenants_waiting[tenant_slot(lease)]--;
}

static void tell(struct bh_pool_lease *const lease)
{
    if (lease != lease->shard->requesting)
        lease->notify(lease);
}

void bh_pool_refuse(struct bh_pool_lease *const lease, const int code,
                    const enum bh_pool_count count)
{
    bh_pool_leave_line(lease);
    lease->result = code;
    bh_pool_count(lease->shard, count);
    tell(lease);
}

static struct bh_pool_lease *first_of(const struct bh_pool_shard *const shard,
                                      const enum bh_pool_lane lane,
                                      const enum bh_pool_priority priority)
{
    struct bh_list *const line = shard->lines[lane][priority].next;
    return line == &shard->lines[lane][priority] ? NULL : bh_pool_lease_at(line);
}

static struct bh_pool_lease *last_of(const struct bh_pool_shard *const shard,
                                     const enum bh_pool_lane lane,
                                     const enum bh_pool_priority priority)
{
    struct bh_list *const line = shard->lines[lane][priority].prev;
    return line == &shard->lines[lane][priority] ? NULL : bh_pool_lease_at(line);
}

/* Who comes first: by priority, then by arrival. NULL comes last. */
static bool is_before(const struct bh_pool_lease *const one,
                      const struct bh_pool_lease *const other)
{
    if (!one || !other)
        return one != NULL;
    if (one->priority != other->priority)
        return one->priority < other->priority;
    return one->sequence < other->sequence;
}

/* ---- Shedding ---- */

static void shed(struct bh_pool_lease *const lease, const char *const why)
{
    bh_pool_refuse(lease, bh_pool_tell_busy(lease->shard, lease, why), BH_POOL_COUNT_SHED);
}

bool bh_pool_make_place(struct bh_pool_shard *const shard, const enum bh_pool_priority priority)
{
    for (enum bh_pool_priority lower = BH_POOL_PRIORITY_COUNT - 1; lower > priority; lower--) {
        struct bh_pool_lease *const exclusive = last_of(shard, BH_POOL_LANE_EXCLUSIVE, lower);
        struct bh_pool_lease *const shared = last_of(shard, BH_POOL_LANE_SHARED, lower);
        struct bh_pool_lease *victim = exclusive ? exclusive : shared;
        if (exclusive && shared && is_before(exclusive, shared))
            victim = shared;
        if (victim) {
            shed(victim, "the line is full, and others come first");
            return true;
        }
    }
    return false;
}

/* CoDel sheds background work alone: people wait, as long as they have said they would. */
static void shed_oldest_low(struct bh_pool_shard *const shard)
{
    struct bh_pool_lease *const exclusive = first_of(shard, BH_POOL_LANE_EXCLUSIVE, BH_POOL_LOW);
    struct bh_pool_lease *const shared = first_of(shard, BH_POOL_LANE_SHARED, BH_POOL_LOW);
    struct bh_pool_lease *const victim = is_before(exclusive, shared) ? exclusive : shared;
    if (victim)
        shed(victim, "the line has been too long for a while");
}

/* ---- Serving ---- */

static bool is_at_cap(const struct bh_pool_shard *const shard,
                      const struct bh_pool_lease *const lease)
{
    const struct bh_pool *const pool = shard->pool;
    if (lease->tenant == 0)
        return false;
    const unsigned limit = bh_pool_load(&pool->maximum) + bh_pool_load(&pool->overflow);
    const unsigned share = (limit + pool->options.shard_count - 1) / pool->options.shard_count;
    const unsigned cap = share * pool->options.tenant_percent / 100;
    return shard->tenants_held[tenant_slot(lease)] >= (cap > 1 ? cap : 1);
}

/* The first in an exclusive line whose tenant is below its cap; the first of all if there is none:
 * a tenant borrows what the others leave. */
static struct bh_pool_lease *first_below_cap(const struct bh_pool_shard *const shard,
                                             const enum bh_pool_priority priority)
{
    const struct bh_list *const line = &shard->lines[BH_POOL_LANE_EXCLUSIVE][priority];
    struct bh_pool_lease *const first = first_of(shard, BH_POOL_LANE_EXCLUSIVE, priority);
    if (!first || shard->pool->options.tenant_percent == 0)
        return first;
    const unsigned alike = shard->tenants_waiting[tenant_slot(first)];
    if (alike == shard->line_counts[BH_POOL_LANE_EXCLUSIVE])
        return first;
    BH_LIST_FOREACH(node, line) {
        if (!is_at_cap(shard, bh_pool_lease_at(node)))
            return bh_pool_lease_at(node);
    }
    return first;
}

static struct bh_pool_lease *next_exclusive(const struct bh_pool_shard *const shard)
{
    for (unsigned i = 0; i < BH_POOL_PRIORITY_COUNT; i++) {
        struct bh_pool_lease *const lease = first_below_cap(shard, i);
        if (lease)
            return lease;
    }
    return NULL;
}

static struct bh_pool_lease *next_shared(const struct bh_pool_shard *const shard)
{
    for (unsigned i = 0; i < BH_POOL_PRIORITY_COUNT; i++) {
        struct bh_pool_lease *const lease = first_of(shard, BH_POOL_LANE_SHARED, i);
        if (lease)
            return lease;
    }
    return NULL;
}

bool bh_pool_shared_has_room(const struct bh_pool_shard *const shard)
{
    const struct bh_pool_lease *const lease = next_shared(shard);
    return lease && take_room(shard, bh_pool_class_us(shard, lease->statement_class));
}

/* Whether an exclusive waiter can hope for a connection other than the shared ones. If not, those
 * must run dry for it. */
static bool has_exclusive_source(const struct bh_pool_shard *const shard)
{
    const struct bh_list *const busy = &shard->states[BH_POOL_BUSY];
    if (bh_pool_coming(shard) + bh_pool_in_state(shard, BH_POOL_QUARANTINED) > 0)
        return true;
    return !bh_list_is_empty(busy) &&
           shard->now_us - bh_pool_connection_at(busy->prev)->since_us < TURNOVER_US;
}

static bool serve_next(struct bh_pool_shard *const shard)
{
    struct bh_pool_lease *const exclusive = next_exclusive(shard);
    struct bh_pool_lease *const shared = next_shared(shard);
    struct bh_pool_lease *lease = shared;
    struct bh_pool_connection *connection = NULL;
    if (is_before(exclusive, shared)) {
        connection = take_idle(shard);
        lease = connection ? exclusive : shared;
        if (!connection && shared && has_exclusive_source(shard))
            connection = take_room(shard, bh_pool_class_us(shard, shared->statement_class));
    } else {
        connection = take_for_shared(shard, shared);
        if (!connection && exclusive) {
            connection = take_idle(shard);
            lease = exclusive;
        }
    }
    if (!connection)
        return false;

    const uint64_t delay_us = shard->now_us - lease->requested_us;
    bh_pool_leave_line(lease);
    grant(connection, lease);
    bh_pool_count(shard, BH_POOL_COUNT_WAITED);
    bh_metrics_observe_us(shard->pool->metrics.lane.acquire_wait, delay_us);
    tell(lease);
    if (bh_codel_step(&shard->codel, delay_us, shard->now_us))
        shed_oldest_low(shard);
    return true;
}

/* ---- Time limits ---- */

static void time_out(struct bh_pool_lease *const lease)
{
    struct bh_pool_shard *const shard = lease->shard;
    if (lease->until_us == lease->deadline_us) {
        bh_pool_tell_busy(shard, lease, "none became free in time");
        if (lease->error)
            lease->error->code = BH_ETIMEDOUT;
        bh_pool_refuse(lease, BH_ETIMEDOUT, BH_POOL_COUNT_TIMED_OUT);
    } else if (bh_pool_hopeless_at_us(shard) != BH_NEVER_US) { /* down: nobody here is too busy */
        bh_pool_refuse(lease, bh_pool_tell_unavailable(shard, lease), BH_POOL_COUNT_UNAVAILABLE);
    } else {
        bh_pool_refuse(lease, bh_pool_tell_busy(shard, lease, "none became free in time"),
                       BH_POOL_COUNT_TIMED_OUT);
    }
}

void bh_pool_expire_waiters(struct bh_pool_shard *const shard)
{
    const bool is_hopeless = bh_pool_is_unavailable(shard);
    if (shard->now_us < shard->waiters_due_us && !is_hopeless)
        return;
    shard->waiters_due_us = BH_NEVER_US;
    for (unsigned line = 0; line < BH_POOL_LANES * BH_POOL_PRIORITY_COUNT; line++) {
        struct bh_list *const head =
            &shard->lines[line / BH_POOL_PRIORITY_COUNT][line % BH_POOL_PRIORITY_COUNT];
        BH_LIST_FOREACH(node, head) {
            struct bh_pool_lease *const lease = bh_pool_lease_at(node);
            if (shard->now_us >= lease->until_us)
                time_out(lease);
            else if (is_hopeless)
                bh_pool_refuse(lease, bh_pool_tell_unavailable(shard, lease),
                               BH_POOL_COUNT_UNAVAILABLE);
            else if (lease->until_us < shard->waiters_due_us)
                shard->waiters_due_us = lease->until_us;
        }
    }
}

uint64_t bh_pool_oldest_request_us(const struct bh_pool_shard *const shard)
{
    uint64_t oldest_us = BH_NEVER_US;
    for (unsigned line = 0; line < BH_POOL_LANES * BH_POOL_PRIORITY_COUNT; line++) {
        const struct bh_pool_lease *const first = first_of(shard, line / BH_POOL_PRIORITY_COUNT,
                                                           line % BH_POOL_PRIORITY_COUNT);
        if (first && first->requested_us < oldest_us)
            oldest_us = first->requested_us;
    }
    return oldest_us;
}

void bh_pool_serve(struct bh_pool_shard *const shard)
{
    bh_pool_expire_waiters(shard); /* none is served after its time, however late we are */
    while (bh_pool_load(&shard->waiting) > 0 && bh_pool_load(&shard->pool->pauses) == 0 &&
           serve_next(shard)) {
    }
}
