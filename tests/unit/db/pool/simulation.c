#include "simulation.h"

#include <stdlib.h>

#include "db/pool/pool_internal.h"

/* ---- The driver ---- */

static enum sim_outcome decide(struct sim *const sim, const enum sim_gate gate)
{
    sim->calls[gate]++;
    return sim->decide ? sim->decide(sim, gate) : sim->outcomes[gate];
}

static void begin(struct sim_connection *const connection, const enum sim_gate gate)
{
    struct sim *const sim = connection->sim;
    connection->gate = gate;
    connection->outcome = decide(sim, gate);
    if (connection->outcome == SIM_AT_ONCE) {
        sim_break(connection, BH_POOL_BROKEN_OFF);
        return;
    }
    connection->has_answer = connection->outcome != SIM_NEVER;
    connection->answer_us = sim->now_us +
                            (connection->outcome == SIM_SLOW ? sim->slow_us : sim->latency_us);
}

static struct sim_connection *of(struct bh_pool_connection *const base)
{
    return BH_CONTAINER_OF(base, struct sim_connection, base);
}

static void watch_connects(struct sim *const sim)
{
    const uint64_t now_us = sim->pool->shared.now_us; /* does not go back */
    const uint64_t gap_us = now_us - sim->last_connect_us;
    if (atomic_load(&sim->pool->is_down) && gap_us < sim->least_connect_gap_us)
        sim->least_connect_gap_us = gap_us;
    sim->last_connect_us = now_us;
}

static struct bh_pool_connection *driver_connect(struct bh_pool_shard *const shard,
                                                 void *const context)
{
    struct sim_shard *const at = context;
    struct sim *const sim = at->sim;
    bh_assert(at->pool_shard == shard || !at->pool_shard);
    struct sim_connection *const connection = calloc(1, sizeof(*connection));
    bh_assert(connection);
    connection->sim = sim;
    connection->shard = (unsigned)(at - sim->shards);
    connection->begun_us = sim->now_us;
    static unsigned numbers;
    connection->number = ++numbers;
    watch_connects(sim);
    begin(connection, SIM_CONNECT);
    bh_list_append(&sim->connections, &connection->node);
    sim->alive++;
    if (sim->alive > sim->alive_peak)
        sim->alive_peak = sim->alive;
    return &connection->base;
}

static void driver_ping(struct bh_pool_connection *const base)
{
    begin(of(base), SIM_PING);
}

static void driver_reset(struct bh_pool_connection *const base)
{
    begin(of(base), SIM_RESET);
}

static void driver_cancel(struct bh_pool_connection *const base)
{
    begin(of(base), SIM_CANCEL);
}

static void driver_give_up(struct bh_pool_connection *const base)
{
    struct sim_connection *const connection = of(base);
    const uint64_t now_us = connection->sim->now_us;
    connection->sim->given_up++;
    sim_break(connection, BH_POOL_BROKEN_OFF);
    for (unsigned left = base->depth; left > 0; left--)
        bh_pool_release(bh_pool_lease_at(base->leases.next), BH_POOL_BROKEN, now_us);
}

static void driver_close(struct bh_pool_connection *const base)
{
    begin(of(base), SIM_CLOSE);
}

static void driver_destroy(struct bh_pool_connection *const base)
{
    struct sim_connection *const connection = of(base);
    bh_list_unlink(&connection->node);
    connection->sim->alive--;
    connection->sim->destroyed++;
    free(connection);
}

static const struct bh_pool_driver driver = {
    .connect = driver_connect,
    .ping = driver_ping,
    .reset = driver_reset,
    .cancel = driver_cancel,
    .give_up = driver_give_up,
    .close = driver_close,
    .destroy = driver_destroy,
};

static unsigned made(const struct sim *const sim)
{
    unsigned count = 0;
    BH_LIST_FOREACH(node, &sim->connections) {
        count += BH_LIST_ENTRY(node, struct sim_connection, node)->is_made;
    }
    return count;
}

static void answer_connect(struct sim_connection *const connection)
{
    const struct sim *const sim = connection->sim;
    struct bh_error error;
    const bool is_full = sim->server_maximum > 0 && made(sim) >= sim->server_maximum;
    if (connection->outcome != SIM_ERROR && !is_full) {
        connection->is_made = true;
        bh_pool_connected(&connection->base, sim->now_us);
        return;
    }
    bh_error_set(&error, BH_EUNAVAILABLE, is_full ? "too many clients already" : "refused");
    bh_pool_connect_failed(&connection->base, is_full ? BH_POOL_TOO_MANY : sim->connect_failure,
                           &error, sim->now_us);
}

