#include "cmocka_setup.h"
#include "in_fiber.h"

#include <string.h>

#include "bulkhead/base/time.h"
#include "bulkhead/loop/standing.h"

/* A record of what happened in which order. */
static char trace[64];

static void note(const char what)
{
    const size_t size = strlen(trace);
    assert_true(size + 1 < sizeof(trace));
    trace[size] = what;
    trace[size + 1] = '\0';
}

static int reset_trace(void **const state)
{
    (void)state;
    trace[0] = '\0';
    return 0;
}

struct child {
    struct bh_fiber *fiber;
    int result;
    bool ended;
};

static void parks_once(void *const argument)
{
    struct child *const child = argument;
    child->fiber = bh_fiber_current();
    note('a');
    child->result = bh_fiber_park();
    note('b');
    child->ended = true;
}

static void wait_for_end(const struct child *const child)
{
    while (!child->ended)
        bh_fiber_yield();
}

static void spawn_runs_until_first_wait(void *const argument)
{
    (void)argument;
    struct child child = { 0 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), parks_once, &child), 0);
    note('1');
    assert_int_equal(bh_fiber_count(bh_loop_current()), 2);
    bh_fiber_wake(child.fiber);
    note('2');
    wait_for_end(&child);
    assert_int_equal(child.result, 0);
    assert_string_equal(trace, "a12b");
}

static void test_spawn_and_wake(void **const state)
{
    (void)state;
    in_fiber_run(spawn_runs_until_first_wait, NULL);
}

static void wake_before_park_is_kept(void *const argument)
{
    (void)argument;
    bh_fiber_wake(bh_fiber_current());
    bh_fiber_wake(bh_fiber_current());
    assert_int_equal(bh_fiber_park(), 0);
    assert_int_equal(bh_fiber_park_until(bh_time_now_us() + 2000), BH_ETIMEDOUT);
}

static void test_wake_before_park(void **const state)
{
    (void)state;
    in_fiber_run(wake_before_park_is_kept, NULL);
}

static void cancel_ends_every_wait(void *const argument)
{
    (void)argument;
    struct child child = { 0 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), parks_once, &child), 0);
    bh_fiber_cancel(child.fiber);
    bh_fiber_wake(child.fiber); /* comes too late to change the reason */
    wait_for_end(&child);
    assert_int_equal(child.result, BH_ECANCELED);

    bh_fiber_cancel(bh_fiber_current());
    assert_true(bh_fiber_is_canceled(bh_fiber_current()));
    assert_int_equal(bh_fiber_park(), BH_ECANCELED);
    assert_int_equal(bh_fiber_sleep(1000), BH_ECANCELED);
}

static void test_cancel(void **const state)
{
    (void)state;
    in_fiber_run(cancel_ends_every_wait, NULL);
}

static void parks_uncancelable(void *const argument)
{
    struct child *const child = argument;
    child->fiber = bh_fiber_current();
    bh_fiber_set_deadline(bh_time_now_us());
    bh_fiber_park_uncancelable();
    child->ended = true;
}

static void clean_up_outlasts_cancel_and_deadline(void *const argument)
{
    (void)argument;
    struct child child = { 0 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), parks_uncancelable, &child), 0);
    bh_fiber_cancel(child.fiber);
    assert_int_equal(bh_fiber_sleep(3000), 0);
    assert_false(child.ended);
    bh_fiber_wake(child.fiber);
    wait_for_end(&child);
}

static void test_uncancelable(void **const state)
{
    (void)state;
    in_fiber_run(clean_up_outlasts_cancel_and_deadline, NULL);
}

static void deadline_ends_waits(void *const argument)
{
    (void)argument;
    const uint64_t deadline_us = bh_time_now_us() + 5000;
    bh_fiber_set_deadline(deadline_us);
    assert_int_equal(bh_fiber_deadline(), deadline_us);
    assert_int_equal(bh_fiber_park(), BH_ETIMEDOUT);
    assert_true(bh_time_now_us() >= deadline_us);
    assert_int_equal(bh_fiber_sleep(1000), BH_ETIMEDOUT);
    bh_fiber_set_deadline(BH_NEVER_US);
    const uint64_t start_us = bh_time_now_us();
    assert_int_equal(bh_fiber_sleep(2000), 0);
    assert_true(bh_time_now_us() - start_us >= 2000);
}

static void test_deadline(void **const state)
{
    (void)state;
    in_fiber_run(deadline_ends_waits, NULL);
}

static void expires_once(void *const argument)
{
    (void)argument;
    struct child child = { 0 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), parks_once, &child), 0);
    bh_fiber_expire(child.fiber);
    wait_for_end(&child);
    assert_int_equal(child.result, BH_ETIMEDOUT);

    bh_fiber_expire(bh_fiber_current());
    const uint64_t expired_us = bh_fiber_deadline();
    assert_true(expired_us <= bh_time_now_us());
    bh_fiber_set_deadline(BH_NEVER_US); /* too late */
    assert_int_equal(bh_fiber_deadline(), expired_us);
    assert_int_equal(bh_fiber_park(), BH_ETIMEDOUT);
    assert_int_equal(bh_fiber_park_until(BH_NEVER_US), BH_ETIMEDOUT);
    assert_int_equal(bh_fiber_sleep(1000), BH_ETIMEDOUT);
    assert_false(bh_fiber_is_canceled(bh_fiber_current()));
    bh_fiber_wake(bh_fiber_current());
    bh_fiber_park_uncancelable();
}

static void test_expire(void **const state)
{
    (void)state;
    in_fiber_run(expires_once, NULL);
}

static void nothing(void *const argument)
{
    (void)argument;
}

