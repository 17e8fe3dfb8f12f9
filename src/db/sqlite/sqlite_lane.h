/*
 * A lane: a fixed number of threads, each with a session of its own, and one queue before them.
 *
 * Calls wait by the priority of their fiber (bulkhead/loop/standing.h), first in, first out within
 * each; a thread that becomes free takes the one whose turn it is. A tenant that holds its share of
 * the threads is passed by others. A call may hold its thread: the thread then serves only the
 * holder's next calls until one releases it, or until the holder has been silent for too long.
 *
 * A connection never changes its thread. SQLite would allow that, but a free thread can then take
 * the next call at once, without a trip through any loop, and SQLite's mutexes stay off.
 */
#pragma once

#include "bulkhead/db/statistics.h"
#include "db/sqlite/sqlite_session.h"
#include "db/trace.h"

struct bh_sqlite_lane; /* opaque; shared by all loops */

struct bh_sqlite_lane_options {
    const char *name; /* of the threads, at most 12 bytes */
    bool writer;
    unsigned threads;
    unsigned waiters_maximum;
    uint64_t acquire_timeout_us;
    uint64_t hold_idle_timeout_us;
    uint64_t leak_us;         /* who has a thread for longer is logged, once; BH_NEVER_US: never */
    uint64_t delay_target_us; /* CoDel (bulkhead/base/codel.h): a wait that may last … */
    uint64_t delay_interval_us; /* … this long before LOW calls are shed; 0: they are not */
    const struct bh_sqlite_config *config; /* borrowed */
};

/* A thread held over several calls. Of one fiber; at rest in memory while it is held. */
struct bh_sqlite_hold {
    struct bh_sqlite_lane *lane;     /* private */
    struct bh_sqlite_thread *thread; /* under the lane's mutex; NULL: not held, or taken away */
};

/* Starts the threads and opens their connections; fails if one cannot be opened. */
int bh_sqlite_lane_create(const struct bh_sqlite_lane_options *options,
                          struct bh_sqlite_lane **ret_lane, struct bh_error *reterr) BH_MUST_CHECK;
/* No call may be running and no thread held. NULL is fine. */
void bh_sqlite_lane_destroy(struct bh_sqlite_lane *lane);

/* Runs `function` on the next free thread and waits for it: a fiber parks, a thread without a loop
 * blocks. `what`: static text, told when others wait in vain for this thread. With `hold`, the
 * thread stays held if the function returned 0. `span` gets the times of the run.
 *
 * Returns what the function returned, or, before it was begun: BH_EBUSY (too many wait, it was shed
 * for others, or no thread within the time-out), BH_ECANCELED, BH_ETIMEDOUT, BH_ESHUTDOWN. A
 * function that is interrupted because its fiber was cancelled or ran out of time: BH_ECANCELED,
 * BH_ETIMEDOUT. */
int bh_sqlite_lane_call(struct bh_sqlite_lane *lane, const char *what, bh_sqlite_function *function,
                        void *argument, struct bh_sqlite_hold *hold, struct bh_trace_span *span,
                        struct bh_error *reterr) BH_MUST_CHECK;

/* The same on the held thread. `release`: it is free afterwards, and neither cancellation nor the
 * deadline keep the call from running. BH_ETIMEDOUT: the thread was taken away. */
int bh_sqlite_lane_call_held(struct bh_sqlite_hold *hold, const char *what,
                             bh_sqlite_function *function, void *argument, bool release,
                             struct bh_trace_span *span, struct bh_error *reterr) BH_MUST_CHECK;

/* Every connection gives back what memory it can as soon as it is idle. Any thread. */
void bh_sqlite_lane_shrink(struct bh_sqlite_lane *lane);

/* Any thread. */
void bh_sqlite_lane_statistics(struct bh_sqlite_lane *lane,
                               struct bh_db_statistics *ret_statistics);

/* Asserts every invariant of the lane's state. Any thread; for tests. */
void bh_sqlite_lane_check(struct bh_sqlite_lane *lane);
