/*
 * A crowd before something that lets in only so many at once: fibers on several loops, each a
 * thread, that come, wait, stay, are cancelled and run out of time at random. Asserts that there
 * are never more inside than may be.
 */
#pragma once

#include <stdatomic.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "in_fiber.h"
#include "prng.h"

#define CROWD_LOOPS 3
#define CROWD_VISITS 3000 /* of each loop */
#define CROWD_AT_ONCE 8   /* of each loop */

struct crowd_visitor;

struct crowd {
    /* Waits to be let in, tells crowd_stay what came of it, and leaves. */
    void (*visit)(struct crowd_visitor *visitor);
    unsigned limit; /* inside at once */
    uint64_t seed;
    atomic_uint inside, granted, refused, ended; /* refused: BH_EBUSY; ended: by themselves */
};

struct crowd_loop {
    struct crowd *crowd;
    uint64_t random;
    unsigned begun, running;
    struct bh_fiber *waiting[CROWD_AT_ONCE]; /* who may be cancelled */
    pthread_t thread;
};

struct crowd_visitor {
    struct crowd_loop *loop;
    unsigned place;
};

static inline uint64_t crowd_below(const struct crowd_visitor *const visitor, const uint64_t bound)
{
    return prng_below(&visitor->loop->random, bound);
}

/* The wait is over with `result`; 0: is inside for a while. */
static inline void crowd_stay(const struct crowd_visitor *const visitor, const int result)
{
    struct crowd *const crowd = visitor->loop->crowd;
    visitor->loop->waiting[visitor->place] = NULL;
    atomic_fetch_add(result == 0          ? &crowd->granted
                     : result == BH_EBUSY ? &crowd->refused
                                          : &crowd->ended,
                     1);
    if (result != 0)
        return;
    bh_assert(atomic_fetch_add(&crowd->inside, 1) < crowd->limit);
    for (uint64_t i = crowd_below(visitor, 4); i > 0; i--)
        bh_fiber_yield();
    atomic_fetch_sub(&crowd->inside, 1);
}

static inline void crowd_visit(void *const argument)
{
    struct crowd_visitor visitor = *(const struct crowd_visitor *)argument;
    visitor.loop->waiting[visitor.place] = bh_fiber_current();
    if (crowd_below(&visitor, 4) == 0)
        bh_fiber_set_deadline(bh_time_now_us() + crowd_below(&visitor, 500));
    visitor.loop->crowd->visit(&visitor);
    visitor.loop->running--;
}

static inline void crowd_loop_run(void *const argument)
{
    struct crowd_loop *const loop = argument;
    struct crowd_visitor visitors[CROWD_AT_ONCE];
    while (loop->begun < CROWD_VISITS || loop->running > 0) {
        const unsigned place = (unsigned)prng_below(&loop->random, CROWD_AT_ONCE);
        if (loop->waiting[place]) {
            if (prng_below(&loop->random, 3) == 0)
                bh_fiber_cancel(loop->waiting[place]);
        } else if (loop->running < CROWD_AT_ONCE && loop->begun < CROWD_VISITS) {
            visitors[place] = (struct crowd_visitor){ loop, place };
            loop->begun++;
            loop->running++;
            bh_assert(bh_fiber_spawn(bh_loop_current(), crowd_visit, &visitors[place]) == 0);
        }
        bh_fiber_yield();
    }
}

static inline void *crowd_thread(void *const argument)
{
    in_fiber_run(crowd_loop_run, argument);
    return NULL;
}

/* Returns when all have come and gone. */
static inline void crowd_run(struct crowd *const crowd)
{
    struct crowd_loop loops[CROWD_LOOPS] = { 0 };
    for (unsigned i = 0; i < CROWD_LOOPS; i++) {
        loops[i].crowd = crowd;
        loops[i].random = crowd->seed + i;
        bh_assert(bh_thread_start(crowd_thread, &loops[i], &loops[i].thread) == 0);
    }
    for (unsigned i = 0; i < CROWD_LOOPS; i++)
        pthread_join(loops[i].thread, NULL);
    bh_assert(crowd->granted + crowd->refused + crowd->ended == CROWD_LOOPS * CROWD_VISITS);
}
