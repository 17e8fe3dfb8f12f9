/*
 * The shared lane beside the exclusive one, and shards that share a budget.
 */
#include "bulkhead/base/log.h"
#include "cmocka_setup.h"
#include "db/pool/pool_internal.h"
#include "simulation.h"

static void options_of(struct bh_pool_options *const options, const unsigned maximum,
                       const unsigned shared)
{
    bh_pool_options_default(options);
    options->name = "test";
    options->minimum = 0;
    options->maximum = maximum;
    options->shared_connections = shared;
    options->class_count = 4;
}

static void start(struct sim *const sim, const struct bh_pool_options *const options)
{
    sim_init(sim, options, 7);
    sim_run(sim, 100 * BH_MS_US);
}

static int ask(struct sim_lease *const lease, struct sim *const sim, const enum bh_pool_lane lane,
               const unsigned statement_class)
{
    sim_lease_init(lease, sim);
    lease->base.lane = lane;
    lease->base.statement_class = statement_class;
    return sim_request(lease, 0);
}

static int ask_shared(struct sim_lease *const lease, struct sim *const sim)
{
    return ask(lease, sim, BH_POOL_LANE_SHARED, 0);
}

static void end(struct sim_lease *const leases, const unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (sim_is_waiting(&leases[i]))
            sim_withdraw(&leases[i]);
        if (sim_is_granted(&leases[i]))
            sim_release(&leases[i], BH_POOL_CLEAN);
    }
}

/* A class becomes known as one that takes `took_us`. */
static void teach(struct sim *const sim, const unsigned statement_class, const uint64_t took_us)
{
    for (unsigned i = 0; i < 60; i++) {
        struct sim_lease lease;
        assert_true(ask(&lease, sim, BH_POOL_LANE_SHARED, statement_class) >= 0);
        while (sim_is_waiting(&lease))
            assert_true(sim_step(sim, sim->now_us + BH_SECOND_US));
        sim_run(sim, took_us);
        sim_release(&lease, BH_POOL_CLEAN);
    }
    assert_in_range(bh_pool_class_us(sim->shards[0].pool_shard, statement_class), took_us * 9 / 10,
                    took_us * 11 / 10);
}

/* ---- Lanes ---- */

static void single_statements_share_a_connection(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    start(&sim, &options);
    teach(&sim, 0, 100);
    struct sim_lease leases[20];
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(ask_shared(&leases[i], &sim), 0);
    assert_int_equal(sim_stats(&sim).shared, 1);
    assert_int_equal(leases[0].base.connection->depth, 20);
    end(leases, 20);
    assert_int_equal(sim_stats(&sim).idle, 1);
    sim_fini(&sim);
}

static void a_pipeline_is_bounded_by_its_length_and_by_its_work(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    options.shared_depth = 8;
    start(&sim, &options);
    teach(&sim, 0, 100);
    teach(&sim, 1, 3 * BH_MS_US);
    struct sim_lease leases[12];
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(ask_shared(&leases[i], &sim), i >= 8);
    end(leases, 12);
    for (unsigned i = 0; i < 5; i++) /* 10 ms of work: three of 3 ms */
        assert_int_equal(ask(&leases[i], &sim, BH_POOL_LANE_SHARED, 1), i >= 3);
    sim_release(&leases[0], BH_POOL_CLEAN);
    assert_true(sim_is_granted(&leases[3]) && sim_is_waiting(&leases[4]));
    end(leases, 5);
    sim_fini(&sim);
}

static void the_least_predicted_work_is_chosen(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 2);
    options.minimum = 2;
    start(&sim, &options);
    teach(&sim, 0, 100);
    teach(&sim, 1, 4 * BH_MS_US);
    struct sim_lease leases[8];
    for (unsigned i = 0; i < 3; i++) /* two fill the first connection; the third needs the second */
        assert_int_equal(ask(&leases[i], &sim, BH_POOL_LANE_SHARED, 1), 0);
    assert_ptr_equal(leases[0].base.connection, leases[1].base.connection);
    assert_ptr_not_equal(leases[0].base.connection, leases[2].base.connection);
    for (unsigned i = 3; i < 8; i++) {
        assert_int_equal(ask_shared(&leases[i], &sim), 0);
        assert_ptr_equal(leases[i].base.connection, leases[2].base.connection);
    }
    end(leases, 8);
    sim_fini(&sim);
}

static void slow_classes_go_exclusive_and_come_back_when_they_are_fast(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    start(&sim, &options);
    teach(&sim, 2, 50 * BH_MS_US);
    struct sim_lease lease;
    assert_true(ask(&lease, &sim, BH_POOL_LANE_SHARED, 2) >= 0);
    sim_run(&sim, 20 * BH_MS_US);
    assert_true(sim_is_granted(&lease));
    assert_int_equal(lease.base.lane, BH_POOL_LANE_EXCLUSIVE);
    sim_release(&lease, BH_POOL_CLEAN);
    teach(&sim, 2, BH_MS_US);
    assert_int_equal(ask(&lease, &sim, BH_POOL_LANE_SHARED, 2), 0);
    assert_int_equal(lease.base.lane, BH_POOL_LANE_SHARED);
    sim_release(&lease, BH_POOL_CLEAN);
    sim_fini(&sim);
}

