/*
 * Shards on real loops: waiting calls of fibers, time-outs and cancellation by the real clock, and
 * loops on threads of their own that take each other's connections. Also run under ASan and TSan.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "cmocka_setup.h"
#include "db/pool/pool_internal.h"
#include "db/pool/pool_loop.h"
#include "in_fiber.h"
#include "prng.h"

/* ---- A driver whose other side answers in the next loop turn ---- */

struct peer {
    struct bh_pool_connection base;
    uv_timer_t timer;
    enum bh_pool_state asked; /* CONNECTING: connect; PINGING: ready; CLOSING: closed */
    bool is_gone;
};

static atomic_uint peers_alive;
static atomic_uint peers_peak;

static struct peer *of(struct bh_pool_connection *const base)
{
    return BH_CONTAINER_OF(base, struct peer, base);
}

static void freed(uv_handle_t *const handle)
{
    free(handle->data);
}

static void answer(uv_timer_t *const timer)
{
    struct peer *const peer = timer->data;
    const uint64_t now_us = bh_loop_now_us(bh_loop_current());
    if (peer->asked == BH_POOL_CONNECTING)
        bh_pool_connected(&peer->base, now_us);
    else if (peer->asked == BH_POOL_CLOSING)
        bh_pool_closed(&peer->base, now_us);
    else
        bh_pool_ready(&peer->base, now_us);
}

static void ask(struct bh_pool_connection *const base, const enum bh_pool_state asked)
{
    struct peer *const peer = of(base);
    peer->asked = asked;
    uv_timer_start(&peer->timer, answer, 0, 0);
}

static struct bh_pool_connection *peer_connect(struct bh_pool_shard *const shard,
                                               void *const context)
{
    (void)shard;
    (void)context;
    struct peer *const peer = calloc(1, sizeof(*peer));
    bh_assert(peer);
    uv_timer_init(bh_loop_uv(bh_loop_current()), &peer->timer);
    peer->timer.data = peer;
    const unsigned alive = atomic_fetch_add(&peers_alive, 1) + 1;
    unsigned peak = atomic_load(&peers_peak);
    while (alive > peak && !atomic_compare_exchange_weak(&peers_peak, &peak, alive)) {
    }
    ask(&peer->base, BH_POOL_CONNECTING);
    return &peer->base;
}

static void peer_ping(struct bh_pool_connection *const base)
{
    ask(base, BH_POOL_PINGING);
}

static void peer_close(struct bh_pool_connection *const base)
{
    ask(base, BH_POOL_CLOSING);
}

static void peer_destroy(struct bh_pool_connection *const base)
{
    struct peer *const peer = of(base);
    bh_assert(!peer->is_gone);
    peer->is_gone = true;
    atomic_fetch_sub(&peers_alive, 1);
    uv_close((uv_handle_t *)&peer->timer, freed);
}

/* Nothing is ever that late here. */
static void peer_give_up(struct bh_pool_connection *const base)
{
    (void)base;
    bh_assert(false);
}

static const struct bh_pool_driver driver = {
    .connect = peer_connect,
    .ping = peer_ping,
    .reset = peer_ping,
    .cancel = peer_ping,
    .give_up = peer_give_up,
    .close = peer_close,
    .destroy = peer_destroy,
};

/* ---- On one loop ---- */

struct test {
    struct bh_pool *pool;
    struct bh_pool_loop *joined;
    struct bh_fiber *main; /* waits for `left` others */
    unsigned left;
    bool has_left;
};

static void left_pool(void *const argument)
{
    struct test *const test = argument;
    test->has_left = true;
    bh_fiber_wake(test->main);
}

static void begin(struct test *const test, const unsigned maximum, const uint64_t timeout_us)
{
    struct bh_pool_options options;
    bh_pool_options_default(&options);
    options.name = "test";
    options.minimum = 0;
    options.maximum = maximum;
    options.acquire_timeout_us = timeout_us;
    *test = (struct test){ .main = bh_fiber_current() };
    assert_int_equal(bh_pool_create(&options, &test->pool, NULL), 0);
    assert_int_equal(bh_pool_join(test->pool, bh_loop_current(), &driver, NULL, &test->joined), 0);
}

static void finish(struct test *const test)
{
    bh_pool_leave(test->joined, left_pool, test);
    while (!test->has_left)
        bh_fiber_park_uncancelable();
    bh_pool_destroy(test->pool);
    assert_int_equal(atomic_load(&peers_alive), 0);
}