static void answer(struct sim_connection *const connection)
{
    const uint64_t now_us = connection->sim->now_us;
    connection->has_answer = false;
    if (connection->gate == SIM_CONNECT) {
        answer_connect(connection);
    } else if (connection->gate == SIM_CLOSE) {
        bh_pool_closed(&connection->base, now_us);
    } else if (connection->outcome == SIM_ERROR) {
        sim_break(connection, BH_POOL_BROKEN_OFF);
    } else {
        bh_pool_ready(&connection->base, now_us);
    }
}

void sim_break(struct sim_connection *const connection, const enum bh_pool_failure failure)
{
    struct bh_error error;
    bh_error_set(&error, BH_ECLOSED, "the server closed the connection");
    connection->has_answer = false;
    bh_pool_lost(&connection->base, failure, &error, connection->sim->now_us);
}

struct sim_connection *sim_connection_of(const struct bh_pool_lease *const lease)
{
    return of(lease->connection);
}

/* ---- The shards' wake-ups ---- */

static void hook_schedule(void *const context, const uint64_t at_us)
{
    struct sim_shard *const shard = context;
    shard->scheduled_us = at_us;
}

static void hook_wake(void *const context)
{
    struct sim_shard *const shard = context;
    bh_assert(!shard->is_woken); /* once is enough */
    shard->is_woken = true;
}

static void hook_drained(void *const context)
{
    struct sim_shard *const shard = context;
    bh_assert(!shard->is_drained);
    shard->is_drained = true;
}

static const struct bh_pool_hooks hooks = {
    .schedule = hook_schedule,
    .wake = hook_wake,
    .drained = hook_drained,
};

static void tick(struct sim_shard *const shard)
{
    shard->is_woken = false;
    shard->scheduled_us = BH_NEVER_US;
    bh_pool_tick(shard->pool_shard, shard->sim->now_us);
    bh_assert(shard->scheduled_us == bh_pool_next_wakeup_us(shard->pool_shard));
    bh_assert(shard->scheduled_us > shard->sim->now_us); /* no spinning */
}

void sim_shard_start(struct sim *const sim, const unsigned index)
{
    struct sim_shard *const shard = &sim->shards[index];
    *shard = (struct sim_shard){ .sim = sim, .scheduled_us = BH_NEVER_US };
    const int result = bh_pool_shard_create(sim->pool, &driver, shard, &hooks, shard,
                                            &shard->pool_shard);
    bh_assert(result == 0);
    tick(shard);
}

/* ---- Time ---- */

/* What is due next: an answer, or a shard's tick. */
static uint64_t find_next(struct sim *const sim, struct sim_connection **const ret_connection,
                          struct sim_shard **const ret_shard)
{
    uint64_t next_us = BH_NEVER_US;
    *ret_connection = NULL;
    *ret_shard = NULL;
    BH_LIST_FOREACH(node, &sim->connections) {
        struct sim_connection *const connection = BH_LIST_ENTRY(node, struct sim_connection, node);
        if (connection->has_answer && connection->answer_us < next_us) {
            next_us = connection->answer_us;
            *ret_connection = connection;
        }
    }
    for (unsigned i = 0; i < sim->shard_count; i++) {
        struct sim_shard *const shard = &sim->shards[i];
        if (!shard->pool_shard)
            continue;
        const uint64_t at_us = shard->is_woken ? sim->now_us : shard->scheduled_us;
        if (at_us < next_us) {
            next_us = at_us;
            *ret_connection = NULL;
            *ret_shard = shard;
        }
    }
    return next_us;
}

bool sim_step(struct sim *const sim, const uint64_t until_us)
{
    struct sim_connection *connection;
    struct sim_shard *shard;
    const uint64_t next_us = find_next(sim, &connection, &shard);
    if (next_us > until_us)
        return false;
    if (next_us > sim->now_us)
        sim->now_us = next_us;
    if (connection)
        answer(connection);
    else if (shard)
        tick(shard);
    sim_check(sim);
    return true;
}

void sim_run_until(struct sim *const sim, const uint64_t until_us)
{
    while (sim_step(sim, until_us)) {
    }
    if (until_us > sim->now_us)
        sim->now_us = until_us;
}

