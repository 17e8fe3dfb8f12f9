/*
 * Fibers: stackful coroutines on a loop, so that a handler reads as a straight line.
 *
 * A fiber runs until it waits; then its loop goes on with other work. All of a loop's fibers run on
 * the loop's thread: between two waits nothing else on this loop happens, so no locks are needed
 * among them. Every wait ends for one of three reasons: it was woken, the fiber's deadline passed
 * (BH_ETIMEDOUT), or the fiber was cancelled because nobody wants its result (BH_ECANCELED). Once
 * cancelled or past its deadline, every later cancellable wait returns at once with that error;
 * clean-up that must wait uses bh_fiber_park_uncancelable.
 *
 * Stacks are pooled, with a guard page; ASan and TSan are told of each switch.
 */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/loop.h"

struct bh_fiber; /* opaque */

typedef void bh_fiber_function(void *argument);

/* Starts a fiber on the current loop; it runs at once, until its first wait, before this returns.
 * BH_ELIMIT: fibers_maximum reached. BH_ENOMEM: no stack. Loop thread (fiber or not). */
int bh_fiber_spawn(struct bh_loop *loop, bh_fiber_function *function, void *argument) BH_MUST_CHECK;

/* The running fiber, or NULL outside of one. */
struct bh_fiber *bh_fiber_current(void);

/* How many fibers live on this loop. */
unsigned bh_fiber_count(const struct bh_loop *loop);

/* Sets the running fiber's deadline (monotonic µs; BH_NEVER_US: none). */
void bh_fiber_set_deadline(uint64_t deadline_us);
/* The one that holds: the one set, or an earlier end by bh_fiber_expire. */
uint64_t bh_fiber_deadline(void);

/* The log context of the running fiber; borrowed until replaced or the fiber ends. */
void bh_fiber_set_log_context(const struct bh_log_context *context);

/* One pointer that goes with the running fiber, for a layer above; NULL until it is set. When the
 * fiber has ended, `destroy` is called with it on the loop's thread; it must not wait. */
void bh_fiber_set_local(void *data, void (*destroy)(void *data));
void *bh_fiber_local(void);

/* ---- Waiting ---- */

/* Parks the running fiber until bh_fiber_wake. 0, BH_ECANCELED or BH_ETIMEDOUT. A wake that came
 * before the park is kept (one, not counted) and makes this return 0 at once. A wake may also be
 * spurious (left over from an earlier wait): re-check what you wait for, in a loop. */
int bh_fiber_park(void) BH_MUST_CHECK;

/* The same, no later than `until_us` (monotonic): BH_ETIMEDOUT then, without touching the fiber's
 * own deadline. */
int bh_fiber_park_until(uint64_t until_us) BH_MUST_CHECK;

/* Waits for the wake alone: neither deadline nor cancellation ends it. For clean-up and for memory
 * another thread still uses. */
void bh_fiber_park_uncancelable(void);

/* The same, no later than `until_us`: 0 or BH_ETIMEDOUT. */
int bh_fiber_park_uncancelable_until(uint64_t until_us) BH_MUST_CHECK;

/* Makes a parked fiber runnable in this loop turn. Loop thread of that fiber. */
void bh_fiber_wake(struct bh_fiber *fiber);

/* Nobody wants this fiber's result: its current wait and every later cancellable one return
 * BH_ECANCELED. Loop thread of that fiber. */
void bh_fiber_cancel(struct bh_fiber *fiber);
bool bh_fiber_is_canceled(const struct bh_fiber *fiber);

/* This fiber's time is over, whatever deadline it has set or will set: its current wait and every
 * later cancellable one return BH_ETIMEDOUT. Its result is still wanted: unlike a cancelled one it
 * can say that it failed. Loop thread of that fiber. */
void bh_fiber_expire(struct bh_fiber *fiber);

/* Waits `duration_us`. 0, BH_ECANCELED or BH_ETIMEDOUT. */
int bh_fiber_sleep(uint64_t duration_us) BH_MUST_CHECK;

/* Lets other ready work of this loop run first. */
void bh_fiber_yield(void);
