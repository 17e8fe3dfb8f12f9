/*
 * Worker threads: blocking and CPU-heavy work off the loop, behind a waiting call.
 *
 * A pool has a fixed number of threads and a bounded queue, first in first out. Used for SQLite,
 * files and text analysis.
 */
#pragma once

#include <stdatomic.h>

#include "bulkhead/base/error.h"
#include "bulkhead/loop/fiber.h"

struct bh_worker_pool; /* opaque */

/* What a running job may look at: set when its fiber was cancelled or ran out of time. Long jobs
 * poll it and stop early. */
struct bh_worker_job {
    atomic_bool canceled; /* read-only for the job */
};

typedef int bh_worker_function(struct bh_worker_job *job, void *argument);

/* `name`: thread name, at most 15 bytes ("sqlite-read"). `threads` 1–256. `queue_maximum`: jobs
 * waiting beyond those running. */
int bh_worker_pool_create(const char *name, unsigned threads, unsigned queue_maximum,
                          struct bh_worker_pool **ret_pool) BH_MUST_CHECK;

/* Waits for running jobs; queued ones end with BH_ESHUTDOWN (their loops must still run to take
 * that). NULL is fine. Not from a fiber. */
void bh_worker_pool_destroy(struct bh_worker_pool *pool);

/* Runs `function(job, argument)` on a worker thread and parks the fiber until it is done; returns
 * what it returned. `interrupt` (may be NULL) is called on the loop's thread, at most once, when
 * the fiber is cancelled or its deadline passes while the job is running; it makes the job return
 * soon (sqlite3_interrupt, kill). The call returns only after the job has ended or was taken from
 * the queue unstarted, so `argument` may live on the fiber's stack.
 * BH_ELIMIT: the queue is full. BH_ECANCELED / BH_ETIMEDOUT: taken from the queue before it
 * started. BH_ESHUTDOWN: the pool is being destroyed. From a fiber only. */
int bh_worker_run(struct bh_worker_pool *pool, bh_worker_function *function, void *argument,
                  void (*interrupt)(void *argument)) BH_MUST_CHECK;

/* The same for clean-up: neither cancellation nor the deadline takes the job from the queue or
 * interrupts it, and a full queue does not refuse it. BH_ESHUTDOWN only. */
int bh_worker_run_uncancelable(struct bh_worker_pool *pool, bh_worker_function *function,
                               void *argument) BH_MUST_CHECK;

/* For metrics: threads busy, jobs waiting. */
unsigned bh_worker_pool_busy(struct bh_worker_pool *pool);
unsigned bh_worker_pool_queued(struct bh_worker_pool *pool);
