/* Concurrent misses of one key: one load, whoever fails or leaves. */
#include "cmocka_setup.h"

#include <pthread.h>
#include <stdatomic.h>

#include "in_fiber.h"
#include "prng.h"
#include "values.h"

#define READERS 50

struct test {
    struct bh_cache *cache;
    atomic_uint loads, running, failing; /* failing: so many loads fail first */
    unsigned held;                       /* loads wait while it is not 0 */
    unsigned done, outcomes[4];
    int first_error;
    struct bh_fiber *fibers[READERS];
    struct bh_fiber *loader;
    unsigned started;
    uint64_t now_us, ttl_us, stale_us, deadline_us;
    bool only_new;
};

static int load(void *const argument, struct bh_cache_value **const ret_value,
                struct bh_error *const reterr)
{
    struct test *const test = argument;
    const unsigned number = ++test->loads;
    bh_assert(++test->running == 1); /* never two at once */
    test->loader = bh_fiber_current();
    int result = 0;
    while (test->held > 0 && result == 0)
        result = bh_fiber_park();
    test->running--;
    test->loader = NULL;
    if (result == 0 && test->failing > 0) {
        test->failing--;
        result = BH_EUNAVAILABLE;
    }
    if (result != 0)
        return bh_error_set(reterr, result, "test");
    *ret_value = value_of((int64_t)number);
    return 0;
}

static const uint64_t tags[] = { 5 };

static void read_one(void *const argument)
{
    struct test *const test = argument;
    const struct bh_cache_fetch fetch = {
        .key = BH_STR("key"),
        .tags = tags,
        .tag_count = 1,
        .lifetime = { test->ttl_us ? test->ttl_us : BH_NEVER_US, test->stale_us },
        .load = load,
        .argument = test,
        .only_new = test->only_new,
    };
    struct bh_cache_value *value = NULL;
    enum bh_cache_outcome outcome = BH_CACHE_HIT;
    test->fibers[test->started++] = bh_fiber_current();
    if (test->deadline_us != 0)
        bh_fiber_set_deadline(test->deadline_us);
    struct bh_error error;
    const int result = bh_cache_fetch(test->cache, &fetch, test->now_us, &value, &outcome, &error);
    test->done++;
    if (result == 0) {
        test->outcomes[outcome]++;
        bh_cache_value_unref(value);
    } else if (test->first_error == 0) {
        test->first_error = result;
    }
}

static void rest(const uint64_t duration_us)
{
    const int result = bh_fiber_sleep(duration_us);
    bh_assert(result == 0);
}

static void spawn(struct test *const test, const unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const int result = bh_fiber_spawn(bh_loop_current(), read_one, test);
        bh_assert(result == 0);
    }
}

static void release(struct test *const test)
{
    test->held = 0;
    if (test->loader != NULL)
        bh_fiber_wake(test->loader);
}

static void finish(const struct test *const test)
{
    while (test->done < test->started)
        bh_fiber_yield();
}

static void run(bh_fiber_function *const body)
{
    struct test test = { .cache = make_cache(1 << 20, 1) };
    in_fiber_run(body, &test);
    bh_cache_destroy(test.cache);
}

static void one_load(void *const argument)
{
    struct test *const test = argument;
    test->held = 1;
    spawn(test, READERS);
    bh_assert(test->loads == 1 && test->done == 0);
    release(test);
    finish(test);
    bh_assert(test->loads == 1 && test->outcomes[BH_CACHE_LOADED] == 1 &&
              test->outcomes[BH_CACHE_SHARED] == READERS - 1);
    test->started = test->done = 0;
    spawn(test, 3);
    bh_assert(test->done == 3 && test->outcomes[BH_CACHE_HIT] == 3 && test->loads == 1);
}

static void test_many_misses_are_one_load(void **const state)
{
    (void)state;
    run(one_load);
}

