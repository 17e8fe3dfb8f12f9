/*
 * What a pool does when its host fails, and when it comes back. Each test names what must hold; a
 * number behind it is the complaint about another pool that it answers.
 */
#include <string.h>

#include "bulkhead/base/log.h"
#include "cmocka_setup.h"
#include "simulation.h"

static void options_of(struct bh_pool_options *const options, const unsigned minimum,
                       const unsigned maximum)
{
    bh_pool_options_default(options);
    options->name = "test";
    options->minimum = minimum;
    options->maximum = maximum;
}

static void start(struct sim *const sim, const unsigned minimum, const unsigned maximum)
{
    struct bh_pool_options options;
    options_of(&options, minimum, maximum);
    sim_init(sim, &options, 7);
    sim_run(sim, BH_SECOND_US / 2);
    assert_int_equal(sim_stats(sim).idle, minimum);
}

static void go_down(struct sim *const sim)
{
    sim->outcomes[SIM_CONNECT] = SIM_ERROR;
    sim->outcomes[SIM_CLOSE] = SIM_NEVER;
}

/* The server is killed: every connection ends, in use or not. */
static void kill_server(struct sim *const sim)
{
    go_down(sim);
    BH_LIST_FOREACH(node, &sim->connections) {
        struct sim_connection *const connection = BH_LIST_ENTRY(node, struct sim_connection, node);
        if (connection->is_made && !connection->base.doomed)
            sim_break(connection, BH_POOL_BROKEN_OFF);
        sim_check(sim);
    }
}

/* ---- Connects that fail ---- */

static void a_waiter_whose_connect_failed_gets_the_next_one(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 0, 1);
    sim.outcomes[SIM_CONNECT] = SIM_ERROR;
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 1);
    sim_run(&sim, 10 * BH_MS_US);
    assert_int_equal(sim.calls[SIM_CONNECT], 1);
    assert_true(sim_is_waiting(&lease));
    sim.outcomes[SIM_CONNECT] = SIM_OK;
    sim_run(&sim, 600 * BH_MS_US);
    assert_true(sim_is_granted(&lease));
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* postgres.js 1179: 12,500 connects a second; sqlx 3132; pgbouncer 478, 1285 */
static void while_down_there_are_at_most_ten_connects_a_second(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 40);
    kill_server(&sim);
    sim_run(&sim, BH_SECOND_US);
    struct sim_lease leases[100];
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 1);
    const unsigned before = sim.calls[SIM_CONNECT];
    sim_run(&sim, 3 * BH_SECOND_US);
    const unsigned made = sim.calls[SIM_CONNECT] - before;
    assert_in_range(made, 3, 30);
    assert_true(sim.least_connect_gap_us >= 100 * BH_MS_US);
    assert_true(sim_stats(&sim).down);
    for (unsigned i = 0; i < 100; i++)
        sim_withdraw(&leases[i]);
    sim_fini(&sim);
}

/* The next thing after the host's return is a probe that finds it: within a second. */
static void check_back_within_a_second(struct sim *const sim)
{
    sim->outcomes[SIM_CONNECT] = SIM_OK;
    sim->outcomes[SIM_CLOSE] = SIM_OK;
    struct sim_lease lease;
    sim_lease_init(&lease, sim);
    sim_run(sim, 990 * BH_MS_US);
    assert_true(sim_request(&lease, 0) >= 0);
    sim_run(sim, 10 * BH_MS_US); /* the time of a ping, at most */
    assert_true(sim_is_granted(&lease));
    assert_false(sim_stats(sim).down);
    sim_release(&lease, BH_POOL_CLEAN);
}

/* HikariCP 1256, 1474, 2161: drains to zero and never recovers */
static void service_is_back_within_a_second_of_the_host(void **const state)
{
    (void)state;
    for (unsigned minimum = 0; minimum < 6; minimum += 5) {
        struct sim sim;
        start(&sim, 5, 40);
        assert_int_equal(bh_pool_resize(sim.pool, minimum, 40, 0, NULL), 0);
        struct sim_lease lease;
        assert_int_equal(sim_ask(&lease, &sim), 0);
        kill_server(&sim);
        sim_release(&lease, BH_POOL_BROKEN);
        struct sim_lease waiting;
        assert_int_equal(sim_ask(&waiting, &sim), 1);
        sim_run(&sim, 3600 * BH_SECOND_US); /* a long outage, in which nobody asks */
        assert_int_equal(sim.alive <= 1, 1);
        check_back_within_a_second(&sim);
        sim_fini(&sim);
    }
}

