/*
 * A seeded random walk through everything that can happen to a pool, in a world without clock and
 * network; every invariant is asserted after every step, and a model beside it asserts what callers
 * were promised: each request ends exactly once and in time, first in is first out, there are never
 * more connections than the maximum, and a pool that is left in peace has no waiter and no loss.
 *
 * Walks a few seconds; BH_SIMULATION_SECONDS=600 for longer. A failing walk prints its seed;
 * BH_SIMULATION_SEED=<seed> walks that one alone.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "cmocka_setup.h"
#include "db/pool/pool_internal.h"
#include "simulation.h"

#define LEASES 96
#define STEPS_OF_A_WALK 20000
#define SECONDS_DEFAULT 3

struct walk {
    struct sim sim;
    struct sim_lease leases[LEASES];
    bool waits[LEASES];  /* as far as its caller knows */
    unsigned limit_peak; /* the largest maximum + overflow since connections were last that many */
    bool is_capped;
    bool server_is_down;
    uint64_t steps;
};

/* Ready before anything fails: a signal handler may not format. */
static char replay_text[64];
static size_t replay_length;

static void tell_seed(const int signal_number)
{
    (void)signal_number;
    const ssize_t written = write(STDERR_FILENO, replay_text, replay_length);
    (void)written;
    signal(SIGABRT, SIG_DFL);
}

static uint64_t below(struct walk *const walk, const uint64_t bound)
{
    return prng_below(&walk->sim.random, bound);
}

static bool one_in(struct walk *const walk, const uint64_t number)
{
    return below(walk, number) == 0;
}

/* ---- The model ---- */

/* Granted from the line: nobody who came before it in the same line still waits. With caps only
 * those of the same tenant count. */
static void check_order(struct walk *const walk, const struct sim_lease *const granted)
{
    for (unsigned i = 0; i < LEASES; i++) {
        const struct bh_pool_lease *const other = &walk->leases[i].base;
        if (other->state != BH_POOL_LEASE_WAITING || other->shard != granted->base.shard)
            continue;
        const bool is_same_line = other->lane == granted->base.lane &&
                                  other->priority == granted->base.priority &&
                                  (!walk->is_capped || other->tenant == granted->base.tenant ||
                                   other->lane == BH_POOL_LANE_SHARED);
        bh_assert(!is_same_line || other->sequence > granted->base.sequence);
    }
}

/* Good as far as the pool can know: neither lost nor condemned with its generation. */
static void check_connection(const struct bh_pool_lease *const lease)
{
    const struct bh_pool_connection *const connection = lease->connection;
    bh_assert(connection && !connection->doomed);
    bh_assert(connection->generation == atomic_load(&lease->shard->pool->generation));
    bh_assert(lease->shard->now_us < connection->expires_us);
}

/* Granted at once: nobody stood in the line it would have joined. */
static void check_no_line(struct walk *const walk, const struct sim_lease *const granted)
{
    for (unsigned i = 0; i < LEASES; i++) {
        const struct bh_pool_lease *const other = &walk->leases[i].base;
        bh_assert(other->state != BH_POOL_LEASE_WAITING || other->shard != granted->base.shard ||
                  other->lane != granted->base.lane || other->priority != granted->base.priority ||
                  (walk->is_capped && other->tenant != granted->base.tenant));
    }
}

static struct walk *current;

static void told(struct bh_pool_lease *const base)
{
    struct sim_lease *const lease = BH_CONTAINER_OF(base, struct sim_lease, base);
    bh_assert(lease->told == 0); /* a request ends once */
    lease->told++;
    current->waits[lease - current->leases] = false;
    if (base->state == BH_POOL_LEASE_GRANTED) {
        bh_assert(base->result == 0);
        check_connection(base);
        check_order(current, lease);
    } else {
        bh_assert(base->state == BH_POOL_LEASE_NONE && base->result < 0);
        bh_assert(lease->error.code == base->result && lease->error.message[0] != '\0');
    }
}