static void only_new(void *const argument)
{
    struct test *const test = argument;
    test->held = 1;
    test->only_new = true;
    spawn(test, 2);
    bh_assert(test->loads == 1 && test->done == 1 && test->first_error == BH_EEXISTS);
    release(test);
    finish(test);
    bh_assert(test->outcomes[BH_CACHE_LOADED] == 1);
    test->first_error = 0;
    spawn(test, 1);
    bh_assert(test->done == 3 && test->first_error == BH_EEXISTS);
    bh_cache_invalidate(test->cache, tags[0]);
    spawn(test, 1);
    bh_assert(test->done == 4 && test->loads == 2 && test->outcomes[BH_CACHE_LOADED] == 2);
}

static void test_who_wants_a_new_one_gets_no_other(void **const state)
{
    (void)state;
    run(only_new);
}

static void failing_load(void *const argument)
{
    struct test *const test = argument;
    test->held = 1;
    test->failing = 3;
    spawn(test, READERS);
    release(test);
    finish(test);
    bh_assert(test->first_error == BH_EUNAVAILABLE && test->loads == 4);
    bh_assert(test->outcomes[BH_CACHE_LOADED] == 1 &&
              test->outcomes[BH_CACHE_SHARED] == READERS - 4);
}

static void test_a_failure_is_one_callers_and_another_loads(void **const state)
{
    (void)state;
    run(failing_load);
}

static void canceled_load(void *const argument)
{
    struct test *const test = argument;
    test->held = 1;
    spawn(test, READERS);
    bh_fiber_cancel(test->loader);
    while (test->loads < 2)
        bh_fiber_yield();
    bh_fiber_cancel(test->fibers[READERS - 1]); /* one of those who wait */
    while (test->done < 2)
        bh_fiber_yield();
    bh_assert(test->first_error == BH_ECANCELED && test->loads == 2);
    release(test);
    finish(test);
    bh_assert(test->outcomes[BH_CACHE_LOADED] == 1 &&
              test->outcomes[BH_CACHE_SHARED] == READERS - 3);
}

static void test_a_loader_that_leaves_is_replaced(void **const state)
{
    (void)state;
    run(canceled_load);
}

/* The next in line is cancelled in the moment it is told to load. */
static void canceled_heir(void *const argument)
{
    struct test *const test = argument;
    test->held = 1;
    spawn(test, 4);
    bh_fiber_cancel(test->fibers[0]);
    bh_fiber_cancel(test->fibers[1]);
    while (test->done < 2)
        bh_fiber_yield();
    release(test);
    finish(test);
    bh_assert(test->outcomes[BH_CACHE_LOADED] == 1 && test->outcomes[BH_CACHE_SHARED] == 1);
}

static void test_an_heir_that_leaves_passes_it_on(void **const state)
{
    (void)state;
    run(canceled_heir);
}

static void own_deadline(void *const argument)
{
    struct test *const test = argument;
    test->held = 1;
    spawn(test, 1);
    test->deadline_us = bh_time_now_us() + 1000;
    spawn(test, 5);
    test->deadline_us = 0;
    spawn(test, 1);
    while (test->done < 5)
        rest(500);
    bh_assert(test->first_error == BH_ETIMEDOUT && test->loads == 1);
    release(test);
    finish(test);
    bh_assert(test->outcomes[BH_CACHE_SHARED] == 1 && test->outcomes[BH_CACHE_LOADED] == 1);
}

static void test_who_waits_keeps_its_deadline(void **const state)
{
    (void)state;
    run(own_deadline);
}

static void stale(void *const argument)
{
    struct test *const test = argument;
    test->ttl_us = 1000;
    test->stale_us = 1000;
    spawn(test, 1);
    test->held = 1;
    test->now_us = 1500;
    spawn(test, 10);
    bh_assert(test->done == 10 && test->outcomes[BH_CACHE_STALE] == 9 && test->loads == 2);
    release(test);
    finish(test);
    spawn(test, 1);
    bh_assert(test->outcomes[BH_CACHE_HIT] == 1 && test->outcomes[BH_CACHE_LOADED] == 2);
    /* Past that as well: everybody waits for the new one. */
    test->held = 1;
    test->now_us = 4000;
    spawn(test, 5);
    bh_assert(test->loads == 3 && test->outcomes[BH_CACHE_STALE] == 9);
    release(test);
    finish(test);
}

