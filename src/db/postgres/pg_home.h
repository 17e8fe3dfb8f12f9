/*
 * A loop on a thread of its own, for callers that have none: a command line, migrations at start.
 * Their calls run there as fibers, and they block until those have ended.
 */
#pragma once

#include <pthread.h>

#include "bulkhead/loop/fiber.h"

struct bh_pg_home {
    struct bh_loop *loop;
    pthread_t thread;
};

int bh_pg_home_start(struct bh_pg_home *home) BH_MUST_CHECK;
/* Lets the loop end and waits for its thread. A home that was never started is fine. */
void bh_pg_home_stop(struct bh_pg_home *home);

/* Runs `function(argument)` in a fiber: the calling one, or one at home while the calling thread
 * blocks. BH_ELIMIT,
 * BH_ENOMEM: no fiber. */
int bh_pg_home_run(const struct bh_pg_home *home, bh_fiber_function *function,
                   void *argument) BH_MUST_CHECK;