static void check_model(struct walk *const walk)
{
    struct sim *const sim = &walk->sim;
    const struct bh_pool_stats stats = sim_stats(sim);
    const unsigned limit = stats.maximum + stats.overflow;
    if (sim->alive <= limit)
        walk->limit_peak = limit;
    bh_assert(sim->alive <= walk->limit_peak); /* more only as the rest of a larger pool */
    bh_assert(sim->least_connect_gap_us >= 100 * BH_MS_US);
    for (unsigned i = 0; i < LEASES; i++) { /* nobody waits past its time, or for nothing */
        const struct bh_pool_lease *const lease = &walk->leases[i].base;
        bh_assert(walk->waits[i] == (lease->state == BH_POOL_LEASE_WAITING));
        if (!walk->waits[i])
            continue;
        const struct sim_shard *const shard = &sim->shards[lease->shard->index];
        bh_assert(lease->until_us > lease->shard->now_us || shard->scheduled_us <= sim->now_us);
    }
}

/* ---- What happens ---- */

static enum sim_outcome decide_by_luck(struct sim *const sim, const enum sim_gate gate)
{
    const struct walk *const walk = BH_CONTAINER_OF(sim, struct walk, sim);
    const uint64_t luck = prng_below(&sim->random, 100);
    if (walk->server_is_down)
        return gate == SIM_CLOSE || luck < 50 ? SIM_NEVER : SIM_ERROR;
    if (luck < 85)
        return SIM_OK;
    if (luck < 87 && gate != SIM_CONNECT && gate != SIM_CLOSE)
        return SIM_AT_ONCE;
    if (luck < 92)
        return SIM_SLOW;
    return luck < 97 ? SIM_ERROR : SIM_NEVER;
}

static struct sim_lease *find_lease(struct walk *const walk, const enum bh_pool_lease_state state)
{
    const uint64_t start = below(walk, LEASES);
    for (uint64_t i = 0; i < LEASES; i++) {
        struct sim_lease *const lease = &walk->leases[(start + i) % LEASES];
        if (lease->base.state == state)
            return lease;
    }
    return NULL;
}

static unsigned any_shard(struct walk *const walk)
{
    return (unsigned)below(walk, walk->sim.shard_count);
}

static void request(struct walk *const walk)
{
    struct sim *const sim = &walk->sim;
    struct sim_lease *const lease = find_lease(walk, BH_POOL_LEASE_NONE);
    if (!lease)
        return;
    sim_lease_init(lease, sim);
    lease->base.notify = told;
    lease->base.lane = one_in(walk, 2) ? BH_POOL_LANE_SHARED : BH_POOL_LANE_EXCLUSIVE;
    lease->base.priority = (enum bh_pool_priority)below(walk, BH_POOL_PRIORITY_COUNT);
    lease->base.statement_class = (unsigned)below(walk, 8);
    lease->base.tenant = (uint32_t)below(walk, 4);
    if (one_in(walk, 3))
        lease->base.deadline_us = sim->now_us + below(walk, 500 * BH_MS_US);
    const int result = sim_request(lease, any_shard(walk));
    walk->waits[lease - walk->leases] = result > 0;
    if (result == 0) {
        check_connection(&lease->base);
        check_no_line(walk, lease);
    }
    if (result < 0)
        bh_assert(lease->error.code == result);
}

static void release(struct walk *const walk)
{
    struct sim_lease *const lease = find_lease(walk, BH_POOL_LEASE_GRANTED);
    if (!lease)
        return;
    static const enum bh_pool_outcome outcomes[] = {
        BH_POOL_CLEAN, BH_POOL_CLEAN, BH_POOL_CLEAN,   BH_POOL_CLEAN,
        BH_POOL_CLEAN, BH_POOL_DIRTY, BH_POOL_RUNNING, BH_POOL_BROKEN,
    };
    enum bh_pool_outcome outcome = outcomes[below(walk, BH_COUNT_OF(outcomes))];
    if (lease->base.lane == BH_POOL_LANE_SHARED)
        outcome = one_in(walk, 50) ? BH_POOL_BROKEN : BH_POOL_CLEAN;
    sim_release(lease, outcome);
}

static void withdraw(struct walk *const walk)
{
    struct sim_lease *const lease = find_lease(walk, one_in(walk, 4) ? BH_POOL_LEASE_GRANTED
                                                                     : BH_POOL_LEASE_WAITING);
    if (!lease)
        return;
    sim_withdraw(lease);
    walk->waits[lease - walk->leases] = false;
}

static void break_connection(struct walk *const walk)
{
    struct sim *const sim = &walk->sim;
    uint64_t skip = sim->alive ? below(walk, sim->alive) : 0;
    BH_LIST_FOREACH(node, &sim->connections) {
        struct sim_connection *const connection = BH_LIST_ENTRY(node, struct sim_connection, node);
        if (skip-- > 0 || !connection->is_made || connection->base.doomed)
            continue;
        sim_break(connection, one_in(walk, 4) ? BH_POOL_WRONG_ROLE : BH_POOL_BROKEN_OFF);
        break;
    }
}

