/*
 * What a rate limit's check costs, the key's hash included.
 *
 *     limiter_check [ROUNDS]
 *
 * Prints nanoseconds of processor time of one check, the median of nine rounds: of one key, of
 * 10,000 keys in turn, of new keys all the time (each takes another's place), refused ones; then on
 * all cores at once, with keys of their own and with one key for all, where all want the same line.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/overload/limiter.h"

#define REPEATS 9
#define THREADS_MAX 64
#define KEYS 10000

static uint64_t rounds = 1000000;
static struct bh_limiter *wide; /* does not refuse */
static struct bh_limiter *narrow;
static _Atomic uint64_t sink; /* so that no check is optimised away */

struct run {
    struct bh_limiter *limiter;
    uint64_t keys; /* distinct ones */
    uint64_t first;
};

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static double once(struct run *const run)
{
    /* A key as it is for a client: the bytes of an address. */
    struct {
        uint64_t number, rest;
    } address = { 0, 0 };
    const struct bh_str key = { (const char *)&address, sizeof(address) };
    uint64_t allowed = 0, now_us = bh_time_now_us();
    const uint64_t begun_ns = cpu_ns();
    for (uint64_t i = 0; i < rounds; i++) {
        address.number = run->first + i % run->keys;
        allowed += bh_limiter_check(run->limiter, key, 1, now_us + i * THREADS_MAX).is_allowed;
    }
    const uint64_t ended_ns = cpu_ns();
    run->first += run->keys == rounds ? rounds : 0;
    sink += allowed;
    return (double)(ended_ns - begun_ns) / (double)rounds;
}

static int compare(const void *const one, const void *const two)
{
    const double a = *(const double *)one, b = *(const double *)two;
    return (a > b) - (a < b);
}

static double median(struct run run)
{
    double figures[REPEATS];
    for (size_t i = 0; i < REPEATS; i++)
        figures[i] = once(&run);
    qsort(figures, REPEATS, sizeof(figures[0]), compare);
    return figures[REPEATS / 2];
}

struct thread {
    struct run run;
    double figure;
};

static void *thread_main(void *const argument)
{
    struct thread *const thread = argument;
    thread->figure = median(thread->run);
    return NULL;
}

static double on_all_cores(const unsigned count, const uint64_t keys, const bool is_shared)
{
    pthread_t threads[THREADS_MAX];
    struct thread arguments[THREADS_MAX];
    double sum = 0;
    for (unsigned i = 0; i < count; i++) {
        arguments[i].run = (struct run){ wide, keys, is_shared ? 0 : i << 20 };
        bh_assert(pthread_create(&threads[i], NULL, thread_main, &arguments[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        sum += arguments[i].figure;
    }
    return sum / count;
}

int main(const int argc, char **const argv)
{
    if (argc > 1)
        rounds = strtoull(argv[1], NULL, 10);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned threads = cores < THREADS_MAX ? (unsigned)cores : THREADS_MAX;
    const struct bh_limiter_quota most = { BH_LIMITER_COUNT_MAX, BH_SECOND_US };
    const struct bh_limiter_quota least = { 1, BH_SECOND_US };
    bh_assert(bh_limiter_create(&most, 65536, 1, &wide) == 0);
    bh_assert(bh_limiter_create(&least, 65536, 1, &narrow) == 0);
    printf("one key                      %6.1f ns  a check\n", median((struct run){ wide, 1, 0 }));
    printf("10,000 keys                  %6.1f ns\n", median((struct run){ wide, KEYS, 0 }));
    printf("new keys only                %6.1f ns\n", median((struct run){ wide, rounds, KEYS }));
    printf("refused                      %6.1f ns\n", median((struct run){ narrow, 1, 0 }));
    printf("%2u threads, keys of their own %5.1f ns\n", threads,
           on_all_cores(threads, KEYS, false));
    printf("%2u threads, the same keys     %5.1f ns\n", threads, on_all_cores(threads, KEYS, true));
    printf("%2u threads, one key for all   %5.1f ns\n", threads, on_all_cores(threads, 1, true));
    bh_limiter_destroy(wide);
    bh_limiter_destroy(narrow);
    return 0;
}
