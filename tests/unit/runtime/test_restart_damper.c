#include "cmocka_setup.h"

#include "runtime/restart_damper.h"

static void test_the_first_end_is_made_good_at_once(void **const state)
{
    (void)state;
    struct bh_restart_damper damper = { .limit = 10 };
    uint64_t delay_us = 1;
    assert_true(bh_restart_damper_ended(&damper, 5 * BH_SECOND_US, &delay_us));
    assert_int_equal(delay_us, 0);
}

static void test_delays_double_up_to_a_limit(void **const state)
{
    (void)state;
    struct bh_restart_damper damper = { .limit = 100 };
    uint64_t delay_us = 0;
    for (unsigned i = 0; i < 99; i++) {
        const uint64_t before_us = delay_us;
        assert_true(bh_restart_damper_ended(&damper, 0, &delay_us));
        if (i >= 2 && before_us < BH_RESTART_DELAY_MAX_US / 2)
            assert_int_equal(delay_us, 2 * before_us);
        assert_true(delay_us <= BH_RESTART_DELAY_MAX_US);
    }
    assert_int_equal(delay_us, BH_RESTART_DELAY_MAX_US);
}

static void test_a_row_is_given_up(void **const state)
{
    (void)state;
    struct bh_restart_damper damper = { .limit = 3 };
    uint64_t delay_us = 0;
    assert_true(bh_restart_damper_ended(&damper, 0, &delay_us));
    assert_true(bh_restart_damper_ended(&damper, 0, &delay_us));
    assert_int_equal(delay_us, BH_RESTART_DELAY_US);
    delay_us = 7;
    assert_false(bh_restart_damper_ended(&damper, 0, &delay_us));
    assert_int_equal(delay_us, 7);
}

static void test_a_long_life_ends_the_row(void **const state)
{
    (void)state;
    struct bh_restart_damper damper = { .limit = 2 };
    uint64_t delay_us = 1;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(bh_restart_damper_ended(&damper, BH_RESTART_SETTLED_US, &delay_us));
        assert_int_equal(delay_us, 0);
    }
    assert_false(bh_restart_damper_ended(&damper, BH_RESTART_SETTLED_US - 1, &delay_us));
}

static void test_a_limit_of_one_forgives_only_long_lives(void **const state)
{
    (void)state;
    struct bh_restart_damper damper = { .limit = 1 };
    uint64_t delay_us = 1;
    assert_true(bh_restart_damper_ended(&damper, BH_RESTART_SETTLED_US, &delay_us));
    assert_false(bh_restart_damper_ended(&damper, 0, &delay_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_end_is_made_good_at_once),
        cmocka_unit_test(test_delays_double_up_to_a_limit),
        cmocka_unit_test(test_a_row_is_given_up),
        cmocka_unit_test(test_a_long_life_ends_the_row),
        cmocka_unit_test(test_a_limit_of_one_forgives_only_long_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
