#include "cmocka_setup.h"

#include <string.h>

#include "bulkhead/base/time.h"
#include "http/deadline.h"

#define COUNT 50

struct watched {
    struct bh_deadline deadline;
    unsigned number;
    unsigned expired;
    uint64_t late_us;
};

static struct bh_loop *loop;
static struct bh_deadlines deadlines;
static struct watched watched[COUNT];
static unsigned order[2 * COUNT];
static unsigned expired_count;
static unsigned stop_at;

static void stop(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        bh_deadline_stop(&watched[i].deadline);
    bh_deadlines_close(&deadlines, NULL, NULL);
    bh_loop_stop(loop);
}

static void expired(struct bh_deadline *const deadline)
{
    struct watched *const one = BH_CONTAINER_OF(deadline, struct watched, deadline);
    assert_false(deadline->is_running);
    const uint64_t now_us = bh_time_now_us();
    assert_true(now_us >= deadline->at_us);
    one->late_us = now_us - deadline->at_us;
    one->expired++;
    order[expired_count++] = one->number;
    if (expired_count == stop_at)
        stop();
}

static void expired_again(struct bh_deadline *const deadline)
{
    bh_deadline_start(&deadlines, deadline, deadline->kind);
    struct watched *const one = BH_CONTAINER_OF(deadline, struct watched, deadline);
    one->expired++;
    if (one->expired == 5)
        stop();
}

static int setup(void **const state)
{
    (void)state;
    memset(watched, 0, sizeof(watched));
    expired_count = 0;
    for (unsigned i = 0; i < COUNT; i++)
        watched[i].number = i;
    if (bh_loop_create(NULL, &loop) < 0)
        return -1;
    bh_deadlines_init(&deadlines, loop);
    return 0;
}

static int teardown(void **const state)
{
    (void)state;
    bh_loop_destroy(loop);
    return 0;
}

static void test_deadlines_of_a_kind_expire_in_the_order_of_their_starts(void **const state)
{
    (void)state;
    bh_deadlines_set(&deadlines, BH_DEADLINE_IDLE, 20 * BH_MS_US, expired);
    for (unsigned i = 0; i < COUNT; i++)
        bh_deadline_start(&deadlines, &watched[i].deadline, BH_DEADLINE_IDLE);
    /* Started anew: now the last. */
    bh_deadline_start(&deadlines, &watched[0].deadline, BH_DEADLINE_IDLE);
    stop_at = COUNT;
    bh_loop_run(loop);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(order[i], (i + 1) % COUNT);
}

static void test_stopped_deadlines_do_not_expire(void **const state)
{
    (void)state;
    bh_deadlines_set(&deadlines, BH_DEADLINE_IDLE, 10 * BH_MS_US, expired);
    bh_deadlines_set(&deadlines, BH_DEADLINE_HEAD, 60 * BH_MS_US, expired);
    for (unsigned i = 0; i < COUNT; i++)
        bh_deadline_start(&deadlines, &watched[i].deadline, BH_DEADLINE_IDLE);
    for (unsigned i = 1; i < COUNT; i++) {
        bh_deadline_stop(&watched[i].deadline);
        bh_deadline_stop(&watched[i].deadline);
    }
    bh_deadline_start(&deadlines, &watched[1].deadline, BH_DEADLINE_HEAD);
    stop_at = 2;
    bh_loop_run(loop);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 1);
}

static void test_kinds_expire_by_their_own_durations(void **const state)
{
    (void)state;
    bh_deadlines_set(&deadlines, BH_DEADLINE_HEAD, 1000 * BH_MS_US, expired);
    bh_deadlines_set(&deadlines, BH_DEADLINE_IDLE, 5 * BH_MS_US, expired);
    bh_deadlines_set(&deadlines, BH_DEADLINE_BODY, 300 * BH_MS_US, expired);
    bh_deadline_start(&deadlines, &watched[0].deadline, BH_DEADLINE_HEAD);
    bh_deadline_start(&deadlines, &watched[1].deadline, BH_DEADLINE_IDLE);
    bh_deadline_start(&deadlines, &watched[2].deadline, BH_DEADLINE_BODY);
    stop_at = 3;
    bh_loop_run(loop);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 0);
}

static void test_a_recurring_check_does_not_hold_the_loop(void **const state)
{
    (void)state;
    /* Even one without duration comes back only in later turns. */
    bh_deadlines_set(&deadlines, BH_DEADLINE_WRITE, 0, expired_again);
    bh_deadline_start(&deadlines, &watched[0].deadline, BH_DEADLINE_WRITE);
    bh_loop_run(loop);
    assert_int_equal(watched[0].expired, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_deadlines_of_a_kind_expire_in_the_order_of_their_starts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_deadlines_do_not_expire, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_expire_by_their_own_durations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_recurring_check_does_not_hold_the_loop, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
