/*
 * What the pool costs, without a database: its driver's other side answers by itself.
 *
 *     pool_cycle cycle [ROUNDS]
 *     pool_cycle spike REQUESTS CONNECT_MS WORK_MS MINIMUM MAXIMUM cold|warm
 *
 * `cycle` prints nanoseconds of processor time of one lease, taken and returned, nobody waiting:
 * the median of nine rounds; exclusive, shared, and by a fiber's waiting call. `contended`: one
 * connection, 64 waiting leases, each return hands it to the next.
 *
 * `spike` lets so many fibers ask at once for a connection to work with for WORK_MS, where a
 * connect takes CONNECT_MS, and prints connections made in all, and the median and 99th percentile
 * of the time from asking to returning, in milliseconds. Warm: the minimum is open before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "db/pool/pool_loop.h"

#define REPEATS 9
#define WAITERS 64
#define REQUESTS_MAX 1000

static uint64_t connect_ms;
static unsigned connects;

/* ---- A driver that answers from a timer ---- */

struct peer {
    struct bh_pool_connection base;
    uv_timer_t timer;
    bool is_closing;
};

static void freed(uv_handle_t *const handle)
{
    free(handle->data);
}

static void answer(uv_timer_t *const timer)
{
    struct peer *const peer = timer->data;
    const uint64_t now_us = bh_loop_now_us(bh_loop_current());
    if (peer->is_closing)
        bh_pool_closed(&peer->base, now_us);
    else if (peer->base.state == BH_POOL_CONNECTING)
        bh_pool_connected(&peer->base, now_us);
    else
        bh_pool_ready(&peer->base, now_us);
}

static struct bh_pool_connection *peer_connect(struct bh_pool_shard *const shard,
                                               void *const context)
{
    (void)shard;
    (void)context;
    struct peer *const peer = calloc(1, sizeof(*peer));
    bh_assert(peer);
    connects++;
    uv_timer_init(bh_loop_uv(bh_loop_current()), &peer->timer);
    peer->timer.data = peer;
    uv_timer_start(&peer->timer, answer, connect_ms, 0);
    return &peer->base;
}

static struct peer *of(struct bh_pool_connection *const connection)
{
    return BH_CONTAINER_OF(connection, struct peer, base);
}

static void peer_begin(struct bh_pool_connection *const connection)
{
    uv_timer_start(&of(connection)->timer, answer, 0, 0);
}

static void peer_close(struct bh_pool_connection *const connection)
{
    of(connection)->is_closing = true;
    peer_begin(connection);
}

static void peer_destroy(struct bh_pool_connection *const connection)
{
    uv_close((uv_handle_t *)&of(connection)->timer, freed);
}

/* Nothing is ever that late here. */
static void peer_give_up(struct bh_pool_connection *const base)
{
    (void)base;
    bh_assert(false);
}

static const struct bh_pool_driver driver = {
    .connect = peer_connect,
    .ping = peer_begin,
    .reset = peer_begin,
    .cancel = peer_begin,
    .give_up = peer_give_up,
    .close = peer_close,
    .destroy = peer_destroy,
};

/* ---- A pool on a loop ---- */

static struct bh_pool_options options;
static struct bh_pool *pool;
static struct bh_pool_loop *joined;
static struct bh_fiber *main_fiber;
static void (*body)(void);

static void has_left(void *const argument)
{
    *(bool *)argument = true;
    bh_fiber_wake(main_fiber);
}

static void in_fiber(void *const argument)
{
    struct bh_loop *const loop = argument;
    struct bh_error error;
    bool is_over = false;
    main_fiber = bh_fiber_current();
    int result = bh_pool_create(&options, &pool, &error);
    bh_assert(result == 0);
    result = bh_pool_join(pool, loop, &driver, NULL, &joined);
    bh_assert(result == 0);
    body();
    bh_pool_leave(joined, has_left, &is_over);
    while (!is_over)
        bh_fiber_park_uncancelable();
    bh_pool_destroy(pool);
    bh_loop_stop(loop);
}

static void begin(uv_timer_t *const timer)
{
    const int result = bh_fiber_spawn(timer->data, in_fiber, timer->data);
    bh_assert(result == 0);
    uv_close((uv_handle_t *)timer, NULL);
}

static void run(void (*const function)(void))
{
    struct bh_loop *loop;
    uv_timer_t timer;
    body = function;
    const int result = bh_loop_create(NULL, &loop);
    bh_assert(result == 0);
    uv_timer_init(bh_loop_uv(loop), &timer);
    timer.data = loop;
    uv_timer_start(&timer, begin, 0, 0);
    bh_loop_run(loop);
    bh_loop_destroy(loop);
}

/* ---- The cycle ---- */

static unsigned rounds = 2000000;

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void take_and_return(const enum bh_pool_lane lane)
{
    struct bh_pool_shard *const shard = bh_pool_shard_of(joined);
    struct bh_loop *const loop = bh_loop_current();
    for (unsigned i = 0; i < rounds; i++) {
        struct bh_pool_lease lease = { .lane = lane, .priority = BH_POOL_NORMAL };
        const int result = bh_pool_request(shard, &lease, bh_loop_now_us(loop));
        bh_assert(result == 0);
        bh_pool_release(&lease, BH_POOL_CLEAN, bh_loop_now_us(loop));
    }
}

