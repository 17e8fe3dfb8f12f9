/*
 * Leases, the line, the life of connections, and the two lanes: each test names what must hold; a
 * number behind it is the complaint about another pool that it answers.
 */
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/db/statistics.h"
#include "cmocka_setup.h"
#include "db/pool/pool_internal.h"
#include "simulation.h"

static void options_of(struct bh_pool_options *const options, const unsigned minimum,
                       const unsigned maximum)
{
    bh_pool_options_default(options);
    options->name = "test";
    options->minimum = minimum;
    options->maximum = maximum;
}

static void start_with(struct sim *const sim, const struct bh_pool_options *const options)
{
    sim_init(sim, options, 7);
    sim_run(sim, 500 * BH_MS_US);
    assert_int_equal(sim_stats(sim).idle, options->minimum);
}

static void start(struct sim *const sim, const unsigned minimum, const unsigned maximum)
{
    struct bh_pool_options options;
    options_of(&options, minimum, maximum);
    start_with(sim, &options);
}

static void release_all(struct sim_lease *const leases, const unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (sim_is_granted(&leases[i]))
            sim_release(&leases[i], BH_POOL_CLEAN);
    }
}

/* ---- The line ---- */

/* HikariCP 2192, 1909, 1232: unfair tails; sqlx and others: barging */
static void first_come_is_first_served(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 2, 2);
    struct sim_lease leases[12];
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), i < 2 ? 0 : 1);
    for (unsigned i = 0; i < 10; i++) {
        sim_release(&leases[i], BH_POOL_CLEAN);
        for (unsigned j = i + 1; j < 12; j++)
            assert_int_equal(sim_is_granted(&leases[j]), j < i + 3);
    }
    release_all(leases, 12);
    assert_int_equal(sim_stats(&sim).connected, 2);
    sim_fini(&sim);
}

static void a_newcomer_does_not_overtake_who_waits_for_a_ping(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    sim_run(&sim, 10 * BH_SECOND_US);
    struct sim_lease first;
    struct sim_lease second;
    assert_int_equal(sim_ask(&first, &sim), 1);
    assert_int_equal(sim_ask(&second, &sim), 1);
    sim_run(&sim, 5 * BH_MS_US);
    assert_true(sim_is_granted(&first) && sim_is_waiting(&second));
    sim_withdraw(&second);
    sim_release(&first, BH_POOL_CLEAN);
    sim_fini(&sim);
}

static void a_lease_withdrawn_in_the_moment_of_its_grant_goes_to_the_next(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    struct sim_lease leases[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), i > 0);
    sim_release(&leases[0], BH_POOL_CLEAN);
    assert_true(sim_is_granted(&leases[1])); /* told, but its caller has gone */
    sim_withdraw(&leases[1]);
    assert_true(sim_is_granted(&leases[2]));
    sim_release(&leases[2], BH_POOL_CLEAN);
    assert_int_equal(sim_stats(&sim).canceled, 1);
    sim_fini(&sim);
}

static void priorities_go_first(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    struct sim_lease leases[4];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    static const enum bh_pool_priority priorities[] = { BH_POOL_LOW, BH_POOL_NORMAL, BH_POOL_HIGH };
    for (unsigned i = 0; i < 3; i++) {
        sim_lease_init(&leases[i + 1], &sim);
        leases[i + 1].base.priority = priorities[i];
        assert_int_equal(sim_request(&leases[i + 1], 0), 1);
    }
    sim_release(&leases[0], BH_POOL_CLEAN);
    for (unsigned i = 3; i >= 1; i--) {
        assert_true(sim_is_granted(&leases[i]));
        sim_release(&leases[i], BH_POOL_CLEAN);
    }
    sim_fini(&sim);
}