static void change_server(struct walk *const walk)
{
    static const enum bh_pool_failure failures[] = { BH_POOL_UNREACHABLE, BH_POOL_DENIED,
                                                     BH_POOL_TOO_MANY };
    walk->server_is_down = !walk->server_is_down && one_in(walk, 2);
    walk->sim.connect_failure = failures[below(walk, BH_COUNT_OF(failures))];
    walk->sim.server_maximum = one_in(walk, 3) ? 1 + (unsigned)below(walk, 12) : 0;
}

static void resize(struct walk *const walk)
{
    const struct bh_pool_options *const options = &walk->sim.pool->options;
    const unsigned maximum = options->reserve + 1 + (unsigned)below(walk, 16);
    const unsigned minimum = (unsigned)below(walk, maximum - options->reserve + 1);
    const int result = bh_pool_resize(walk->sim.pool, minimum, maximum, (unsigned)below(walk, 4),
                                      NULL);
    bh_assert(result == 0);
}

static void restart_shard(struct walk *const walk)
{
    struct sim *const sim = &walk->sim;
    struct sim_shard *const shard = &sim->shards[any_shard(walk)];
    bh_pool_drain(shard->pool_shard, sim->now_us);
    for (unsigned i = 0; i < LEASES; i++) {
        struct sim_lease *const lease = &walk->leases[i];
        if (lease->base.shard == shard->pool_shard)
            bh_assert(!sim_is_waiting(lease));
        if (lease->base.shard == shard->pool_shard && sim_is_granted(lease))
            sim_release(lease, BH_POOL_CLEAN);
    }
    while (!shard->is_drained)
        bh_assert(sim_step(sim, sim->now_us + 100 * BH_SECOND_US));
    for (unsigned i = 0; i < LEASES; i++) {
        if (walk->leases[i].base.shard == shard->pool_shard)
            walk->leases[i].base.shard = NULL;
    }
    bh_pool_shard_destroy(shard->pool_shard);
    sim_shard_start(sim, (unsigned)(shard - sim->shards));
}

static void pass_time(struct walk *const walk)
{
    struct sim *const sim = &walk->sim;
    const uint64_t luck = below(walk, 1000);
    uint64_t duration_us = below(walk, 2 * BH_MS_US);
    if (luck < 50)
        duration_us = below(walk, BH_SECOND_US);
    if (luck < 2)
        duration_us = below(walk, 3600 * BH_SECOND_US);
    if (luck == 2 && sim->now_us > 900 * BH_SECOND_US) { /* nothing is promised but no harm */
        sim->now_us -= below(walk, 100 * BH_MS_US);
        return;
    }
    if (luck == 3) { /* a jump: all that was due meanwhile comes late, in any order */
        sim->now_us += below(walk, 100 * BH_SECOND_US);
        return;
    }
    const uint64_t until_us = sim->now_us + duration_us;
    unsigned steps = 0;
    while (steps < 200 && sim_step(sim, until_us))
        steps++;
    walk->steps += steps;
}

static void act(struct walk *const walk)
{
    const uint64_t luck = below(walk, 1000);
    if (luck < 330)
        request(walk);
    else if (luck < 640)
        release(walk);
    else if (luck < 690)
        withdraw(walk);
    else if (luck < 700)
        break_connection(walk);
    else if (luck < 703)
        change_server(walk);
    else if (luck < 705)
        resize(walk);
    else if (luck < 707)
        bh_pool_pause(walk->sim.pool);
    else if (luck < 715)
        bh_pool_resume(walk->sim.pool);
    else if (luck < 717)
        bh_pool_evict(walk->sim.pool);
    else if (luck < 718)
        restart_shard(walk);
    else
        pass_time(walk);
    sim_check(&walk->sim);
    check_model(walk);
    walk->steps++;
}

/* ---- A walk ---- */

