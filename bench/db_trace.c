/*
 * What timing a statement costs: begin and end of a span whose driver has told its times, inside a
 * request (N+1 counted) and outside, over a table's worth of statements, on one thread and on all
 * cores at once.
 *
 *     db_trace [ROUNDS]
 *
 * Prints nanoseconds of processor time of one statement: the median of nine rounds. `clock` is the
 * one reading of the clock in it, without which nothing can be timed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "db/trace.h"

#define STATEMENTS 64
#define REPEATS 9
#define THREADS_MAX 64

static char texts[STATEMENTS][64];
static unsigned rounds = 20000;
static const struct bh_log_context context = { .request_id = BH_STR("id"),
                                               .route = BH_STR("/route") };

/* Of this thread: a busy machine changes it less. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void statement(const unsigned index)
{
    struct bh_trace_span span;
    bh_trace_begin(&span, texts[index], texts[index]);
    span.granted_us = span.begun_us + 1;
    span.ended_us = span.begun_us + 20 + index;
    span.rows = 1;
    bh_trace_end(&span, 0);
}

static double run_spans(void)
{
    const uint64_t begun_ns = cpu_ns();
    for (unsigned i = 0; i < rounds; i++)
        for (unsigned index = 0; index < STATEMENTS; index++)
            statement(index);
    return (double)(cpu_ns() - begun_ns) / (rounds * (double)STATEMENTS);
}

static double run_clock(void)
{
    const uint64_t begun_ns = cpu_ns();
    for (unsigned i = 0; i < rounds * STATEMENTS; i++)
        (void)bh_time_now_us();
    return (double)(cpu_ns() - begun_ns) / (rounds * (double)STATEMENTS);
}

static int compare(const void *const one, const void *const two)
{
    const double a = *(const double *)one, b = *(const double *)two;
    return (a > b) - (a < b);
}

static double median_of(double (*const run)(void))
{
    double figures[REPEATS];
    for (size_t i = 0; i < REPEATS; i++)
        figures[i] = run();
    qsort(figures, REPEATS, sizeof(figures[0]), compare);
    return figures[REPEATS / 2];
}

static void *thread_main(void *const argument)
{
    *(double *)argument = median_of(run_spans);
    return NULL;
}

static double on_all_cores(const unsigned count)
{
    pthread_t threads[THREADS_MAX];
    double figures[THREADS_MAX], sum = 0;
    for (unsigned i = 0; i < count; i++)
        bh_assert(pthread_create(&threads[i], NULL, thread_main, &figures[i]) == 0);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        sum += figures[i];
    }
    return sum / count;
}

/* Three statements in each request, as a handler has them: fibers come and go. */
static void request(void *const argument)
{
    (void)argument;
    bh_fiber_set_log_context(&context);
    for (unsigned index = 0; index < 3; index++)
        statement(index);
    bh_fiber_set_log_context(NULL);
}

static void empty_request(void *const argument)
{
    (void)argument;
    bh_fiber_set_log_context(&context);
    bh_fiber_set_log_context(NULL);
}

static double run_requests(bh_fiber_function *const function)
{
    const uint64_t begun_ns = cpu_ns();
    for (unsigned i = 0; i < rounds * 10; i++)
        bh_assert(bh_fiber_spawn(bh_loop_current(), function, NULL) == 0);
    return (double)(cpu_ns() - begun_ns) / (rounds * 10.0);
}

static double run_traced(void)
{
    return run_requests(request);
}

static double run_empty(void)
{
    return run_requests(empty_request);
}

static void main_fiber(void *const argument)
{
    const double empty_ns = median_of(run_empty);
    const double traced_ns = median_of(run_traced);
    printf("in a request of three  %6.1f ns  a statement (the request's counts included)\n",
           (traced_ns - empty_ns) / 3);
    bh_loop_stop(argument);
}

static void start(uv_idle_t *const handle)
{
    uv_idle_stop(handle);
    bh_assert(bh_fiber_spawn(handle->data, main_fiber, handle->data) == 0);
    uv_close((uv_handle_t *)handle, NULL);
}

int main(const int argc, char **const argv)
{
    if (argc > 1)
        rounds = (unsigned)strtoul(argv[1], NULL, 10);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned threads = cores < THREADS_MAX ? (unsigned)cores : THREADS_MAX;
    for (unsigned i = 0; i < STATEMENTS; i++)
        snprintf(texts[i], sizeof(texts[i]), "SELECT a%u FROM t WHERE id = 1", i);
    printf("clock                  %6.1f ns\n", median_of(run_clock));
    printf("outside of a request   %6.1f ns  a statement\n", median_of(run_spans));
    printf("on %2u threads at once  %6.1f ns  a statement\n", threads, on_all_cores(threads));
    struct bh_loop *loop;
    uv_idle_t idle;
    bh_assert(bh_loop_create(NULL, &loop) == 0);
    uv_idle_init(bh_loop_uv(loop), &idle);
    idle.data = loop;
    uv_idle_start(&idle, start);
    bh_loop_run(loop);
    bh_loop_destroy(loop);
    return 0;
}