/* HikariCP 580, 2258: unbounded waiters */
static void a_full_line_sheds_the_newest_of_the_lowest(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 1, 1);
    options.waiters_maximum = 2;
    start_with(&sim, &options);
    struct sim_lease leases[5];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    for (unsigned i = 1; i < 3; i++) {
        sim_lease_init(&leases[i], &sim);
        leases[i].base.priority = BH_POOL_LOW;
        assert_int_equal(sim_request(&leases[i], 0), 1);
    }
    assert_int_equal(sim_ask(&leases[3], &sim), 1);
    assert_int_equal(leases[2].base.result, BH_EBUSY);
    assert_true(sim_is_waiting(&leases[1]));
    sim_lease_init(&leases[4], &sim);
    leases[4].base.priority = BH_POOL_LOW;
    assert_int_equal(sim_request(&leases[4], 0), BH_EBUSY);
    assert_int_equal(sim_stats(&sim).shed, 2);
    sim_withdraw(&leases[1]);
    sim_withdraw(&leases[3]);
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* A standing queue: background work is shed, nobody else is. */
static void under_a_standing_queue_only_low_priority_is_shed(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    struct sim_lease leases[64];
    for (unsigned i = 0; i < 64; i++) {
        sim_lease_init(&leases[i], &sim);
        leases[i].base.priority = i % 2 ? BH_POOL_LOW : BH_POOL_NORMAL;
        assert_true(sim_request(&leases[i], 0) >= 0);
    }
    for (unsigned i = 0; i < 32; i++) {
        sim_run(&sim, 100 * BH_MS_US);
        assert_true(sim_is_granted(&leases[2 * i]));
        sim_release(&leases[2 * i], BH_POOL_CLEAN);
    }
    assert_in_range(sim_stats(&sim).shed, 3, 10);
    for (unsigned i = 1; i < 64; i += 2) {
        if (sim_is_waiting(&leases[i]))
            sim_withdraw(&leases[i]);
    }
    release_all(leases, 64);
    sim_fini(&sim);
}

static void a_tenant_is_capped_while_others_wait_and_borrows_when_not(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 4, 4);
    options.tenant_percent = 50;
    start_with(&sim, &options);
    struct sim_lease leases[8];
    for (unsigned i = 0; i < 8; i++) {
        sim_lease_init(&leases[i], &sim);
        leases[i].base.tenant = i < 7 ? 1 : 2;
        assert_int_equal(sim_request(&leases[i], 0), i >= 4); /* four: it borrows two */
    }
    sim_release(&leases[0], BH_POOL_CLEAN);
    assert_true(sim_is_granted(&leases[7])); /* before 4, 5 and 6, who came first */
    sim_release(&leases[1], BH_POOL_CLEAN);
    assert_true(sim_is_granted(&leases[4])); /* among themselves in order */
    sim_withdraw(&leases[5]);
    sim_withdraw(&leases[6]);
    release_all(leases, 8);
    sim_fini(&sim);
}

/* npgsql 5156, 3871: "pool exhausted", but by whom? */
static void a_time_out_names_who_holds_the_connections(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 2, 2);
    options.acquire_timeout_us = 2 * BH_SECOND_US;
    start_with(&sim, &options);
    struct sim_lease leases[3];
    sim_lease_init(&leases[0], &sim);
    leases[0].base.route = BH_STR("POST /api/ingest");
    assert_int_equal(sim_request(&leases[0], 0), 0);
    sim_run(&sim, 3 * BH_SECOND_US);
    assert_true(sim_ask(&leases[1], &sim) >= 0);
    sim_run(&sim, 10 * BH_MS_US);
    assert_int_equal(sim_ask(&leases[2], &sim), 1);
    sim_run(&sim, 1999 * BH_MS_US);
    assert_true(sim_is_waiting(&leases[2]));
    sim_run(&sim, 1 * BH_MS_US);
    assert_int_equal(leases[2].base.result, BH_EBUSY);
    assert_string_equal(leases[2].error.message,
                        "\"GET /test\" got no test connection after 2.0 s: none became free in "
                        "time; 2 of 2 are busy, 1 wait, the longest for 5.0 s with \"POST "
                        "/api/ingest\", 2.0 s with \"GET /test\"");
    release_all(leases, 3);
    sim_fini(&sim);
}

/* What is logged from now on, as text. */
static int log_ends[2];

static void begin_log(void)
{
    assert_int_equal(pipe(log_ends), 0);
    bh_log_setup(BH_LOG_WARNING, BH_LOG_TEXT, log_ends[1]);
}