static void service_is_back_within_a_second_of_a_black_hole(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 40);
    kill_server(&sim);
    sim.outcomes[SIM_CONNECT] = SIM_NEVER;
    sim_run(&sim, 61 * BH_SECOND_US);
    /* Every eighth probe waits for all of the connect time-out; see what the others do. */
    while (sim_stats(&sim).connecting == 1)
        sim_run(&sim, 50 * BH_MS_US);
    sim_run(&sim, 1100 * BH_MS_US);
    check_back_within_a_second(&sim);
    sim_fini(&sim);
}

static void connects_are_ramped_when_the_host_returns(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 0, 40);
    sim.outcomes[SIM_CONNECT] = SIM_ERROR;
    struct sim_lease leases[40];
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 1);
    sim_run(&sim, BH_SECOND_US);
    sim.outcomes[SIM_CONNECT] = SIM_OK;
    unsigned most = 1;
    for (unsigned made = sim_stats(&sim).busy; made < 40; made = sim_stats(&sim).busy) {
        const struct bh_pool_stats stats = sim_stats(&sim);
        assert_true(stats.connecting <= (made == 0 ? 1 : 2 * made));
        most = stats.connecting > most ? stats.connecting : most;
        assert_true(sim_step(&sim, sim.now_us + BH_SECOND_US));
    }
    assert_in_range(most, 4, 8);
    for (unsigned i = 0; i < 40; i++)
        sim_release(&leases[i], BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* ---- What waiters hear ---- */

static void in_a_short_outage_waiters_wait_in_a_long_one_they_fail_at_once(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 0, 4);
    go_down(&sim);
    struct sim_lease early;
    assert_int_equal(sim_ask(&early, &sim), 1);
    sim_run(&sim, 4 * BH_SECOND_US);
    assert_true(sim_is_waiting(&early));
    sim_run(&sim, 2 * BH_SECOND_US);
    assert_int_equal(early.base.result, BH_EUNAVAILABLE);
    assert_non_null(strstr(early.error.message, "refused"));
    assert_non_null(strstr(early.error.message, "next attempt in"));
    struct sim_lease late;
    assert_int_equal(sim_ask(&late, &sim), BH_EUNAVAILABLE);
    assert_int_equal(sim_stats(&sim).unavailable, 2);
    check_back_within_a_second(&sim);
    sim_fini(&sim);
}

static void a_time_out_in_an_outage_is_told_as_one(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 0, 4);
    options.acquire_timeout_us = BH_SECOND_US;
    sim_init(&sim, &options, 7);
    go_down(&sim);
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 1);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(lease.base.result, BH_EUNAVAILABLE);
    assert_non_null(strstr(lease.error.message, "refused"));
    sim_fini(&sim);
}

/* ---- Connections that are lost ---- */

static void a_loss_in_use_replaces_all_connections(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    struct sim_lease leases[2];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    assert_int_equal(sim_ask(&leases[1], &sim), 0);
    sim_break(sim_connection_of(&leases[0].base), BH_POOL_BROKEN_OFF);
    sim_run(&sim, 100 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_EVICTED], 3); /* idle ones: at once */
    assert_int_equal(sim_stats(&sim).busy, 2);
    sim_release(&leases[1], BH_POOL_CLEAN); /* others: as they come back */
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_EVICTED], 4);
    sim_release(&leases[0], BH_POOL_BROKEN);
    sim_run(&sim, 200 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).idle, 5);
    assert_false(sim_stats(&sim).down);
    sim_fini(&sim);
}