static void exclusive(void)
{
    take_and_return(BH_POOL_LANE_EXCLUSIVE);
}

static void shared(void)
{
    take_and_return(BH_POOL_LANE_SHARED);
}

static void by_fiber(void)
{
    for (unsigned i = 0; i < rounds; i++) {
        struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
        const int result = bh_pool_acquire(joined, &lease, NULL);
        bh_assert(result == 0);
        bh_pool_return(&lease, BH_POOL_CLEAN);
    }
}

static void ignore(struct bh_pool_lease *const lease)
{
    (void)lease;
}

/* The holder returns, the oldest of the others has it, and the first stands in line again. */
static void contended(void)
{
    struct bh_pool_shard *const shard = bh_pool_shard_of(joined);
    struct bh_loop *const loop = bh_loop_current();
    static struct bh_pool_lease leases[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++) {
        leases[i] = (struct bh_pool_lease){ .priority = BH_POOL_NORMAL, .notify = ignore };
        const int result = bh_pool_request(shard, &leases[i], bh_loop_now_us(loop));
        bh_assert(result == (i > 0));
    }
    for (unsigned i = 0; i < rounds; i++) {
        struct bh_pool_lease *const holder = &leases[i % WAITERS];
        bh_pool_release(holder, BH_POOL_CLEAN, bh_loop_now_us(loop));
        const int result = bh_pool_request(shard, holder, bh_loop_now_us(loop));
        bh_assert(result == 1);
    }
    for (unsigned i = 0; i < WAITERS; i++)
        bh_pool_withdraw(&leases[i], bh_loop_now_us(loop));
}

static int by_value(const void *const a, const void *const b)
{
    const double one = *(const double *)a;
    const double other = *(const double *)b;
    return (one > other) - (one < other);
}

static void measure(const char *const name, void (*const function)(void))
{
    double figures[REPEATS];
    for (unsigned i = 0; i < REPEATS; i++) {
        /* In each round a turn of its own, with a connection that is there. */
        struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
        const int result = bh_pool_acquire(joined, &lease, NULL);
        bh_assert(result == 0);
        bh_pool_return(&lease, BH_POOL_CLEAN);
        const uint64_t begun_ns = cpu_ns();
        function();
        figures[i] = (double)(cpu_ns() - begun_ns) / rounds;
        bh_fiber_yield();
    }
    qsort(figures, REPEATS, sizeof(*figures), by_value);
    printf("%s %.1f\n", name, figures[REPEATS / 2]);
}

static void cycle(void)
{
    measure("exclusive", exclusive);
    measure("shared", shared);
    measure("fiber", by_fiber);
    measure("contended", contended);
}

/* ---- The spike ---- */

static unsigned requests;
static uint64_t work_ms;
static bool is_warm;
static unsigned left;
static double times_ms[REQUESTS_MAX];

static void work(void *const argument)
{
    double *const time_ms = argument;
    struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
    const uint64_t since_us = bh_time_now_us();
    int result = bh_pool_acquire(joined, &lease, NULL);
    bh_assert(result == 0);
    result = bh_fiber_sleep(work_ms * BH_MS_US);
    bh_assert(result == 0);
    bh_pool_return(&lease, BH_POOL_CLEAN);
    *time_ms = (double)(bh_time_now_us() - since_us) / 1000;
    left--;
    bh_fiber_wake(main_fiber);
}

static void spike(void)
{
    struct bh_pool_stats stats;
    int result;
    for (;;) {
        bh_pool_stats(pool, &stats);
        if (!is_warm || stats.idle >= options.minimum)
            break;
        result = bh_fiber_sleep(BH_MS_US);
        bh_assert(result == 0);
    }
    left = requests;
    for (unsigned i = 0; i < requests; i++) {
        result = bh_fiber_spawn(bh_loop_current(), work, &times_ms[i]);
        bh_assert(result == 0);
    }
    while (left > 0)
        bh_fiber_park_uncancelable();
    qsort(times_ms, requests, sizeof(*times_ms), by_value);
    printf("%u %.1f %.1f\n", connects, times_ms[requests / 2], times_ms[(requests * 99 - 1) / 100]);
}

static unsigned number(const char *const text, const unsigned maximum)
{
    const unsigned long value = strtoul(text, NULL, 10);
    return value < maximum ? (unsigned)value : maximum;
}

int main(const int argc, char **const argv)
{
    bh_pool_options_default(&options);
    options.name = "bench";
    if (argc >= 2 && strcmp(argv[1], "cycle") == 0) {
        options.minimum = 1;
        options.maximum = 1;
        options.ping_after_us = BH_NEVER_US;
        if (argc > 2)
            rounds = number(argv[2], 1000000000);
        run(cycle);
        return EXIT_SUCCESS;
    }
    if (argc == 8 && strcmp(argv[1], "spike") == 0) {
        requests = number(argv[2], REQUESTS_MAX);
        connect_ms = number(argv[3], 10000);
        work_ms = number(argv[4], 10000);
        options.minimum = number(argv[5], 1000);
        options.maximum = number(argv[6], 1000);
        is_warm = strcmp(argv[7], "warm") == 0;
        run(spike);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "usage: pool_cycle cycle [ROUNDS] | spike REQUESTS CONNECT_MS WORK_MS MINIMUM "
                    "MAXIMUM cold|warm\n");
    return EXIT_FAILURE;
}