static void end_log(char *const text, const size_t size)
{
    bh_log_flush();
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    close(log_ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(log_ends[0], text + length, size - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(log_ends[0]);
}

static unsigned occurrences(const char *text, const char *const words)
{
    unsigned count = 0;
    for (; (text = strstr(text, words)); text += strlen(words))
        count++;
    return count;
}

static void a_timeout_names_who_holds_on_another_loop(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 0, 1);
    options.shard_count = 2;
    options.acquire_timeout_us = 2 * BH_SECOND_US;
    start_with(&sim, &options);
    struct sim_lease holders[2], waiters[3];
    char log[4096];
    for (unsigned round = 0; round < 2; round++) {
        sim_lease_init(&holders[round], &sim);
        holders[round].base.route = round == 0 ? BH_STR("PATCH /first") : BH_STR("PATCH /second");
        assert_int_equal(sim_request(&holders[round], 0), round == 0 ? 1 : 0);
        sim_run(&sim, BH_SECOND_US);
        begin_log();
        for (unsigned i = 0; i < 3; i++) {
            sim_lease_init(&waiters[i], &sim);
            assert_int_equal(sim_request(&waiters[i], 1), 1);
        }
        sim_run(&sim, 2 * BH_SECOND_US);
        end_log(log, sizeof(log));
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(waiters[i].base.result, BH_EBUSY);
            assert_non_null(strstr(waiters[i].error.message, "1 of 1 are busy"));
            assert_non_null(strstr(waiters[i].error.message, "the longest for "));
            assert_non_null(
                strstr(waiters[i].error.message, (const char *)holders[round].base.route.data));
        }
        assert_int_equal(occurrences(log, "got no test connection"), 1);
        assert_int_equal(occurrences(log, holders[round].base.route.data), 1);
        sim_release(&holders[round], BH_POOL_CLEAN);
    }
    sim_fini(&sim);
}

static void the_callers_own_deadline_is_told_apart(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    struct sim_lease holder;
    struct sim_lease lease;
    assert_int_equal(sim_ask(&holder, &sim), 0);
    sim_lease_init(&lease, &sim);
    lease.base.deadline_us = sim.now_us + 50 * BH_MS_US;
    assert_int_equal(sim_request(&lease, 0), 1);
    sim_run(&sim, 50 * BH_MS_US);
    assert_int_equal(lease.base.result, BH_ETIMEDOUT);
    assert_int_equal(sim_request(&lease, 0), BH_ETIMEDOUT);
    sim_release(&holder, BH_POOL_CLEAN);
    assert_int_equal(sim_stats(&sim).timed_out, 2);
    sim_fini(&sim);
}

static void five_thousand_users_on_forty_connections_are_all_served_in_turn(void **const state)
{
    (void)state;
    enum { USERS = 5000, CONNECTIONS = 40 };
    static struct sim_lease leases[USERS];
    struct sim sim;
    start(&sim, CONNECTIONS, CONNECTIONS);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), i >= CONNECTIONS);
    /* Each works for 2 ms; the returns of a moment come in any order. */
    unsigned next = CONNECTIONS;
    for (unsigned served = 0; served < USERS;) {
        sim_run(&sim, 2 * BH_MS_US);
        const unsigned begin = served;
        const unsigned turn = (unsigned)prng_below(&sim.random, CONNECTIONS);
        for (unsigned i = 0; i < CONNECTIONS; i++, served++) {
            sim_release(&leases[begin + (i + turn) % CONNECTIONS], BH_POOL_CLEAN);
            if (next < USERS) /* the first in line has it */
                assert_true(sim_is_granted(&leases[next++]));
        }
    }
    const struct bh_pool_stats stats = sim_stats(&sim);
    assert_int_equal(stats.granted, USERS);
    assert_int_equal(stats.timed_out + stats.shed + stats.canceled + stats.unavailable, 0);
    assert_int_equal(stats.connected, CONNECTIONS);
    sim_fini(&sim);
}

/* ---- Returns ---- */