static void a_loss_while_idle_says_nothing_of_the_others(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    sim_break(BH_LIST_ENTRY(sim.connections.next, struct sim_connection, node), BH_POOL_BROKEN_OFF);
    sim_run(&sim, 100 * BH_MS_US);
    const struct bh_pool_stats stats = sim_stats(&sim);
    assert_int_equal(stats.closed[BH_POOL_CLOSED_LOST], 1);
    assert_int_equal(stats.closed[BH_POOL_CLOSED_EVICTED], 0);
    assert_int_equal(stats.idle, 5);
    sim_fini(&sim);
}

/* SQLAlchemy 7839, HikariCP 2185: a demoted primary answers pings, and refuses writes for days */
static void a_demoted_primary_is_left_at_once(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 0);
    const unsigned old = sim_connection_of(&lease.base)->number;
    sim_break(sim_connection_of(&lease.base), BH_POOL_WRONG_ROLE);
    sim_release(&lease, BH_POOL_DIRTY); /* not even reset: it is of no use */
    assert_int_equal(sim.calls[SIM_RESET], 0);
    sim_run(&sim, 300 * BH_MS_US);
    assert_int_equal(sim_ask(&lease, &sim), 0);
    assert_true(sim_connection_of(&lease.base)->number >= old + 1);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_EVICTED], 4);
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* HikariCP 2298: credential rotation */
static void a_rotated_password_leaves_what_is_open_in_service(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 2, 4);
    sim.outcomes[SIM_CONNECT] = SIM_ERROR;
    sim.connect_failure = BH_POOL_DENIED;
    struct sim_lease leases[3];
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    assert_int_equal(sim_ask(&leases[1], &sim), 0);
    assert_int_equal(sim_ask(&leases[2], &sim), 1);
    sim_run(&sim, 8 * BH_SECOND_US); /* far beyond the patience: but the next return counts */
    sim_release(&leases[0], BH_POOL_CLEAN);
    assert_int_equal(sim_ask(&leases[0], &sim), 0);
    for (unsigned i = 0; i < 100; i++) {
        sim_release(&leases[0], BH_POOL_CLEAN);
        sim_run(&sim, BH_SECOND_US);
        assert_true(sim_ask(&leases[0], &sim) >= 0);
        sim_run(&sim, 10 * BH_MS_US);
        assert_true(sim_is_granted(&leases[0]));
    }
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_EVICTED], 0);
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_release(&leases[1], BH_POOL_CLEAN);
    check_back_within_a_second(&sim);
    sim_fini(&sim);
}

/* pgxpool 2394: a ping hangs on a half-open socket */
static void a_ping_on_a_half_open_socket_ends_soon_and_warns_of_the_others(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    sim_run(&sim, 60 * BH_SECOND_US);
    sim.outcomes[SIM_PING] = SIM_NEVER;
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 1);
    sim_run(&sim, 550 * BH_MS_US); /* one ping's time, not five */
    assert_true(sim_is_granted(&lease));
    assert_int_equal(sim.calls[SIM_PING], 1);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_EVICTED], 4);
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* An overloaded server answers pings late: replacing what works would be the end of it. */
static void a_slow_ping_costs_no_other_connection_while_some_are_answered(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    sim_run(&sim, 60 * BH_SECOND_US);
    struct sim_lease first, second;
    assert_int_equal(sim_ask(&first, &sim), 1);
    sim_run(&sim, 10 * BH_MS_US);
    assert_true(sim_is_granted(&first));
    sim.outcomes[SIM_PING] = SIM_NEVER;
    assert_int_equal(sim_ask(&second, &sim), 1);
    sim_run(&sim, 200 * BH_MS_US);
    assert_false(sim_is_granted(&second));
    sim_release(&first, BH_POOL_CLEAN);
    assert_true(sim_is_granted(&second));
    sim_run(&sim, 400 * BH_MS_US);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_PING], 1);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_EVICTED], 0);
    sim_release(&second, BH_POOL_CLEAN);
    sim_fini(&sim);
}

static void a_connection_just_used_is_not_pinged(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 1, 1);
    for (unsigned i = 0; i < 10; i++) {
        struct sim_lease lease;
        assert_int_equal(sim_ask(&lease, &sim), 0);
        sim_release(&lease, BH_POOL_CLEAN);
        sim_run(&sim, 900 * BH_MS_US);
    }
    assert_int_equal(sim.calls[SIM_PING], 0);
    sim_fini(&sim);
}