static void fibers_are_limited(void *const argument)
{
    (void)argument;
    struct bh_loop *const loop = bh_loop_current();
    struct child children[4] = { 0 };
    for (int i = 0; i < 3; i++)
        assert_int_equal(bh_fiber_spawn(loop, parks_once, &children[i]), 0);
    assert_int_equal(bh_fiber_spawn(loop, parks_once, &children[3]), BH_ELIMIT);
    for (int i = 0; i < 3; i++)
        bh_fiber_wake(children[i].fiber);
    for (int i = 0; i < 3; i++)
        wait_for_end(&children[i]);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bh_fiber_spawn(loop, nothing, NULL), 0);
    bh_loop_stop(loop);
}

static void start_limited(uv_timer_t *const timer)
{
    assert_int_equal(bh_fiber_spawn(timer->data, fibers_are_limited, NULL), 0);
    uv_close((uv_handle_t *)timer, NULL);
}

static void test_limit(void **const state)
{
    (void)state;
    const struct bh_loop_options options = { .stack_bytes = 65536, .fibers_maximum = 4 };
    struct bh_loop *loop;
    assert_int_equal(bh_loop_create(&options, &loop), 0);
    uv_timer_t timer;
    uv_timer_init(bh_loop_uv(loop), &timer);
    timer.data = loop;
    uv_timer_start(&timer, start_limited, 0, 0);
    bh_loop_run(loop);
    bh_loop_destroy(loop);
}

struct deep {
    unsigned left;
    int *sum;
};

static void spawns_deeper(void *const argument)
{
    struct deep *const deep = argument;
    if (deep->left > 0) {
        struct deep next = { .left = deep->left - 1, .sum = deep->sum };
        const int before = *deep->sum;
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), spawns_deeper, &next), 0);
        assert_true(*deep->sum > before);
    }
    *deep->sum += 1;
}

static void nested_spawns_return_in_order(void *const argument)
{
    (void)argument;
    int sum = 0;
    struct deep deep = { .left = 100, .sum = &sum };
    spawns_deeper(&deep);
    assert_int_equal(sum, 101);
}

static void test_nested(void **const state)
{
    (void)state;
    in_fiber_run(nested_spawns_return_in_order, NULL);
}

static void uses_log_context(void *const argument)
{
    struct child *const child = argument;
    static const struct bh_log_context inner = { .request_id = { "inner", 5 } };
    bh_fiber_set_log_context(&inner);
    child->fiber = bh_fiber_current();
    child->result = bh_fiber_park();
    assert_ptr_equal(bh_log_context_get(), &inner);
    child->ended = true;
}

static void log_context_follows_the_fiber(void *const argument)
{
    (void)argument;
    static const struct bh_log_context outer = { .request_id = { "outer", 5 } };
    bh_fiber_set_log_context(&outer);
    struct child child = { 0 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), uses_log_context, &child), 0);
    assert_ptr_equal(bh_log_context_get(), &outer);
    bh_fiber_wake(child.fiber);
    wait_for_end(&child);
    assert_ptr_equal(bh_log_context_get(), &outer);
    bh_fiber_set_log_context(NULL);
}

static int destroyed_locals;

static void destroy_local(void *const data)
{
    assert_null(bh_fiber_current());
    destroyed_locals += *(int *)data;
}

static void has_local(void *const argument)
{
    assert_null(bh_fiber_local());
    bh_fiber_set_local(argument, destroy_local);
    bh_fiber_yield();
    assert_ptr_equal(bh_fiber_local(), argument);
}

static void local_follows_the_fiber(void *const argument)
{
    (void)argument;
    static int one = 1, ten = 10;
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), has_local, &one), 0);
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), has_local, &ten), 0);
    assert_null(bh_fiber_local());
    assert_int_equal(destroyed_locals, 0);
}

static void test_local(void **const state)
{
    (void)state;
    destroyed_locals = 0;
    in_fiber_run(local_follows_the_fiber, NULL);
    assert_int_equal(destroyed_locals, 11);
}

static void stands(void *const argument)
{
    const struct bh_fiber_standing new = bh_fiber_standing();
    assert_int_equal(new.priority, BH_FIBER_NORMAL);
    assert_int_equal(new.tenant, 0);
    bh_fiber_set_standing(*(const struct bh_fiber_standing *)argument);
    bh_fiber_yield();
    assert_int_equal(bh_fiber_standing().tenant, 7);
}

static void standing_follows_the_fiber(void *const argument)
{
    (void)argument;
    static struct bh_fiber_standing low = { .priority = BH_FIBER_LOW, .tenant = 7 };
    for (int i = 0; i < 2; i++) { /* the second in a fiber used before */
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), stands, &low), 0);
        assert_int_equal(bh_fiber_standing().priority, BH_FIBER_NORMAL);
        while (bh_fiber_count(bh_loop_current()) > 1)
            bh_fiber_yield();
    }
}

static void test_standing(void **const state)
{
    (void)state;
    in_fiber_run(standing_follows_the_fiber, NULL);
}

static void test_log_context(void **const state)
{
    (void)state;
    in_fiber_run(log_context_follows_the_fiber, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_spawn_and_wake, reset_trace),
        cmocka_unit_test_setup(test_wake_before_park, reset_trace),
        cmocka_unit_test_setup(test_cancel, reset_trace),
        cmocka_unit_test_setup(test_uncancelable, reset_trace),
        cmocka_unit_test_setup(test_deadline, reset_trace),
        cmocka_unit_test_setup(test_expire, reset_trace),
        cmocka_unit_test_setup(test_limit, reset_trace),
        cmocka_unit_test_setup(test_nested, reset_trace),
        cmocka_unit_test_setup(test_log_context, reset_trace),
        cmocka_unit_test_setup(test_local, reset_trace),
        cmocka_unit_test_setup(test_standing, reset_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