void sim_run(struct sim *const sim, const uint64_t duration_us)
{
    sim_run_until(sim, sim->now_us + duration_us);
}

void sim_check(const struct sim *const sim)
{
    for (unsigned i = 0; i < sim->shard_count; i++) {
        if (sim->shards[i].pool_shard)
            bh_pool_check(sim->shards[i].pool_shard);
    }
    bh_pool_check_budget(sim->pool);
    const struct bh_pool_stats stats = sim_stats(sim);
    bh_assert(stats.total == sim->alive);
}

/* ---- Life ---- */

void sim_init(struct sim *const sim, const struct bh_pool_options *const options,
              const uint64_t seed)
{
    *sim = (struct sim){
        .now_us = 1000 * BH_SECOND_US,
        .random = seed,
        .shard_count = options->shard_count,
        .latency_us = 5 * BH_MS_US,
        .slow_us = 300 * BH_MS_US,
        .least_connect_gap_us = BH_NEVER_US,
    };
    bh_list_init(&sim->connections);
    struct bh_error error;
    const int result = bh_pool_create(options, &sim->pool, &error);
    bh_assert(result == 0 && sim->shard_count <= SIM_SHARDS_MAXIMUM);
    for (unsigned i = 0; i < sim->shard_count; i++)
        sim_shard_start(sim, i);
}

void sim_fini(struct sim *const sim)
{
    for (unsigned i = 0; i < sim->shard_count; i++)
        bh_pool_drain(sim->shards[i].pool_shard, sim->now_us);
    sim_check(sim);
    sim_run(sim, 100 * BH_SECOND_US);
    bh_assert(sim->alive == 0 && bh_list_is_empty(&sim->connections));
    for (unsigned i = 0; i < sim->shard_count; i++) {
        bh_assert(sim->shards[i].is_drained);
        bh_pool_shard_destroy(sim->shards[i].pool_shard);
    }
    bh_pool_destroy(sim->pool);
}

struct bh_pool_stats sim_stats(const struct sim *const sim)
{
    struct bh_pool_stats stats;
    bh_pool_stats(sim->pool, &stats);
    return stats;
}

/* ---- Leases ---- */

static void told(struct bh_pool_lease *const base)
{
    struct sim_lease *const lease = BH_CONTAINER_OF(base, struct sim_lease, base);
    lease->told++;
    bh_assert(base->state != BH_POOL_LEASE_WAITING);
    bh_assert((base->state == BH_POOL_LEASE_GRANTED) == (base->result == 0));
    bh_assert((base->state == BH_POOL_LEASE_GRANTED) == (base->connection != NULL));
}

void sim_lease_init(struct sim_lease *const lease, struct sim *const sim)
{
    *lease = (struct sim_lease){
        .base = { .priority = BH_POOL_NORMAL, .notify = told, .route = BH_STR("GET /test") },
        .sim = sim,
    };
    lease->base.error = &lease->error;
}

int sim_request(struct sim_lease *const lease, const unsigned shard)
{
    struct sim *const sim = lease->sim;
    lease->told = 0;
    const int result = bh_pool_request(sim->shards[shard].pool_shard, &lease->base, sim->now_us);
    bh_assert(lease->told == 0); /* the result tells */
    bh_assert((result == 0) == sim_is_granted(lease) && (result == 1) == sim_is_waiting(lease));
    sim_check(sim);
    return result;
}

int sim_ask(struct sim_lease *const lease, struct sim *const sim)
{
    sim_lease_init(lease, sim);
    return sim_request(lease, 0);
}

void sim_release(struct sim_lease *const lease, const enum bh_pool_outcome outcome)
{
    bh_pool_release(&lease->base, outcome, lease->sim->now_us);
    sim_check(lease->sim);
}

void sim_withdraw(struct sim_lease *const lease)
{
    const unsigned before = lease->told;
    bh_pool_withdraw(&lease->base, lease->sim->now_us);
    bh_assert(lease->told == before && lease->base.state == BH_POOL_LEASE_NONE);
    sim_check(lease->sim);
}

bool sim_is_granted(const struct sim_lease *const lease)
{
    return lease->base.state == BH_POOL_LEASE_GRANTED;
}

bool sim_is_waiting(const struct sim_lease *const lease)
{
    return lease->base.state == BH_POOL_LEASE_WAITING;
}
