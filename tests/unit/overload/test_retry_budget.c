#include "cmocka_setup.h"

#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/overload/retry_budget.h"

#define START_US (1000 * BH_SECOND_US)

static unsigned take_all(struct bh_retry_budget *const budget, const uint64_t now_us)
{
    unsigned taken = 0;
    while (bh_retry_budget_take(budget, now_us))
        taken++;
    return taken;
}

static void test_retries_are_a_share_of_the_tries(void **const state)
{
    (void)state;
    struct bh_retry_budget budget;
    bh_retry_budget_init(&budget, 20, 0, 100, START_US);
    assert_int_equal(take_all(&budget, START_US), 0);
    for (unsigned i = 0; i < 50; i++)
        bh_retry_budget_tried(&budget);
    assert_int_equal(take_all(&budget, START_US), 10);
}

static void test_no_more_is_saved_than_the_maximum(void **const state)
{
    (void)state;
    struct bh_retry_budget budget;
    bh_retry_budget_init(&budget, 20, 0, 5, START_US);
    for (unsigned i = 0; i < 1000; i++)
        bh_retry_budget_tried(&budget);
    assert_int_equal(take_all(&budget, START_US), 5);
}

static void test_time_earns_a_few(void **const state)
{
    (void)state;
    struct bh_retry_budget budget;
    bh_retry_budget_init(&budget, 0, 3, 100, START_US);
    assert_int_equal(take_all(&budget, START_US), 3);
    assert_int_equal(take_all(&budget, START_US + BH_SECOND_US), 3);
    assert_int_equal(take_all(&budget, START_US + BH_SECOND_US / 2), 0); /* an older clock */
    assert_int_equal(take_all(&budget, START_US + 3600 * BH_SECOND_US), 3);
}

static void *try_and_take(void *const argument)
{
    struct bh_retry_budget *const budget = argument;
    uintptr_t taken = 0;
    for (unsigned i = 0; i < 20000; i++) {
        bh_retry_budget_tried(budget);
        taken += bh_retry_budget_take(budget, START_US);
    }
    return (void *)taken; // NOLINT(performance-no-int-to-ptr): a thread returns a pointer
}

static void test_threads_share_one_budget(void **const state)
{
    (void)state;
    struct bh_retry_budget budget;
    bh_retry_budget_init(&budget, 20, 0, 100, START_US);
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(bh_thread_start(try_and_take, &budget, &threads[i]), 0);
    uintptr_t taken = 0;
    for (unsigned i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        taken += (uintptr_t)result;
    }
    assert_int_equal(taken + take_all(&budget, START_US), 4 * 20000 / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retries_are_a_share_of_the_tries),
        cmocka_unit_test(test_no_more_is_saved_than_the_maximum),
        cmocka_unit_test(test_time_earns_a_few),
        cmocka_unit_test(test_threads_share_one_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