static void a_broken_pipeline_is_left_by_all_and_joined_by_none(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    start(&sim, &options);
    teach(&sim, 0, 100);
    struct sim_lease leases[6];
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(ask_shared(&leases[i], &sim), 0);
    const unsigned number = sim_connection_of(&leases[0].base)->number;
    sim_release(&leases[0], BH_POOL_CLEAN);
    sim_break(sim_connection_of(&leases[1].base), BH_POOL_BROKEN_OFF);
    assert_int_equal(ask_shared(&leases[5], &sim), 1);
    sim_run(&sim, 20 * BH_MS_US);
    assert_true(sim_is_granted(&leases[5]));
    assert_true(sim_connection_of(&leases[5].base)->number > number);
    for (unsigned i = 1; i < 5; i++)
        sim_release(&leases[i], BH_POOL_BROKEN);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_LOST], 1);
    end(leases, 6);
    sim_fini(&sim);
}

static void a_stuck_pipeline_is_passed_by(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    options.shared_depth = 2;
    start(&sim, &options);
    teach(&sim, 0, 100);
    struct sim_lease leases[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(ask_shared(&leases[i], &sim), i >= 2);
    sim_run(&sim, 60 * BH_MS_US); /* the first statement takes far longer than predicted */
    assert_true(sim_is_granted(&leases[2]) && sim_is_granted(&leases[3]));
    assert_int_equal(sim_stats(&sim).shared, 2);
    end(leases, 4);
    sim_fini(&sim);
}

/* Whoever has asked may have left long ago: what they have left behind has a limit of its own. */
static void a_silent_pipeline_is_given_up(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    options.minimum = 2;
    start(&sim, &options);
    struct sim_lease silent[2], other;
    assert_int_equal(ask_shared(&silent[0], &sim), 0);
    assert_int_equal(ask_shared(&silent[1], &sim), 0);
    assert_ptr_equal(silent[0].base.connection, silent[1].base.connection);
    sim_run(&sim, 20 * BH_SECOND_US);
    sim_release(&silent[0], BH_POOL_CLEAN); /* the server is only slow */
    assert_true(ask(&other, &sim, BH_POOL_LANE_EXCLUSIVE, 0) >= 0);
    sim_run(&sim, 20 * BH_SECOND_US);
    assert_true(sim_is_granted(&silent[1]) && sim_is_granted(&other));
    const unsigned generation = atomic_load(&sim.pool->generation);
    sim_release(&other, BH_POOL_CLEAN);
    sim_run(&sim, 11 * BH_SECOND_US);
    assert_false(sim_is_granted(&silent[1]));
    assert_int_equal(sim.given_up, 1);
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_SILENT], 1);
    assert_int_equal(atomic_load(&sim.pool->generation), generation); /* others have answered */
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).idle, 2);
    sim_fini(&sim);
}

static void the_end_does_not_wait_for_a_silent_pipeline(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 10, 1);
    options.minimum = 1;
    start(&sim, &options);
    struct sim_lease silent;
    assert_int_equal(ask_shared(&silent, &sim), 0);
    bh_pool_drain(sim.shards[0].pool_shard, sim.now_us);
    sim_run(&sim, options.clean_timeout_us - BH_MS_US);
    assert_true(sim_is_granted(&silent) && !sim.shards[0].is_drained);
    sim_run(&sim, 2 * BH_MS_US);
    assert_true(!sim_is_granted(&silent) && sim.shards[0].is_drained);
    sim_fini(&sim);
}

static void an_exclusive_waiter_is_not_starved_by_the_shared_lane(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 1, 1);
    start(&sim, &options);
    teach(&sim, 0, 100);
    struct sim_lease shared[2];
    struct sim_lease exclusive;
    assert_int_equal(ask_shared(&shared[0], &sim), 0);
    assert_int_equal(ask(&exclusive, &sim, BH_POOL_LANE_EXCLUSIVE, 0), 1);
    assert_int_equal(ask_shared(&shared[1], &sim), 1); /* there is room, but not for newcomers */
    sim_release(&shared[0], BH_POOL_CLEAN);
    assert_true(sim_is_granted(&exclusive) && sim_is_waiting(&shared[1]));
    sim_release(&exclusive, BH_POOL_CLEAN);
    assert_true(sim_is_granted(&shared[1]));
    end(shared, 2);
    sim_fini(&sim);
}

