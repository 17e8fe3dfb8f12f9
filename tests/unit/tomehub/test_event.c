/* Waiting for a change told by another fiber or thread. */
#include "cmocka_setup.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "in_fiber.h"
#include "event.h"

#define ROUNDS 500

static void past_changes_do_not_park(void *const argument)
{
    struct tome_event *const event = argument;
    const uint64_t seen = tome_event_count(event);
    tome_event_raise(event);
    assert_int_equal(tome_event_wait(event, seen, BH_NEVER_US), 0);
    assert_int_equal(tome_event_count(event), seen + 1);
}

static void time_passes(void *const argument)
{
    struct tome_event *const event = argument;
    const uint64_t seen = tome_event_count(event), now = bh_time_now_us();
    assert_int_equal(tome_event_wait(event, seen, now + 5000), BH_ETIMEDOUT);
    assert_true(bh_time_now_us() >= now + 5000);
    assert_int_equal(tome_event_wait(event, seen, 0), BH_ETIMEDOUT);
}

/* A fiber that waits, for the one that raises or cancels. */
struct waiting {
    struct tome_event *event;
    struct bh_fiber *fiber;
    int result;
    bool ended;
};

static void wait_once(void *const argument)
{
    struct waiting *const waiting = argument;
    waiting->fiber = bh_fiber_current();
    waiting->result = tome_event_wait(waiting->event, tome_event_count(waiting->event),
                                      BH_NEVER_US);
    waiting->ended = true;
}

static void all_are_woken(void *const argument)
{
    struct tome_event *const event = argument;
    struct waiting waiting[5];
    for (size_t i = 0; i < BH_COUNT_OF(waiting); i++) {
        waiting[i] = (struct waiting){ .event = event, .result = 1 };
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), wait_once, &waiting[i]), 0);
        assert_false(waiting[i].ended);
    }
    tome_event_raise(event);
    assert_int_equal(bh_fiber_sleep(1000), 0);
    for (size_t i = 0; i < BH_COUNT_OF(waiting); i++)
        assert_true(waiting[i].ended && waiting[i].result == 0);
}

static void a_cancelled_wait_ends(void *const argument)
{
    struct tome_event *const event = argument;
    struct waiting waiting = { .event = event, .result = 1 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), wait_once, &waiting), 0);
    bh_fiber_cancel(waiting.fiber);
    assert_int_equal(bh_fiber_sleep(1000), 0);
    assert_true(waiting.ended);
    assert_int_equal(waiting.result, BH_ECANCELED);
    tome_event_raise(event); /* nobody is left to be woken */
}

/* Cancelled while the wake is on its way: the posted task must not outlive the waiter's stack. */
static void a_wake_and_a_cancel_at_once(void *const argument)
{
    struct tome_event *const event = argument;
    struct waiting waiting = { .event = event, .result = 1 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), wait_once, &waiting), 0);
    tome_event_raise(event);
    bh_fiber_cancel(waiting.fiber);
    assert_int_equal(bh_fiber_sleep(1000), 0);
    assert_true(waiting.ended);
}

struct raising {
    struct tome_event *event;
    atomic_uint wanted; /* rounds asked for by the fiber */
    atomic_uint done;
};

static void *raise_often(void *const argument)
{
    struct raising *const raising = argument;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        while (atomic_load(&raising->wanted) < round)
            sched_yield();
        atomic_store(&raising->done, round);
        tome_event_raise(raising->event);
    }
    return NULL;
}

/* No change is missed however the threads interleave: a missed one would park for ever. */
static void no_change_of_another_thread_is_missed(void *const argument)
{
    struct raising raising = { .event = argument };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_often, &raising), 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        atomic_store(&raising.wanted, round);
        for (;;) {
            const uint64_t seen = tome_event_count(raising.event);
            if (atomic_load(&raising.done) >= round)
                break;
            assert_int_equal(tome_event_wait(raising.event, seen, BH_NEVER_US), 0);
        }
    }
    pthread_join(thread, NULL);
}

static void run(bh_fiber_function *const body)
{
    struct tome_event event;
    tome_event_init(&event);
    in_fiber_run(body, &event);
    tome_event_fini(&event);
}

#define TEST(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        run(name);                        \
    }

TEST(past_changes_do_not_park)
TEST(time_passes)
TEST(all_are_woken)
TEST(a_cancelled_wait_ends)
TEST(a_wake_and_a_cancel_at_once)
TEST(no_change_of_another_thread_is_missed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_past_changes_do_not_park),
        cmocka_unit_test(test_time_passes),
        cmocka_unit_test(test_all_are_woken),
        cmocka_unit_test(test_a_cancelled_wait_ends),
        cmocka_unit_test(test_a_wake_and_a_cancel_at_once),
        cmocka_unit_test(test_no_change_of_another_thread_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