static void test_one_loads_and_the_others_get_the_stale_value(void **const state)
{
    (void)state;
    run(stale);
}

/* ---- Loops ---- */

struct crowd {
    struct bh_cache *cache;
    atomic_uint loads, failures;
    atomic_bool is_over;
};

struct member {
    pthread_t id;
    struct crowd *crowd;
    uint64_t random;
    struct bh_fiber *fibers[8];
    unsigned alive;
};

static int load_slowly(void *const argument, struct bh_cache_value **const ret_value,
                       struct bh_error *const reterr)
{
    struct member *const member = argument;
    member->crowd->loads++;
    const int result = bh_fiber_sleep(prng_below(&member->random, 200));
    if (result != 0)
        return bh_error_set(reterr, result, "left");
    if (prng_below(&member->random, 4) == 0)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "failed");
    *ret_value = value_of(1);
    return 0;
}

static void read_in_crowd(void *const argument)
{
    struct member *const member = argument;
    unsigned at = 0;
    while (member->fibers[at] != NULL)
        at++;
    member->fibers[at] = bh_fiber_current();
    const struct key key = key_of(prng_below(&member->random, 3));
    const struct bh_cache_fetch fetch = { .key = bh_str_from(key.text),
                                          .tags = tags,
                                          .tag_count = 1,
                                          .lifetime = FOREVER,
                                          .load = load_slowly,
                                          .argument = member };
    if (prng_below(&member->random, 3) == 0)
        bh_fiber_set_deadline(bh_time_now_us() + prng_below(&member->random, 300));
    struct bh_cache_value *value = NULL;
    enum bh_cache_outcome outcome;
    if (bh_cache_fetch(member->crowd->cache, &fetch, 0, &value, &outcome, NULL) == 0)
        bh_cache_value_unref(value);
    else
        member->crowd->failures++;
    member->fibers[at] = NULL;
    member->alive--;
}

static void be_member(void *const argument)
{
    struct member *const member = argument;
    for (unsigned i = 0; i < 600; i++) {
        if (member->alive < BH_COUNT_OF(member->fibers)) {
            member->alive++;
            const int result = bh_fiber_spawn(bh_loop_current(), read_in_crowd, member);
            bh_assert(result == 0);
        } else {
            rest(100);
        }
        struct bh_fiber *const one = member->fibers[prng_below(&member->random, 8)];
        if (one != NULL && prng_below(&member->random, 4) == 0)
            bh_fiber_cancel(one);
        if (prng_below(&member->random, 5) == 0)
            bh_cache_invalidate(member->crowd->cache, tags[0]);
    }
    while (member->alive > 0)
        rest(100);
}

static void *member_main(void *const argument)
{
    in_fiber_run(be_member, argument);
    return NULL;
}

static void test_loops_share_loads_and_none_is_stuck(void **const state)
{
    (void)state;
    struct crowd crowd = { .cache = make_cache(1 << 20, 1) };
    struct member members[3] = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        members[i].crowd = &crowd;
        members[i].random = i + 1;
        assert_int_equal(pthread_create(&members[i].id, NULL, member_main, &members[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(members[i].id, NULL);
    struct bh_cache_statistics statistics;
    bh_cache_statistics(crowd.cache, &statistics);
    assert_int_equal(crowd.loads, statistics.loads + statistics.load_failures);
    assert_true(statistics.shared > 0 && statistics.load_failures > 0 && crowd.failures > 0);
    bh_cache_destroy(crowd.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_misses_are_one_load),
        cmocka_unit_test(test_who_wants_a_new_one_gets_no_other),
        cmocka_unit_test(test_a_failure_is_one_callers_and_another_loads),
        cmocka_unit_test(test_a_loader_that_leaves_is_replaced),
        cmocka_unit_test(test_an_heir_that_leaves_passes_it_on),
        cmocka_unit_test(test_who_waits_keeps_its_deadline),
        cmocka_unit_test(test_one_loads_and_the_others_get_the_stale_value),
        cmocka_unit_test(test_loops_share_loads_and_none_is_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
