#include "cmocka_setup.h"
#include "crowd.h"

#include "bulkhead/overload/admission.h"

static struct bh_admission *admission;
static struct bh_admission_class *class;

static void create(const unsigned limit, const unsigned waiters, const uint64_t wait_us)
{
    const struct bh_admission_class_options options[] = {
        { "other", 10, 10, 10, true },
        { "test", limit, limit, limit, true },
    };
    assert_int_equal(
        bh_admission_create(&(struct bh_admission_options){ options, 2, waiters, wait_us },
                            &admission, NULL),
        0);
    class = bh_admission_find(admission, "test");
}

static struct bh_admission_statistics statistics(void)
{
    struct bh_admission_statistics all[2];
    assert_int_equal(bh_admission_statistics(admission, all, 2), 2);
    return all[1];
}

struct visitor {
    enum bh_admission_priority priority;
    uint64_t deadline_us;
    struct bh_fiber *fiber;
    int result;
    struct bh_error error;
    bool is_in_hand, may_leave, has_ended;
    unsigned rank;
};

static unsigned entered;

static void visit(void *const argument)
{
    struct visitor *const visitor = argument;
    struct bh_admission_ticket ticket;
    visitor->fiber = bh_fiber_current();
    if (visitor->deadline_us)
        bh_fiber_set_deadline(visitor->deadline_us);
    visitor->result = bh_admission_enter(class, visitor->priority, &ticket, &visitor->error);
    visitor->is_in_hand = visitor->result == 0;
    if (visitor->is_in_hand) {
        visitor->rank = ++entered;
        while (!visitor->may_leave)
            bh_fiber_yield();
        bh_admission_leave(&ticket, true);
        visitor->is_in_hand = false;
    }
    visitor->has_ended = true;
}

static void spawn(struct visitor *const visitor)
{
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), visit, visitor), 0);
}

static void let_go(struct visitor *const visitor)
{
    visitor->may_leave = true;
    while (!visitor->has_ended)
        bh_fiber_yield();
}

static void by_priority(void *const argument)
{
    (void)argument;
    struct visitor first = { .priority = BH_ADMISSION_NORMAL };
    struct visitor low = { .priority = BH_ADMISSION_LOW };
    struct visitor normal = { .priority = BH_ADMISSION_NORMAL };
    struct visitor second = { .priority = BH_ADMISSION_NORMAL };
    struct visitor high = { .priority = BH_ADMISSION_HIGH };
    create(1, 10, 60 * BH_SECOND_US);
    entered = 0;
    spawn(&first);
    spawn(&low);
    spawn(&normal);
    spawn(&second);
    spawn(&high);
    assert_int_equal(statistics().waiting, 4);
    let_go(&first);
    let_go(&high);
    let_go(&normal);
    let_go(&second);
    let_go(&low);
    assert_true(first.rank < high.rank && high.rank < normal.rank && normal.rank < second.rank &&
                second.rank < low.rank);
    assert_int_equal(statistics().in_hand, 0);
    bh_admission_destroy(admission);
}

static void test_by_priority(void **const state)
{
    (void)state;
    in_fiber_run(by_priority, NULL);
}

static void the_lowest_gives_way(void *const argument)
{
    (void)argument;
    struct visitor first = { .priority = BH_ADMISSION_NORMAL };
    struct visitor low = { .priority = BH_ADMISSION_LOW };
    struct visitor normal = { .priority = BH_ADMISSION_NORMAL };
    struct visitor late = { .priority = BH_ADMISSION_NORMAL };
    create(1, 1, 60 * BH_SECOND_US);
    spawn(&first);
    spawn(&low);
    spawn(&normal);
    while (!low.has_ended)
        bh_fiber_yield();
    assert_int_equal(low.result, BH_EBUSY);
    assert_true(low.error.retry_s >= 1);
    spawn(&late);
    assert_int_equal(late.result, BH_EBUSY);
    let_go(&first);
    let_go(&normal);
    assert_int_equal(normal.result, 0);
    bh_admission_destroy(admission);
}

static void test_the_lowest_gives_way(void **const state)
{
    (void)state;
    in_fiber_run(the_lowest_gives_way, NULL);
}

/* Requests that take 20 ms, one at a time: an average, by which newcomers are judged. */
static void learn_twenty_ms(void)
{
    for (unsigned i = 0; i < 12; i++) {
        struct bh_admission_ticket ticket;
        assert_int_equal(bh_admission_enter(class, BH_ADMISSION_NORMAL, &ticket, NULL), 0);
        assert_int_equal(bh_fiber_sleep(20 * BH_MS_US), 0);
        bh_admission_leave(&ticket, true);
    }
    assert_true(statistics().service_us >= 20 * BH_MS_US);
}

static void too_late_is_refused_at_once(void *const argument)
{
    (void)argument;
    struct visitor holder = { .priority = BH_ADMISSION_NORMAL };
    create(1, 1000, 60 * BH_SECOND_US);
    learn_twenty_ms();
    struct visitor hurried = { .deadline_us = bh_time_now_us() + 5 * BH_MS_US };
    spawn(&hurried);
    assert_true(hurried.has_ended && hurried.result == BH_EBUSY && hurried.error.retry_s >= 1);
    spawn(&holder);
    struct visitor waits = { .deadline_us = bh_time_now_us() + 3600 * BH_SECOND_US };
    struct visitor behind = { .priority = BH_ADMISSION_NORMAL,
                              .deadline_us = bh_time_now_us() + 30 * BH_MS_US };
    spawn(&waits);
    spawn(&behind); /* 20 ms for who is before it, and 20 of its own */
    assert_true(!waits.has_ended && behind.has_ended && behind.result == BH_EBUSY);
    let_go(&holder);
    let_go(&waits);
    assert_int_equal(waits.result, 0);
    bh_admission_destroy(admission);
}