static void a_connection_from_a_failed_transaction_is_reset_first(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    struct sim_lease leases[2];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    assert_int_equal(sim_ask(&leases[1], &sim), 1);
    sim_release(&leases[0], BH_POOL_DIRTY);
    assert_int_equal(sim.calls[SIM_RESET], 1);
    assert_true(sim_is_waiting(&leases[1]));
    sim_run(&sim, 5 * BH_MS_US);
    assert_true(sim_is_granted(&leases[1]));
    sim_release(&leases[1], BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* pgbouncer 63, 245: the orphan runs on; a late cancel hits the next query */
static void a_cancelled_statement_keeps_its_connection_to_itself(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    sim.outcomes[SIM_CANCEL] = SIM_SLOW;
    struct sim_lease leases[2];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    assert_int_equal(sim_ask(&leases[1], &sim), 1);
    sim_release(&leases[0], BH_POOL_RUNNING);
    sim_run(&sim, 299 * BH_MS_US);
    assert_true(sim_is_waiting(&leases[1]));
    sim_run(&sim, 1 * BH_MS_US);
    assert_true(sim_is_granted(&leases[1]));
    sim_release(&leases[1], BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* sqlx 4349: unbounded clean-up leaks permits for ever */
static void clean_up_without_end_costs_the_connection_not_its_place(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    sim.outcomes[SIM_RESET] = SIM_NEVER;
    sim.outcomes[SIM_CANCEL] = SIM_NEVER;
    sim.outcomes[SIM_CLOSE] = SIM_NEVER;
    for (unsigned i = 0; i < 100; i++) {
        struct sim_lease lease;
        assert_true(sim_ask(&lease, &sim) >= 0);
        sim_run(&sim, 6 * BH_SECOND_US);
        assert_true(sim_is_granted(&lease));
        sim_release(&lease, i % 2 ? BH_POOL_DIRTY : BH_POOL_RUNNING);
    }
    sim_run(&sim, 6 * BH_SECOND_US);
    assert_int_equal(sim.alive_peak, 1);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_UNCLEAN], 100);
    sim_fini(&sim);
}

/* pgx 2425: cancellations snowball past the maximum */
static void callers_that_leave_by_the_thousand_never_push_past_the_maximum(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    sim.outcomes[SIM_CANCEL] = SIM_SLOW;
    struct sim_lease leases[50];
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 50; i++)
            assert_true(sim_ask(&leases[i], &sim) >= 0);
        sim_run(&sim, 10 * BH_MS_US);
        for (unsigned i = 0; i < 50; i++) {
            if (sim_is_granted(&leases[i]))
                sim_release(&leases[i], BH_POOL_RUNNING);
            else
                sim_withdraw(&leases[i]);
        }
    }
    assert_in_range(sim.alive_peak, 5, 10);
    sim_run(&sim, 10 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_UNCLEAN], 0);
    sim_fini(&sim);
}

static void a_leak_is_told_once(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 1, 2);
    options.leak_us = 10 * BH_SECOND_US;
    start_with(&sim, &options);
    struct sim_lease lease;
    char log[4096];
    assert_int_equal(sim_ask(&lease, &sim), 0);
    begin_log();
    sim_run(&sim, 9 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).leaks, 0);
    sim_run(&sim, 100 * BH_SECOND_US);
    end_log(log, sizeof(log));
    assert_int_equal(sim_stats(&sim).leaks, 1);
    assert_int_equal(occurrences(log, "a connection is held for 10.0 s already by GET /test"), 1);
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* ---- Size and age ---- */

/* HikariCP's own test: 50 requests, 5 connections' worth of work; DBCP2 ends with 45 connections */
static void a_spike_makes_no_more_connections_than_pay(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 5, 50);
    sim_init(&sim, &options, 7);
    sim.latency_us = 150 * BH_MS_US;
    sim_run(&sim, BH_SECOND_US);
    bh_pool_evict(sim.pool); /* now it knows what a connect takes */
    sim_run(&sim, 900 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).idle, 5);
    const uint64_t before = sim_stats(&sim).connected;
    struct sim_lease leases[50];
    for (unsigned i = 0; i < 50; i++)
        assert_true(sim_ask(&leases[i], &sim) >= 0);
    for (unsigned i = 0; i < 50; i += 5) { /* 2 ms of work each */
        sim_run(&sim, 2 * BH_MS_US);
        release_all(&leases[i], 5);
    }
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).connected, before);
    sim_fini(&sim);
}

static void work_that_lasts_longer_than_a_connect_gets_connections(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 0, 20);
    struct sim_lease leases[20];
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 1);
    sim_run(&sim, 100 * BH_MS_US); /* connects take 5 ms */
    assert_int_equal(sim_stats(&sim).busy, 20);
    release_all(leases, 20);
    sim_fini(&sim);
}

/* npgsql 6595, pgxpool 1164: the minimum is made on demand only */
static void the_minimum_is_there_ahead_of_demand_and_stays(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 20);
    struct sim_lease leases[20];
    for (unsigned i = 0; i < 20; i++)
        assert_true(sim_ask(&leases[i], &sim) >= 0);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 20);
    release_all(leases, 20);
    sim_run(&sim, 599 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 20);
    sim_run(&sim, 3 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 5);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_IDLE], 15);
    sim_run(&sim, 2000 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 5);
    sim_fini(&sim);
}

static void the_connection_used_last_is_taken_first(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 3, 3);
    struct sim_lease leases[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 0);
    const unsigned number = sim_connection_of(&leases[1].base)->number;
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_release(&leases[2], BH_POOL_CLEAN);
    sim_release(&leases[1], BH_POOL_CLEAN);
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    assert_int_equal(sim_connection_of(&leases[0].base)->number, number);
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_fini(&sim);
}

