/*
 * What the checks of overload protection cost a request.
 *
 *     overload_check [ROUNDS]
 *
 * Prints nanoseconds, the median of nine rounds: a breaker's enter and leave while it is closed, by
 * one thread and by two at once; the refusal of an open one; a retry budget's first try; being
 * admitted and leaving, by one loop and by two at once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/overload/admission.h"
#include "bulkhead/overload/breaker.h"
#include "bulkhead/overload/retry_budget.h"

#define REPEATS 9
#define THREADS 2

typedef void run_function(uint64_t rounds);

static struct bh_breaker *breaker;
static struct bh_retry_budget budget;

static void breaker_closed(const uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++) {
        struct bh_breaker_permit permit;
        const int result = bh_breaker_enter(breaker, BH_SECOND_US + i, &permit, NULL);
        bh_assert(result == 0);
        bh_breaker_leave(breaker, permit, BH_BREAKER_SUCCESS, 100, BH_SECOND_US + i);
    }
}

static void breaker_open(const uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++) {
        struct bh_breaker_permit permit;
        const int result = bh_breaker_enter(breaker, BH_SECOND_US, &permit, NULL);
        bh_assert(result == BH_EUNAVAILABLE);
    }
}

static void retry_budget_tried(const uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++)
        bh_retry_budget_tried(&budget);
}

/* ---- Admission is entered from fibers ---- */

static struct bh_admission *admission;

struct entering {
    uint64_t rounds;
    struct bh_loop *loop;
    uv_idle_t start;
};

static void enter_and_leave(void *const argument)
{
    const struct entering *const entering = argument;
    struct bh_admission_class *const class = bh_admission_find(admission, "bench");
    for (uint64_t i = 0; i < entering->rounds; i++) {
        struct bh_admission_ticket ticket;
        const int result = bh_admission_enter(class, BH_ADMISSION_NORMAL, &ticket, NULL);
        bh_assert(result == 0);
        bh_admission_leave(&ticket, true);
    }
    bh_loop_stop(entering->loop);
}

static void start_entering(uv_idle_t *const handle)
{
    struct entering *const entering = handle->data;
    uv_idle_stop(handle);
    uv_close((uv_handle_t *)handle, NULL);
    const int result = bh_fiber_spawn(entering->loop, enter_and_leave, entering);
    bh_assert(result == 0);
}

static void admission_entered(const uint64_t rounds)
{
    struct entering entering = { .rounds = rounds };
    bh_assert(bh_loop_create(NULL, &entering.loop) == 0);
    uv_idle_init(bh_loop_uv(entering.loop), &entering.start);
    entering.start.data = &entering;
    uv_idle_start(&entering.start, start_entering);
    bh_loop_run(entering.loop);
    bh_loop_destroy(entering.loop);
}

/* ---- Measuring ---- */

struct work {
    run_function *run;
    uint64_t rounds;
};

static void *in_thread(void *const argument)
{
    const struct work *const work = argument;
    work->run(work->rounds);
    return NULL;
}

static void run_in_threads(const struct work *const work, const unsigned threads)
{
    pthread_t others[THREADS];
    for (unsigned i = 1; i < threads; i++)
        bh_assert(bh_thread_start(in_thread, (void *)(uintptr_t)work, &others[i]) == 0);
    work->run(work->rounds);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(others[i], NULL);
}

static int compare(const void *const a, const void *const b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(const char *const name, run_function *const run, const uint64_t rounds,
                    const unsigned threads)
{
    double nanoseconds[REPEATS];
    const struct work work = { run, rounds };
    for (unsigned i = 0; i < REPEATS; i++) {
        const uint64_t begun_ns = bh_time_now_ns();
        run_in_threads(&work, threads);
        nanoseconds[i] = (double)(bh_time_now_ns() - begun_ns) / (double)rounds;
    }
    qsort(nanoseconds, REPEATS, sizeof(nanoseconds[0]), compare);
    printf("%-28s %6.1f ns\n", name, nanoseconds[REPEATS / 2]);
}

int main(const int argc, char **const argv)
{
    const uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct bh_breaker_options options;
    bh_breaker_options_default(&options);
    options.dependency = "bench";
    options.operation = "call";
    bh_assert(bh_breaker_create(&options, &breaker, NULL) == 0);
    measure("breaker closed", breaker_closed, rounds, 1);
    measure("breaker closed, two threads", breaker_closed, rounds, THREADS);
    bh_retry_budget_init(&budget, 20, 3, 100, BH_SECOND_US);
    measure("retry budget, first try", retry_budget_tried, rounds, 1);
    for (unsigned i = 0; i < options.window_calls; i++) {
        struct bh_breaker_permit permit;
        if (bh_breaker_enter(breaker, BH_SECOND_US, &permit, NULL) == 0)
            bh_breaker_leave(breaker, permit, BH_BREAKER_FAILURE, 0, BH_SECOND_US);
    }
    measure("breaker open", breaker_open, rounds, 1);
    bh_breaker_destroy(breaker);
    const struct bh_admission_class_options class = { "bench", 100, 100, 100, true };
    bh_assert(bh_admission_create(&(struct bh_admission_options){ &class, 1, 100, BH_SECOND_US },
                                  &admission, NULL) == 0);
    measure("admission", admission_entered, rounds, 1);
    measure("admission, two loops", admission_entered, rounds, THREADS);
    bh_admission_destroy(admission);
    return 0;
}