static void test_too_late_is_refused_at_once(void **const state)
{
    (void)state;
    in_fiber_run(too_late_is_refused_at_once, NULL);
}

static void a_long_line_is_not_joined(void *const argument)
{
    (void)argument;
    create(1, 1000, 50 * BH_MS_US);
    learn_twenty_ms();
    struct visitor visitors[8] = { 0 };
    unsigned refused = 0;
    for (unsigned i = 0; i < 8; i++) {
        spawn(&visitors[i]);
        refused += visitors[i].has_ended && visitors[i].result == BH_EBUSY;
    }
    assert_true(refused >= 5); /* one in hand, and 50 ms of waiting are two at most */
    for (unsigned i = 0; i < 8; i++)
        visitors[i].may_leave = true;
    for (unsigned i = 0; i < 8; i++)
        let_go(&visitors[i]);
    bh_admission_destroy(admission);
}

static void test_a_long_line_is_not_joined(void **const state)
{
    (void)state;
    in_fiber_run(a_long_line_is_not_joined, NULL);
}

/* The limit, and as many again; but not more than half of what may wait, by number and by time. */
static void room_is_what_the_line_needs(void *const argument)
{
    (void)argument;
    struct visitor visitors[8] = { 0 };
    create(3, 1000, 3600 * BH_SECOND_US);
    assert_int_equal(bh_admission_room(class), 3 + 3);
    for (size_t i = 0; i < BH_COUNT_OF(visitors); i++) {
        spawn(&visitors[i]);
        assert_int_equal(bh_admission_room(class), i < 6 ? 5 - i : 0);
    }
    for (size_t i = 0; i < BH_COUNT_OF(visitors); i++)
        let_go(&visitors[i]);
    bh_admission_destroy(admission);
    create(3, 4, 3600 * BH_SECOND_US);
    assert_int_equal(bh_admission_room(class), 3 + 2);
    bh_admission_destroy(admission);
    create(1, 1000, 20 * BH_MS_US);
    learn_twenty_ms();
    assert_int_equal(bh_admission_room(class), 1);
    bh_admission_destroy(admission);
}

static void test_room_is_what_the_line_needs(void **const state)
{
    (void)state;
    in_fiber_run(room_is_what_the_line_needs, NULL);
}

static void cancel_meets_grant(void *const argument)
{
    const bool cancel_first = *(const bool *)argument;
    struct visitor holder = { 0 }, canceled = { 0 }, next = { 0 };
    create(1, 10, 60 * BH_SECOND_US);
    spawn(&holder);
    spawn(&canceled);
    spawn(&next);
    if (cancel_first)
        bh_fiber_cancel(canceled.fiber);
    canceled.may_leave = true;
    let_go(&holder);
    if (!cancel_first)
        bh_fiber_cancel(canceled.fiber);
    while (!next.is_in_hand)
        bh_fiber_yield();
    let_go(&next);
    assert_true(canceled.has_ended);
    assert_int_equal(statistics().in_hand, 0);
    bh_admission_destroy(admission);
}

static void test_cancel_meets_grant(void **const state)
{
    (void)state;
    bool cancel_first = true;
    in_fiber_run(cancel_meets_grant, &cancel_first);
    cancel_first = false;
    in_fiber_run(cancel_meets_grant, &cancel_first);
}

static void scales(void *const argument)
{
    (void)argument;
    struct visitor visitors[3] = { 0 };
    create(4, 10, 60 * BH_SECOND_US);
    bh_admission_scale(admission, 50);
    assert_int_equal(statistics().limit, 2);
    for (unsigned i = 0; i < 3; i++)
        spawn(&visitors[i]);
    assert_int_equal(statistics().waiting, 1);
    bh_admission_scale(admission, 100);
    while (!visitors[2].is_in_hand)
        bh_fiber_yield();
    for (unsigned i = 0; i < 3; i++)
        let_go(&visitors[i]);
    bh_admission_destroy(admission);
}

static void test_scales(void **const state)
{
    (void)state;
    in_fiber_run(scales, NULL);
}

/* ---- Several loops, at random ---- */

#define LIMIT 3

static void visit_class(struct crowd_visitor *const visitor)
{
    struct bh_admission_ticket ticket;
    const enum bh_admission_priority priority = (enum bh_admission_priority)crowd_below(
        visitor, BH_ADMISSION_PRIORITIES);
    const int result = bh_admission_enter(class, priority, &ticket, NULL);
    crowd_stay(visitor, result);
    if (result == 0)
        bh_admission_leave(&ticket, crowd_below(visitor, 2) == 0);
}

static void test_loops_share_a_class(void **const state)
{
    (void)state;
    struct crowd crowd = { .visit = visit_class, .limit = LIMIT, .seed = 11 };
    create(LIMIT, 4, BH_SECOND_US);
    crowd_run(&crowd);
    assert_true(crowd.granted > 0);
    assert_int_equal(statistics().in_hand, 0);
    assert_int_equal(statistics().waiting, 0);
    bh_admission_destroy(admission);
}

static void test_options_are_checked(void **const state)
{
    (void)state;
    const struct bh_admission_class_options wrong = { "wrong", 5, 6, 10, true };
    struct bh_error error;
    assert_int_equal(
        bh_admission_create(&(struct bh_admission_options){ &wrong, 1, 1, 1 }, &admission, &error),
        BH_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_priority),
        cmocka_unit_test(test_the_lowest_gives_way),
        cmocka_unit_test(test_too_late_is_refused_at_once),
        cmocka_unit_test(test_a_long_line_is_not_joined),
        cmocka_unit_test(test_room_is_what_the_line_needs),
        cmocka_unit_test(test_cancel_meets_grant),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_loops_share_a_class),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