/* ---- A server without room ---- */

static void a_server_without_room_makes_the_pool_smaller_for_a_while(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 0, 20);
    sim.server_maximum = 6;
    struct sim_lease leases[20];
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(sim_ask(&leases[i], &sim), 1);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 6);
    assert_int_equal(sim_stats(&sim).waiting, 14); /* they wait; it is no outage */
    assert_false(sim_stats(&sim).down);
    const unsigned calls = sim.calls[SIM_CONNECT];
    sim_run(&sim, 900 * BH_MS_US);
    assert_int_equal(sim.calls[SIM_CONNECT], calls); /* it does not knock all the time */
    sim.server_maximum = 0;
    sim_run(&sim, 10 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 20);
    for (unsigned i = 0; i < 20; i++)
        sim_release(&leases[i], BH_POOL_CLEAN);
    sim_fini(&sim);
}

static void without_any_connection_a_full_server_is_tried_again(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 0, 4);
    sim.outcomes[SIM_CONNECT] = SIM_ERROR;
    sim.connect_failure = BH_POOL_TOO_MANY;
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 1);
    sim_run(&sim, 3 * BH_SECOND_US);
    assert_in_range(sim.calls[SIM_CONNECT], 3, 30);
    sim.outcomes[SIM_CONNECT] = SIM_OK;
    sim_run(&sim, 700 * BH_MS_US);
    assert_true(sim_is_granted(&lease));
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

/* ---- Clocks ---- */

static void a_clock_jump_forward_costs_no_connection_for_ever(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    struct sim_lease leases[12];
    for (unsigned i = 0; i < 12; i++)
        assert_true(sim_ask(&leases[i], &sim) >= 0);
    sim.now_us += 24 * 3600 * BH_SECOND_US;
    sim_run(&sim, BH_SECOND_US);
    for (unsigned i = 0; i < 12; i++) { /* waiters past their time have been told so */
        assert_false(sim_is_waiting(&leases[i]));
        if (sim_is_granted(&leases[i]))
            sim_release(&leases[i], BH_POOL_CLEAN);
    }
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 5);
    check_back_within_a_second(&sim);
    sim_fini(&sim);
}

static void a_clock_that_goes_back_stands_still(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim, 5, 10);
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 0);
    sim.now_us -= 500 * BH_SECOND_US;
    sim_release(&lease, BH_POOL_CLEAN);
    assert_int_equal(sim_ask(&lease, &sim), 0);
    sim_release(&lease, BH_POOL_CLEAN);
    sim_run(&sim, 501 * BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 5);
    sim_fini(&sim);
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiter_whose_connect_failed_gets_the_next_one),
        cmocka_unit_test(while_down_there_are_at_most_ten_connects_a_second),
        cmocka_unit_test(service_is_back_within_a_second_of_the_host),
        cmocka_unit_test(service_is_back_within_a_second_of_a_black_hole),
        cmocka_unit_test(connects_are_ramped_when_the_host_returns),
        cmocka_unit_test(in_a_short_outage_waiters_wait_in_a_long_one_they_fail_at_once),
        cmocka_unit_test(a_time_out_in_an_outage_is_told_as_one),
        cmocka_unit_test(a_loss_in_use_replaces_all_connections),
        cmocka_unit_test(a_loss_while_idle_says_nothing_of_the_others),
        cmocka_unit_test(a_demoted_primary_is_left_at_once),
        cmocka_unit_test(a_rotated_password_leaves_what_is_open_in_service),
        cmocka_unit_test(a_ping_on_a_half_open_socket_ends_soon_and_warns_of_the_others),
        cmocka_unit_test(a_slow_ping_costs_no_other_connection_while_some_are_answered),
        cmocka_unit_test(a_connection_just_used_is_not_pinged),
        cmocka_unit_test(a_server_without_room_makes_the_pool_smaller_for_a_while),
        cmocka_unit_test(without_any_connection_a_full_server_is_tried_again),
        cmocka_unit_test(a_clock_jump_forward_costs_no_connection_for_ever),
        cmocka_unit_test(a_clock_that_goes_back_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
