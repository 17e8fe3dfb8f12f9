#include "cmocka_setup.h"
#include "in_fiber.h"

#include <sched.h>
#include <semaphore.h>

#include "bulkhead/base/time.h"
#include "bulkhead/loop/worker.h"

struct square {
    int number;
    int result;
};

static int square(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct square *const work = argument;
    work->result = work->number * work->number;
    return work->number == 13 ? BH_EINVAL : 0;
}

struct caller {
    struct bh_worker_pool *pool;
    int number;
    unsigned *running;
};

static void calls_hundred_times(void *const argument)
{
    const struct caller caller = *(const struct caller *)argument;
    for (int i = 0; i < 100; i++) {
        struct square work = { .number = caller.number };
        const int result = bh_worker_run(caller.pool, square, &work, NULL);
        bh_assert(result == (caller.number == 13 ? BH_EINVAL : 0));
        bh_assert(work.result == caller.number * caller.number);
    }
    *caller.running -= 1;
}

static void results_reach_their_callers(void *const argument)
{
    (void)argument;
    struct bh_worker_pool *pool;
    assert_int_equal(bh_worker_pool_create("test", 3, 1000, &pool), 0);
    unsigned running = 0;
    for (int i = 0; i < 50; i++) {
        running++;
        struct caller caller = { .pool = pool, .number = i, .running = &running };
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), calls_hundred_times, &caller), 0);
    }
    while (running > 0)
        assert_int_equal(bh_fiber_sleep(1000), 0);
    bh_worker_pool_destroy(pool);
}

static void test_results(void **const state)
{
    (void)state;
    in_fiber_run(results_reach_their_callers, NULL);
}

/* A job that holds its thread until told, or until its caller has given up. */
struct hold {
    sem_t begun;
    atomic_bool release;
    bool stop_when_canceled;
    unsigned interrupts;
    struct bh_worker_pool *pool;
    struct bh_fiber *fiber;
    uint64_t deadline_us;
    int result;
    bool ended;
};

static void hold_init(struct hold *const hold, struct bh_worker_pool *const pool)
{
    *hold = (struct hold){ .pool = pool, .deadline_us = BH_NEVER_US };
    sem_init(&hold->begun, 0, 0);
}

static int hold_thread(struct bh_worker_job *const job, void *const argument)
{
    struct hold *const hold = argument;
    sem_post(&hold->begun);
    while (!atomic_load(&hold->release)) {
        if (hold->stop_when_canceled && atomic_load(&job->canceled))
            return BH_ECANCELED;
        sched_yield();
    }
    return 7;
}

static void count_interrupt(void *const argument)
{
    struct hold *const hold = argument;
    hold->interrupts++;
}

static void holder(void *const argument)
{
    struct hold *const hold = argument;
    hold->fiber = bh_fiber_current();
    bh_fiber_set_deadline(hold->deadline_us);
    hold->result = bh_worker_run(hold->pool, hold_thread, hold, count_interrupt);
    hold->ended = true;
}

static void wait_for_end(const struct hold *const hold)
{
    while (!hold->ended)
        assert_int_equal(bh_fiber_sleep(200), 0);
}

static void canceled_calls_leave_safely(void *const argument)
{
    (void)argument;
    struct bh_loop *const loop = bh_loop_current();
    struct bh_worker_pool *pool;
    assert_int_equal(bh_worker_pool_create("test", 1, 1, &pool), 0);
    struct hold running;
    struct hold queued;
    struct hold refused;
    hold_init(&running, pool);
    hold_init(&queued, pool);
    hold_init(&refused, pool);
    running.stop_when_canceled = true;

    assert_int_equal(bh_fiber_spawn(loop, holder, &running), 0);
    sem_wait(&running.begun);
    assert_int_equal(bh_worker_pool_busy(pool), 1);
    assert_int_equal(bh_fiber_spawn(loop, holder, &queued), 0);
    assert_int_equal(bh_worker_pool_queued(pool), 1);
    assert_int_equal(bh_fiber_spawn(loop, holder, &refused), 0);
    assert_true(refused.ended);
    assert_int_equal(refused.result, BH_ELIMIT);

    bh_fiber_cancel(queued.fiber);
    wait_for_end(&queued);
    assert_int_equal(queued.result, BH_ECANCELED);
    assert_int_equal(bh_worker_pool_queued(pool), 0);
    assert_int_equal(queued.interrupts, 0);

    bh_fiber_cancel(running.fiber);
    wait_for_end(&running);
    assert_int_equal(running.result, BH_ECANCELED);
    assert_int_equal(running.interrupts, 1);
    bh_worker_pool_destroy(pool);
}

static void test_cancel(void **const state)
{
    (void)state;
    in_fiber_run(canceled_calls_leave_safely, NULL);
}

/* A machine that stalls may let the deadline pass before the job has begun: then it is tried again
 * with a later one. */
static void late_callers_get_the_real_result(void *const argument)
{
    (void)argument;
    struct bh_worker_pool *pool;
    assert_int_equal(bh_worker_pool_create("test", 1, 1, &pool), 0);
    struct hold late;
    uint64_t allowance_us = 10000;
    do {
        hold_init(&late, pool);
        allowance_us *= 2;
        late.deadline_us = bh_time_now_us() + allowance_us;
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), holder, &late), 0);
        while (late.interrupts == 0 && !late.ended)
            assert_int_equal(bh_fiber_sleep(200), 0);
    } while (late.ended && late.result == BH_ETIMEDOUT);
    assert_false(late.ended); /* the job goes on, so its memory must stay */
    atomic_store(&late.release, true);
    wait_for_end(&late);
    assert_int_equal(late.result, 7);
    bh_worker_pool_destroy(pool);
}

static void test_deadline(void **const state)
{
    (void)state;
    in_fiber_run(late_callers_get_the_real_result, NULL);
}

static void clean_up_runs_after_cancel(void *const argument)
{
    (void)argument;
    struct bh_worker_pool *pool;
    assert_int_equal(bh_worker_pool_create("test", 1, 0, &pool), 0);
    bh_fiber_cancel(bh_fiber_current());
    struct square work = { .number = 5 };
    assert_int_equal(bh_worker_run(pool, square, &work, NULL), BH_ECANCELED);
    assert_int_equal(work.result, 0);
    assert_int_equal(bh_worker_run_uncancelable(pool, square, &work), 0);
    assert_int_equal(work.result, 25);
    bh_worker_pool_destroy(pool);
}

static void test_uncancelable(void **const state)
{
    (void)state;
    in_fiber_run(clean_up_runs_after_cancel, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_uncancelable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