static void a_fiber_waits_for_its_connection(void *const argument)
{
    (void)argument;
    struct test test;
    begin(&test, 1, BH_SECOND_US);
    for (unsigned i = 0; i < 3; i++) {
        struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
        assert_int_equal(bh_pool_acquire(test.joined, &lease, NULL), 0);
        bh_pool_return(&lease, i == 1 ? BH_POOL_DIRTY : BH_POOL_CLEAN);
    }
    struct bh_pool_stats stats;
    bh_pool_stats(test.pool, &stats);
    assert_int_equal(stats.connected, 1);
    assert_int_equal(stats.granted, 3);
    finish(&test);
}

static void a_time_out_by_the_clock_names_the_holder(void *const argument)
{
    (void)argument;
    struct test test;
    struct bh_error error = { 0 };
    begin(&test, 1, 30 * BH_MS_US);
    struct bh_pool_lease holder = { .route = BH_STR("POST /slow") };
    assert_int_equal(bh_pool_acquire(test.joined, &holder, NULL), 0);
    struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
    const uint64_t since_us = bh_time_now_us();
    assert_int_equal(bh_pool_acquire(test.joined, &lease, &error), BH_EBUSY);
    assert_true(bh_time_now_us() - since_us >= 30 * BH_MS_US);
    assert_non_null(strstr(error.message, "POST /slow"));

    bh_fiber_set_deadline(bh_time_now_us() + 10 * BH_MS_US);
    assert_int_equal(bh_pool_acquire(test.joined, &lease, &error), BH_ETIMEDOUT);
    assert_non_null(strstr(error.message, "POST /slow"));
    bh_fiber_set_deadline(BH_NEVER_US);
    bh_pool_return(&holder, BH_POOL_CLEAN);
    finish(&test);
}

struct waiter {
    struct test *test;
    struct bh_fiber *fiber;
    int result;
};

static void wait_and_return(void *const argument)
{
    struct waiter *const waiter = argument;
    struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
    waiter->fiber = bh_fiber_current();
    waiter->result = bh_pool_acquire(waiter->test->joined, &lease, NULL);
    if (!waiter->result)
        bh_pool_return(&lease, BH_POOL_CLEAN);
    waiter->fiber = NULL;
    waiter->test->left--;
    bh_fiber_wake(waiter->test->main);
}

static void a_cancelled_fiber_passes_its_grant_on(void *const argument)
{
    (void)argument;
    struct test test;
    begin(&test, 1, 10 * BH_SECOND_US);
    struct bh_pool_lease holder = { .priority = BH_POOL_NORMAL };
    assert_int_equal(bh_pool_acquire(test.joined, &holder, NULL), 0);
    struct waiter waiters[3] = { { .test = &test }, { .test = &test }, { .test = &test } };
    test.left = 3;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), wait_and_return, &waiters[i]), 0);
    bh_fiber_cancel(waiters[0].fiber); /* while it waits */
    bh_pool_return(&holder, BH_POOL_CLEAN);
    if (waiters[1].fiber)
        bh_fiber_cancel(waiters[1].fiber); /* granted, but it does not know yet */
    while (test.left > 0)
        bh_fiber_park_uncancelable();
    assert_int_equal(waiters[0].result, BH_ECANCELED);
    assert_int_equal(waiters[2].result, 0);
    finish(&test);
}

static void a_connection_lost_after_its_grant_is_not_handed_out(void *const argument)
{
    (void)argument;
    struct test test;
    begin(&test, 1, 10 * BH_SECOND_US);
    struct bh_pool_lease holder = { .priority = BH_POOL_NORMAL };
    assert_int_equal(bh_pool_acquire(test.joined, &holder, NULL), 0);
    struct bh_pool_connection *const connection = holder.connection;
    struct waiter waiter = { .test = &test };
    test.left = 1;
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), wait_and_return, &waiter), 0);
    bh_pool_return(&holder, BH_POOL_CLEAN);
    assert_int_equal(connection->depth, 1); /* the waiter's, who has not run since */
    struct bh_error error;
    bh_error_set(&error, BH_ECLOSED, "gone");
    bh_pool_lost(connection, BH_POOL_BROKEN_OFF, &error, bh_time_now_us());
    while (test.left > 0)
        bh_fiber_park_uncancelable();
    assert_int_equal(waiter.result, 0);
    struct bh_pool_stats stats;
    bh_pool_stats(test.pool, &stats);
    assert_int_equal(stats.connected, 2);
    finish(&test);
}

