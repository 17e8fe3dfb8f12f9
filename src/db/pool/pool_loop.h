/*
 * A shard on a loop: one timer, one posted task, and waiting calls for fibers. Loop thread of that
 * loop, also for the driver's answers; the time to pass to them is bh_loop_now_us.
 */
#pragma once

#include "bulkhead/loop/loop.h"
#include "db/pool/pool_lease.h"

struct bh_pool_loop; /* opaque: a shard bound to a loop */

/* Makes a shard on the current loop; its connections begin in the next turn. `context` is what the
 * driver's connect gets. */
int bh_pool_join(struct bh_pool *pool, struct bh_loop *loop, const struct bh_pool_driver *driver,
                 void *context, struct bh_pool_loop **ret_joined) BH_MUST_CHECK;

/* Drains the shard and frees `joined` once its last connection is gone; `left(argument)` is called
 * then (NULL: not wanted). The loop must go on running until that. */
void bh_pool_leave(struct bh_pool_loop *joined, void (*left)(void *argument), void *argument);

struct bh_pool_shard *bh_pool_shard_of(struct bh_pool_loop *joined);

/* Gives a lease that is about to be asked for the running fiber's priority and tenant. */
void bh_pool_stand(struct bh_pool_lease *lease);

/* Waits for a lease within the fiber's deadline and the acquire time-out; `lease` as described in
 * pool_lease.h, but `notify`, `user`, `error` and an unset route are seen to (the route is that of
 * the fiber's log context). 0, an error of bh_pool_request, or BH_ECANCELED: then the lease is not
 * held. From a fiber. */
int bh_pool_acquire(struct bh_pool_loop *joined, struct bh_pool_lease *lease,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* bh_pool_release at the loop's time. Fiber or not. */
void bh_pool_return(struct bh_pool_lease *lease, enum bh_pool_outcome outcome);