static void connections_made_together_do_not_die_together(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 20, 20);
    options.idle_timeout_us = BH_NEVER_US;
    start_with(&sim, &options);
    sim_run(&sim, 3200 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).recycled, 0);
    unsigned most = 0;
    uint64_t before = 0;
    for (unsigned i = 0; i < 40; i++) {
        sim_run(&sim, 10 * BH_SECOND_US);
        const uint64_t recycled = sim_stats(&sim).recycled;
        most = recycled - before > most ? (unsigned)(recycled - before) : most;
        before = recycled;
    }
    assert_int_equal(before, 20);
    assert_in_range(most, 1, 5);
    assert_int_equal(sim_stats(&sim).idle, 20);
    sim_fini(&sim);
}

static void overflow_is_closed_when_returned(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 0, 2);
    options.overflow = 2;
    start_with(&sim, &options);
    struct sim_lease leases[5];
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 1);
    sim_run(&sim, 200 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).busy, 4);
    sim_release(&leases[0], BH_POOL_CLEAN); /* somebody waits: it stays in use */
    assert_true(sim_is_granted(&leases[4]));
    release_all(leases, 5);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 2);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_OVERFLOW], 2);
    assert_int_equal(sim.alive_peak, 4);
    sim_fini(&sim);
}

static void the_reserve_is_for_high_priority(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 0, 3);
    options.reserve = 1;
    start_with(&sim, &options);
    struct sim_lease leases[4];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 1);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 2);
    sim_lease_init(&leases[3], &sim);
    leases[3].base.priority = BH_POOL_HIGH;
    assert_int_equal(sim_request(&leases[3], 0), 1);
    sim_run(&sim, 50 * BH_MS_US);
    assert_true(sim_is_granted(&leases[3]));
    sim_release(&leases[3], BH_POOL_CLEAN);
    assert_true(sim_is_waiting(&leases[2])); /* the reserve is not for it, even if it is there */
    sim_release(&leases[0], BH_POOL_CLEAN);
    assert_true(sim_is_granted(&leases[2]));
    release_all(leases, 4);
    sim_fini(&sim);
}

/* ---- Control ---- */

/* pgxpool: no resize */
static void a_live_pool_changes_its_size(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 2, 4);
    struct sim_lease leases[8];
    for (unsigned i = 0; i < 8; i++)
        assert_true(sim_ask(&leases[i], &sim) >= 0);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 4);
    assert_int_equal(bh_pool_resize(sim.pool, 2, 8, 0, NULL), 0);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 8);
    assert_int_equal(bh_pool_resize(sim.pool, 1, 3, 0, NULL), 0);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 8); /* nobody is thrown out */
    release_all(leases, 8);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).total, 3);
    assert_int_equal(bh_pool_resize(sim.pool, 5, 3, 0, NULL), BH_EINVAL);
    sim_fini(&sim);
}

static void a_paused_pool_lets_wait_and_goes_on(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 2, 4);
    struct sim_lease leases[3];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    bh_pool_resume(sim.pool); /* of no pause: nothing */
    bh_pool_pause(sim.pool);
    bh_pool_pause(sim.pool);
    bh_pool_resume(sim.pool); /* one of two */
    assert_true(sim_stats(&sim).paused);
    assert_int_equal(sim_ask(&leases[1], &sim), 1);
    assert_int_equal(sim_ask(&leases[2], &sim), 1);
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 0);
    assert_int_equal(sim_stats(&sim).waiting, 2);
    bh_pool_resume(sim.pool);
    assert_false(sim_stats(&sim).paused);
    sim_run(&sim, 10 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).busy, 2);
    release_all(leases, 3);
    sim_fini(&sim);
}

static void an_eviction_replaces_every_connection_gently(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 4, 4);
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 0);
    const unsigned number = sim_connection_of(&lease.base)->number;
    bh_pool_evict(sim.pool);
    sim_run(&sim, 100 * BH_MS_US);
    assert_int_equal(sim.calls[SIM_CLOSE], 3); /* goodbye is said */
    assert_true(sim_is_granted(&lease));
    sim_release(&lease, BH_POOL_CLEAN);
    sim_run(&sim, 100 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).idle, 4);
    assert_int_equal(sim_ask(&lease, &sim), 0);
    assert_true(sim_connection_of(&lease.base)->number > number);
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