/* Its connection is not one of those that exclusive leases queue for. */
static void the_shared_lane_flows_while_transactions_queue(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    options_of(&options, 3, 1);
    options.minimum = 3;
    start(&sim, &options);
    teach(&sim, 0, 100);
    struct sim_lease keeper;
    assert_int_equal(ask_shared(&keeper, &sim), 0);
    struct sim_lease exclusive[10];
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ask(&exclusive[i], &sim, BH_POOL_LANE_EXCLUSIVE, 0), i >= 2);
    for (unsigned i = 0; i < 50; i++) {
        struct sim_lease next;
        assert_int_equal(ask_shared(&next, &sim), 0);
        sim_release(&keeper, BH_POOL_CLEAN);
        assert_int_equal(ask_shared(&keeper, &sim), 0);
        sim_release(&next, BH_POOL_CLEAN);
    }
    end(&keeper, 1);
    end(exclusive, 10);
    sim_fini(&sim);
}

/* ---- Shards ---- */

static void start_shards(struct sim *const sim, struct bh_pool_options *const options,
                         const unsigned shards, const unsigned minimum, const unsigned maximum)
{
    options_of(options, maximum, 1);
    options->shard_count = shards;
    options->minimum = minimum;
    sim_init(sim, options, 7);
    sim_run(sim, 300 * BH_MS_US);
    assert_int_equal(sim_stats(sim).idle, minimum);
}

static int ask_on(struct sim_lease *const lease, struct sim *const sim, const unsigned shard)
{
    sim_lease_init(lease, sim);
    return sim_request(lease, shard);
}

static void the_minimum_is_divided_among_shards(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    start_shards(&sim, &options, 3, 7, 10);
    unsigned held[SIM_SHARDS_MAXIMUM] = { 0 };
    BH_LIST_FOREACH(node, &sim.connections) {
        held[BH_LIST_ENTRY(node, struct sim_connection, node)->shard]++;
    }
    assert_int_equal(held[0], 3);
    assert_int_equal(held[1], 2);
    assert_int_equal(held[2], 2);
    sim_fini(&sim);
}

static void an_idle_shard_gives_its_connections_to_a_busy_one(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    start_shards(&sim, &options, 2, 8, 8);
    struct sim_lease leases[8];
    for (unsigned i = 0; i < 8; i++)
        assert_true(ask_on(&leases[i], &sim, 0) >= 0);
    sim_run(&sim, BH_SECOND_US);
    assert_int_equal(sim_stats(&sim).busy, 8); /* all of them, though four were the other's */
    assert_int_equal(sim_stats(&sim).closed[BH_POOL_CLOSED_GIVEN], 4);
    assert_int_equal(sim.alive_peak, 8);
    end(leases, 8);
    sim_fini(&sim);
}

static void a_shard_with_more_than_its_share_yields(void **const state)
{
    (void)state;
    struct bh_pool_options options;
    struct sim sim;
    start_shards(&sim, &options, 2, 0, 1); /* one connection for two loops, both always busy */
    struct sim_lease leases[2][2];
    unsigned granted[2] = { 0 };
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(ask_on(&leases[i % 2][i / 2], &sim, i % 2), 1);
    for (unsigned round = 0; round < 4000; round++) {
        sim_run(&sim, 5 * BH_MS_US);
        for (unsigned i = 0; i < 4; i++) {
            struct sim_lease *const lease = &leases[i % 2][i / 2];
            if (!sim_is_granted(lease))
                continue;
            granted[i % 2]++;
            sim_release(lease, BH_POOL_CLEAN);
            assert_true(ask_on(lease, &sim, i % 2) >= 0);
        }
    }
    assert_in_range(granted[0], granted[1] / 2, granted[1] * 2);
    assert_int_equal(sim.alive_peak, 1);
    end(leases[0], 2);
    end(leases[1], 2);
    sim_fini(&sim);
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_statements_share_a_connection),
        cmocka_unit_test(a_pipeline_is_bounded_by_its_length_and_by_its_work),
        cmocka_unit_test(the_least_predicted_work_is_chosen),
        cmocka_unit_test(slow_classes_go_exclusive_and_come_back_when_they_are_fast),
        cmocka_unit_test(a_broken_pipeline_is_left_by_all_and_joined_by_none),
        cmocka_unit_test(a_stuck_pipeline_is_passed_by),
        cmocka_unit_test(a_silent_pipeline_is_given_up),
        cmocka_unit_test(the_end_does_not_wait_for_a_silent_pipeline),
        cmocka_unit_test(an_exclusive_waiter_is_not_starved_by_the_shared_lane),
        cmocka_unit_test(the_shared_lane_flows_while_transactions_queue),
        cmocka_unit_test(the_minimum_is_divided_among_shards),
        cmocka_unit_test(an_idle_shard_gives_its_connections_to_a_busy_one),
        cmocka_unit_test(a_shard_with_more_than_its_share_yields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