#define WITH_FIBER(name)              \
    static void test_##name(void **s) \
    {                                 \
        (void)s;                      \
        in_fiber_run(name, NULL);     \
    }
WITH_FIBER(a_fiber_waits_for_its_connection)
WITH_FIBER(a_time_out_by_the_clock_names_the_holder)
WITH_FIBER(a_cancelled_fiber_passes_its_grant_on)
WITH_FIBER(a_connection_lost_after_its_grant_is_not_handed_out)

/* ---- On several loops ---- */

#define LOOPS 3
#define USERS 20
#define ROUNDS 1500

struct crowd {
    struct bh_pool *pool;
    pthread_t thread;
    struct test test;
    uint64_t random;
    unsigned served;
};

static void use_connections(void *const argument)
{
    struct crowd *const crowd = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct bh_pool_lease lease = { .priority = BH_POOL_NORMAL };
        const int result = bh_pool_acquire(crowd->test.joined, &lease, NULL);
        assert_int_equal(result, 0); /* 30 s is long enough for all */
        crowd->served++;
        if (prng_below(&crowd->random, 2))
            bh_fiber_yield();
        const uint64_t luck = prng_below(&crowd->random, 40);
        bh_pool_return(&lease, luck == 0   ? BH_POOL_BROKEN
                               : luck == 1 ? BH_POOL_DIRTY
                               : luck == 2 ? BH_POOL_RUNNING
                                           : BH_POOL_CLEAN);
        if (prng_below(&crowd->random, 8) == 0)
            bh_fiber_yield();
    }
    crowd->test.left--;
    bh_fiber_wake(crowd->test.main);
}

static void lead_crowd(void *const argument)
{
    struct crowd *const crowd = argument;
    struct test *const test = &crowd->test;
    test->main = bh_fiber_current();
    test->left = USERS;
    assert_int_equal(bh_pool_join(crowd->pool, bh_loop_current(), &driver, NULL, &test->joined), 0);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), use_connections, crowd), 0);
    while (test->left > 0)
        bh_fiber_park_uncancelable();
    bh_pool_leave(test->joined, left_pool, test);
    while (!test->has_left)
        bh_fiber_park_uncancelable();
}

static void *run_crowd(void *const argument)
{
    in_fiber_run(lead_crowd, argument);
    return NULL;
}

static void loops_share_fewer_connections_than_they_want(void **const state)
{
    (void)state;
    static const unsigned sizes[] = { 1, 2, 4, 12 };
    for (unsigned i = 0; i < BH_COUNT_OF(sizes); i++) {
        struct bh_pool_options options;
        struct crowd crowds[LOOPS] = { 0 };
        struct bh_pool *pool;
        bh_pool_options_default(&options);
        options.name = "test";
        options.shard_count = LOOPS;
        options.minimum = sizes[i] / 2;
        options.maximum = sizes[i];
        assert_int_equal(bh_pool_create(&options, &pool, NULL), 0);
        atomic_store(&peers_peak, 0);
        for (unsigned j = 0; j < LOOPS; j++) {
            crowds[j].pool = pool;
            crowds[j].random = 100 * i + j;
            assert_int_equal(pthread_create(&crowds[j].thread, NULL, run_crowd, &crowds[j]), 0);
        }
        for (unsigned j = 0; j < 20; j++) { /* meanwhile somebody else looks and meddles */
            struct bh_pool_stats stats;
            bh_pool_stats(pool, &stats);
            bh_pool_pause(pool);
            bh_pool_evict(pool);
            bh_pool_resume(pool);
        }
        for (unsigned j = 0; j < LOOPS; j++) {
            pthread_join(crowds[j].thread, NULL);
            assert_int_equal(crowds[j].served, USERS * ROUNDS);
        }
        struct bh_pool_stats stats;
        bh_pool_stats(pool, &stats);
        assert_int_equal(stats.granted, LOOPS * USERS * ROUNDS);
        assert_int_equal(stats.timed_out + stats.shed + stats.canceled, 0);
        assert_in_range(atomic_load(&peers_peak), 1, sizes[i]);
        assert_int_equal(atomic_load(&peers_alive), 0);
        bh_pool_destroy(pool);
    }
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fiber_waits_for_its_connection),
        cmocka_unit_test(test_a_time_out_by_the_clock_names_the_holder),
        cmocka_unit_test(test_a_cancelled_fiber_passes_its_grant_on),
        cmocka_unit_test(test_a_connection_lost_after_its_grant_is_not_handed_out),
        cmocka_unit_test(loops_share_fewer_connections_than_they_want),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