static void a_draining_pool_refuses_and_waits_for_holders(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    struct sim_lease leases[2];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    assert_int_equal(sim_ask(&leases[1], &sim), 1);
    bh_pool_drain(sim.shards[0].pool_shard, sim.now_us);
    assert_int_equal(leases[1].base.result, BH_ESHUTDOWN);
    assert_int_equal(sim_ask(&leases[1], &sim), BH_ESHUTDOWN);
    sim_run(&sim, 10 * BH_SECOND_US);
    assert_false(sim.shards[0].is_drained);
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_run(&sim, 10 * BH_MS_US);
    assert_true(sim.shards[0].is_drained);
    sim_fini(&sim);
}

static void options_out_of_range_are_named(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct bh_pool *pool = NULL;
    struct bh_error error;
    options_of(&options, 5, 4);
    assert_int_equal(bh_pool_create(&options, &pool, &error), BH_EINVAL);
    options_of(&options, 0, 4);
    options.reserve = 4;
    assert_int_equal(bh_pool_create(&options, &pool, &error), BH_EINVAL);
    assert_non_null(strstr(error.message, "reserve of 4"));
    options_of(&options, 0, 4);
    options.shard_count = 0;
    assert_int_equal(bh_pool_create(&options, &pool, &error), BH_EINVAL);
    assert_non_null(strstr(error.message, "shard_count"));
    assert_null(pool);
}

static void steady_load_uses_connections_again(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 2, 10);
    struct sim_lease leases[4];
    for (unsigned i = 0; i < 5000; i++) {
        for (unsigned j = 0; j < 4; j++)
            assert_true(sim_ask(&leases[j], &sim) >= 0);
        sim_run(&sim, 10 * BH_MS_US);
        for (unsigned j = 0; j < 4; j++)
            assert_true(sim_is_granted(&leases[j]) || sim_is_waiting(&leases[j]));
        while (sim_stats(&sim).busy > 0)
            release_all(leases, 4);
    }
    const struct bh_pool_stats stats = sim_stats(&sim);
    assert_int_equal(stats.granted, 20000);
    assert_true(bh_db_reuse_ratio(stats.granted, stats.connected) > 0.999);
    sim_fini(&sim);
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_is_first_served),
        cmocka_unit_test(a_newcomer_does_not_overtake_who_waits_for_a_ping),
        cmocka_unit_test(a_lease_withdrawn_in_the_moment_of_its_grant_goes_to_the_next),
        cmocka_unit_test(priorities_go_first),
        cmocka_unit_test(a_timeout_names_who_holds_on_another_loop),
        cmocka_unit_test(a_full_line_sheds_the_newest_of_the_lowest),
        cmocka_unit_test(under_a_standing_queue_only_low_priority_is_shed),
        cmocka_unit_test(a_tenant_is_capped_while_others_wait_and_borrows_when_not),
        cmocka_unit_test(a_time_out_names_who_holds_the_connections),
        cmocka_unit_test(the_callers_own_deadline_is_told_apart),
        cmocka_unit_test(five_thousand_users_on_forty_connections_are_all_served_in_turn),
        cmocka_unit_test(a_connection_from_a_failed_transaction_is_reset_first),
        cmocka_unit_test(a_cancelled_statement_keeps_its_connection_to_itself),
        cmocka_unit_test(clean_up_without_end_costs_the_connection_not_its_place),
        cmocka_unit_test(callers_that_leave_by_the_thousand_never_push_past_the_maximum),
        cmocka_unit_test(a_leak_is_told_once),
        cmocka_unit_test(a_spike_makes_no_more_connections_than_pay),
        cmocka_unit_test(work_that_lasts_longer_than_a_connect_gets_connections),
        cmocka_unit_test(the_minimum_is_there_ahead_of_demand_and_stays),
        cmocka_unit_test(the_connection_used_last_is_taken_first),
        cmocka_unit_test(connections_made_together_do_not_die_together),
        cmocka_unit_test(overflow_is_closed_when_returned),
        cmocka_unit_test(the_reserve_is_for_high_priority),
        cmocka_unit_test(a_live_pool_changes_its_size),
        cmocka_unit_test(a_paused_pool_lets_wait_and_goes_on),
        cmocka_unit_test(an_eviction_replaces_every_connection_gently),
        cmocka_unit_test(a_draining_pool_refuses_and_waits_for_holders),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(steady_load_uses_connections_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