static void choose_options(struct walk *const walk, struct bh_pool_options *const options)
{
    bh_pool_options_default(options);
    options->name = "simulation";
    options->seed = walk->sim.random;
    options->shard_count = 1 + (unsigned)below(walk, SIM_SHARDS_MAXIMUM);
    options->reserve = one_in(walk, 3) ? (unsigned)below(walk, 3) : 0;
    options->maximum = options->reserve + 1 + (unsigned)below(walk, 16);
    options->minimum = (unsigned)below(walk, options->maximum - options->reserve + 1);
    options->overflow = one_in(walk, 2) ? (unsigned)below(walk, 5) : 0;
    options->waiters_maximum = 4 + (unsigned)below(walk, LEASES);
    options->tenant_percent = one_in(walk, 3) ? 1 + (unsigned)below(walk, 100) : 0;
    options->shared_connections = (unsigned)below(walk, 4);
    options->shared_depth = 1 + (unsigned)below(walk, 8);
    options->class_count = 8;
    options->shared_timeout_us = one_in(walk, 2) ? 1 + below(walk, BH_SECOND_US) : BH_NEVER_US;
    options->acquire_timeout_us = BH_SECOND_US * (1 + below(walk, 5));
    options->idle_timeout_us = BH_SECOND_US * (1 + below(walk, 100));
    options->lifetime_us = BH_SECOND_US * (1 + below(walk, 200));
    options->ping_after_us = one_in(walk, 2) ? 100 * BH_MS_US : BH_NEVER_US;
    options->leak_us = one_in(walk, 2) ? BH_SECOND_US : BH_NEVER_US;
    options->outage_patience_us = one_in(walk, 2) ? below(walk, 5 * BH_SECOND_US) : BH_NEVER_US;
    walk->is_capped = options->tenant_percent > 0;
}

/* The server is well, nobody asks for anything: whoever waits is served, the minimum is there, and
 * nothing is lost. */
static void come_to_rest(struct walk *const walk)
{
    struct sim *const sim = &walk->sim;
    walk->server_is_down = false;
    sim->server_maximum = 0;
    sim->decide = NULL; /* all gates say SIM_OK */
    while (sim_stats(sim).paused)
        bh_pool_resume(sim->pool);
    for (unsigned round = 0; round < 5 * LEASES; round++) {
        for (unsigned i = 0; i < LEASES; i++) {
            if (sim_is_granted(&walk->leases[i]))
                sim_release(&walk->leases[i], BH_POOL_CLEAN);
        }
        sim_run(sim, BH_SECOND_US / 4);
    }
    const struct bh_pool_stats stats = sim_stats(sim);
    bh_assert(stats.waiting == 0 && stats.busy == 0 && stats.shared == 0 && !stats.down);
    bh_assert(stats.total - stats.closing >= stats.minimum);
    bh_assert(stats.total <= stats.maximum);
    for (unsigned i = 0; i < LEASES; i++)
        bh_assert(walk->leases[i].base.state == BH_POOL_LEASE_NONE);
}

static uint64_t walk_once(const uint64_t seed)
{
    struct walk *const walk = calloc(1, sizeof(*walk));
    bh_assert(walk);
    current = walk;
    replay_length = (size_t)snprintf(replay_text, sizeof(replay_text),
                                     "\nreplay: BH_SIMULATION_SEED=%llu\n",
                                     (unsigned long long)seed);
    walk->sim.random = seed;
    struct bh_pool_options options;
    choose_options(walk, &options);
    sim_init(&walk->sim, &options, seed);
    walk->sim.decide = decide_by_luck;
    for (unsigned i = 0; i < LEASES; i++)
        sim_lease_init(&walk->leases[i], &walk->sim);
    while (walk->steps < STEPS_OF_A_WALK)
        act(walk);
    come_to_rest(walk);
    sim_fini(&walk->sim);
    const uint64_t steps = walk->steps;
    free(walk);
    return steps;
}

static void every_promise_is_kept_on_random_walks(void **const state)
{
    (void)state;
    signal(SIGABRT, tell_seed);
    const char *const seed = getenv("BH_SIMULATION_SEED");
    if (seed) {
        walk_once(strtoull(seed, NULL, 10));
        return;
    }
    const char *const seconds = getenv("BH_SIMULATION_SECONDS");
    const uint64_t limit_us = BH_SECOND_US *
                              (seconds ? strtoull(seconds, NULL, 10) : SECONDS_DEFAULT);
    const uint64_t start_us = bh_time_now_us();
    uint64_t steps = 0;
    uint64_t walks = 0;
    while (bh_time_now_us() - start_us < limit_us)
        steps += walk_once(++walks);
    print_message("%llu steps on %llu walks\n", (unsigned long long)steps,
                  (unsigned long long)walks);
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, STDERR_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promise_is_kept_on_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
