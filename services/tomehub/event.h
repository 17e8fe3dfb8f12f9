/*
 * Lets fibers of any loop wait until something has changed, told by any thread.
 *
 * Model: a counter that only rises. Who waits says which count it has seen, looks at the state it
 * is interested in, and waits for another count; a change in between is therefore never missed.
 *
 *     uint64_t seen = tome_event_count(&event);
 *     while (!there_is_work() && tome_event_wait(&event, seen, BH_NEVER_US) == 0)
 *         seen = tome_event_count(&event);
 */
#pragma once

#include <pthread.h>

#include "bulkhead/base/list.h"
#include "bulkhead/loop/fiber.h"

struct tome_event {
    pthread_mutex_t mutex;  /* private: guards the rest */
    uint64_t count;         /* private */
    struct bh_list waiters; /* private */
};

void tome_event_init(struct tome_event *event);
/* Nobody may be waiting. */
void tome_event_fini(struct tome_event *event);

/* Any thread. */
uint64_t tome_event_count(struct tome_event *event);

/* Raises the count and wakes all who wait. Any thread. */
void tome_event_raise(struct tome_event *event);

/* Parks until the count differs from `seen`. 0, BH_ETIMEDOUT (`until_us`, monotonic, or the fiber's
 * deadline), BH_ECANCELED. Fiber. */
int tome_event_wait(struct tome_event *event, uint64_t seen, uint64_t until_us) BH_MUST_CHECK;
