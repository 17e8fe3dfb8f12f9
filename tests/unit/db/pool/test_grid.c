/*
 * Every answer at every gate, and a caller that leaves at every moment (deadpool's grid): whatever
 * the other side does, each request ends in time, there is never a second connection where one is
 * allowed, and afterwards the pool works.
 */
#include "bulkhead/base/log.h"
#include "cmocka_setup.h"
#include "simulation.h"

#define OUTCOMES 4 /* SIM_OK to SIM_NEVER */
#define ROUNDS 5

static void options_for_one(struct bh_pool_options *const options)
{
    bh_pool_options_default(options);
    options->name = "grid";
    options->minimum = 0;
    options->maximum = 1;
    options->acquire_timeout_us = 3 * BH_SECOND_US;
    options->connect_timeout_us = BH_SECOND_US;
    options->clean_timeout_us = BH_SECOND_US;
    options->outage_patience_us = BH_NEVER_US;
}

static void set_outcomes(struct sim *const sim, unsigned combination)
{
    for (unsigned gate = 0; gate < SIM_GATE_COUNT; gate++) {
        sim->outcomes[gate] = combination % OUTCOMES;
        combination /= OUTCOMES;
    }
}

static unsigned combinations(void)
{
    unsigned count = 1;
    for (unsigned gate = 0; gate < SIM_GATE_COUNT; gate++)
        count *= OUTCOMES;
    return count;
}

/* With all well again a request is granted, on a connection of its own. */
static void check_it_works(struct sim *const sim)
{
    set_outcomes(sim, 0);
    struct sim_lease lease;
    const int result = sim_ask(&lease, sim);
    assert_true(result >= 0);
    sim_run(sim, 2500 * BH_MS_US);
    assert_true(sim_is_granted(&lease));
    assert_int_equal(sim_stats(sim).busy, 1);
    sim_release(&lease, BH_POOL_CLEAN);
    assert_int_equal(sim->alive_peak, 1);
}

/* A connection is made, cancelled, pinged, reset: all gates are passed, as far as they open. */
static void every_answer_at_every_gate(void **const state)
{
    (void)state;
    static const enum bh_pool_outcome returns[ROUNDS] = {
        BH_POOL_CLEAN, BH_POOL_RUNNING, BH_POOL_DIRTY, BH_POOL_CLEAN, BH_POOL_BROKEN,
    };
    for (unsigned combination = 0; combination < combinations(); combination++) {
        struct bh_pool_options options;
        struct sim sim;
        options_for_one(&options);
        sim_init(&sim, &options, combination);
        set_outcomes(&sim, combination);
        for (unsigned round = 0; round < ROUNDS; round++) {
            struct sim_lease lease;
            const int result = sim_ask(&lease, &sim);
            assert_true(result >= 0);
            const uint64_t asked_us = sim.now_us;
            while (sim_is_waiting(&lease))
                assert_true(sim_step(&sim, asked_us + options.acquire_timeout_us));
            if (result == 1)
                assert_int_equal(lease.told, 1);
            if (sim_is_granted(&lease))
                sim_release(&lease, returns[round]);
            else
                assert_true(lease.base.result == BH_EBUSY || lease.base.result == BH_EUNAVAILABLE);
            sim_run(&sim, 1500 * BH_MS_US); /* idle for long enough to be pinged */
        }
        sim_run(&sim, 3 * BH_SECOND_US);
        check_it_works(&sim);
        sim_fini(&sim);
    }
}

/* Two wait; the first leaves after `moment` events: the second loses nothing by it. */
static bool leave_at(const unsigned combination, const unsigned moment)
{
    struct bh_pool_options options;
    struct sim sim;
    options_for_one(&options);
    options.acquire_timeout_us = 60 * BH_SECOND_US;
    sim_init(&sim, &options, combination);
    set_outcomes(&sim, combination);

    struct sim_lease holder;
    assert_int_equal(sim_ask(&holder, &sim), 1);
    struct sim_lease first;
    struct sim_lease second;
    assert_int_equal(sim_ask(&first, &sim), 1);
    assert_int_equal(sim_ask(&second, &sim), 1);
    unsigned happened = 0;
    while (happened < moment && sim_step(&sim, sim.now_us + 2 * BH_SECOND_US)) {
        happened++;
        if (sim_is_granted(&holder))
            sim_release(&holder, moment % 2 ? BH_POOL_DIRTY : BH_POOL_RUNNING);
    }
    if (sim_is_waiting(&holder))
        sim_withdraw(&holder);
    sim_withdraw(&first); /* waiting, or granted just now, or ended */
    set_outcomes(&sim, 0);
    if (sim_is_waiting(&second))
        sim_run(&sim, 4 * BH_SECOND_US);
    assert_true(sim_is_granted(&second));
    sim_release(&second, BH_POOL_CLEAN);
    check_it_works(&sim);
    sim_fini(&sim);
    return happened == moment && moment < 40;
}

static void a_caller_leaves_at_every_moment(void **const state)
{
    (void)state;
    for (unsigned combination = 0; combination < combinations(); combination++) {
        unsigned moment = 0;
        while (leave_at(combination, moment))
            moment++;
        assert_true(moment > 1);
    }
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_at_every_gate),
        cmocka_unit_test(a_caller_leaves_at_every_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
