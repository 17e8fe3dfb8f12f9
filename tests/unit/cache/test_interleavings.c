/*
 * Every order in which two loads and two writes can take their steps: no reader gets a value older
 * than a write that was answered before it asked.
 *
 * A write commits, then invalidates, then is answered. The database is a number that commits raise.
 */
#include "cmocka_setup.h"

#include "in_fiber.h"
#include "values.h"

#define ACTORS 4
static const unsigned steps_of[ACTORS] = { 3, 3, 2, 2 }; /* two loads, two writes */
#define STEPS 10
#define SCHEDULES 25200 /* 10! / (3! 3! 2! 2!) */

#define TAG 9

struct world {
    struct bh_cache *cache;
    uint64_t run; /* a key of its own each */
    int64_t database, answered;
    unsigned done[ACTORS];
    unsigned violations;
};

typedef void run_function(struct world *world, const unsigned *order);

/* All orders, by recursion. */
static unsigned all_orders(struct world *const world, run_function *const run,
                           unsigned *const order, unsigned *const left, const unsigned at)
{
    if (at == STEPS) {
        world->run++;
        world->database = world->answered = 0;
        memset(world->done, 0, sizeof(world->done));
        run(world, order);
        return 1;
    }
    unsigned count = 0;
    for (unsigned actor = 0; actor < ACTORS; actor++) {
        if (left[actor] == 0)
            continue;
        left[actor]--;
        order[at] = actor;
        count += all_orders(world, run, order, left, at + 1);
        left[actor]++;
    }
    return count;
}

static unsigned explore(struct world *const world, run_function *const run)
{
    unsigned order[STEPS], left[ACTORS];
    memcpy(left, steps_of, sizeof(left));
    world->cache = make_cache(1 << 20, 1);
    const unsigned count = all_orders(world, run, order, left, 0);
    bh_cache_destroy(world->cache);
    return count;
}

static void write_step(struct world *const world, const unsigned step)
{
    if (step == 0) {
        world->database++;
        return;
    }
    bh_cache_invalidate(world->cache, TAG);
    world->answered = world->database; /* at least: the other write may have committed too */
}

/* ---- Tickets ---- */

struct load {
    struct bh_cache_ticket ticket;
    int64_t read;
};

static void read_check(struct world *const world)
{
    const int64_t found = get_number(world->cache, world->run, 0);
    world->violations += found != -1 && found < world->answered;
}

/* `is_late`: the ticket is taken only after the database was read, which is the classic mistake. */
static void run_tickets(struct world *const world, const unsigned *const order, const bool is_late)
{
    static const uint64_t tags[] = { TAG };
    struct load loads[2] = { 0 };
    for (unsigned i = 0; i < STEPS; i++) {
        const unsigned actor = order[i], step = world->done[actor]++;
        if (actor >= 2) {
            write_step(world, step);
        } else if (step < 2) {
            if ((step == 0) != is_late)
                loads[actor].ticket = bh_cache_begin(world->cache, tags, 1);
            else
                loads[actor].read = world->database;
        } else {
            const struct key key = key_of(world->run);
            struct bh_cache_value *const value = value_of(loads[actor].read);
            (void)bh_cache_put(world->cache, bh_str_from(key.text), &loads[actor].ticket, FOREVER,
                               value, 0);
            bh_cache_value_unref(value);
        }
        read_check(world);
    }
}

static void run_right(struct world *const world, const unsigned *const order)
{
    run_tickets(world, order, false);
}

static void run_late(struct world *const world, const unsigned *const order)
{
    run_tickets(world, order, true);
}

static void test_no_load_is_published_after_an_invalidation(void **const state)
{
    (void)state;
    struct world world = { 0 };
    assert_int_equal(explore(&world, run_right), SCHEDULES);
    assert_int_equal(world.violations, 0);
}

static void test_a_ticket_taken_late_is_caught(void **const state)
{
    (void)state;
    struct world world = { 0 };
    assert_int_equal(explore(&world, run_late), SCHEDULES);
    assert_true(world.violations > 1000);
}

/* ---- Flights ---- */

struct reader {
    struct world *world;
    struct bh_fiber *fiber; /* NULL: not begun, or done */
    int64_t answered;       /* when it asked */
    unsigned may;           /* steps of its load that may be taken */
};

static void await_step(const struct reader *const reader, const unsigned step)
{
    while (reader->may < step)
        bh_fiber_park_uncancelable();
}

static int load_in_steps(void *const argument, struct bh_cache_value **const ret_value,
                         struct bh_error *const reterr)
{
    const struct reader *const reader = argument;
    (void)reterr;
    await_step(reader, 1);
    const int64_t read = reader->world->database;
    await_step(reader, 2);
    *ret_value = value_of(read);
    return 0;
}

static void fetch(void *const argument)
{
    static const uint64_t tags[] = { TAG };
    struct reader *const reader = argument;
    struct world *const world = reader->world;
    const struct key key = key_of(world->run);
    const struct bh_cache_fetch what = { .key = bh_str_from(key.text),
                                         .tags = tags,
                                         .tag_count = 1,
                                         .lifetime = FOREVER,
                                         .load = load_in_steps,
                                         .argument = reader };
    struct bh_cache_value *value = NULL;
    enum bh_cache_outcome outcome;
    reader->fiber = bh_fiber_current();
    reader->answered = world->answered;
    const int result = bh_cache_fetch(world->cache, &what, 0, &value, &outcome, NULL);
    bh_assert(result == 0);
    world->violations += number_of(value) < reader->answered;
    reader->fiber = NULL;
}

/* A load's steps: ask, read, bring. They are nobody's when the reader has joined the other. */
static void run_flights(struct world *const world, const unsigned *const order)
{
    struct reader readers[2] = { { .world = world }, { .world = world } };
    for (unsigned i = 0; i < STEPS; i++) {
        const unsigned actor = order[i], step = world->done[actor]++;
        if (actor >= 2) {
            write_step(world, step);
        } else if (step == 0) {
            const int result = bh_fiber_spawn(bh_loop_current(), fetch, &readers[actor]);
            bh_assert(result == 0);
        } else {
            readers[actor].may = step;
            if (readers[actor].fiber != NULL)
                bh_fiber_wake(readers[actor].fiber);
            bh_fiber_yield();
        }
        const int64_t found = get_number(world->cache, world->run, 0);
        world->violations += found != -1 && found < world->answered;
    }
    while (readers[0].fiber != NULL || readers[1].fiber != NULL)
        bh_fiber_yield();
}

static void explore_flights(void *const argument)
{
    struct world *const world = argument;
    const unsigned count = explore(world, run_flights);
    bh_assert(count == SCHEDULES);
}

static void test_no_flight_is_joined_after_an_invalidation(void **const state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* one thread; TSan takes half a minute for so many fibers */
#endif
    struct world world = { 0 };
    in_fiber_run(explore_flights, &world);
    assert_int_equal(world.violations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_load_is_published_after_an_invalidation),
        cmocka_unit_test(test_a_ticket_taken_late_is_caught),
        cmocka_unit_test(test_no_flight_is_joined_after_an_invalidation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
