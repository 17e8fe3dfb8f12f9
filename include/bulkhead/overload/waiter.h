/*
 * A fiber that waits for something another loop may give it. It lies in the memory of who waits,
 * mostly on the fiber's stack: once told is under way, that memory must stay until it has arrived
 * (bh_waiter_stay).
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/loop/loop.h"

struct bh_fiber;

struct bh_waiter {
    bool is_told; /* private, as the rest: of the fiber's loop */
    struct bh_loop *loop;
    struct bh_fiber *fiber;
    struct bh_task task;
};

/* For the running fiber. */
void bh_waiter_init(struct bh_waiter *waiter);

/* Ends the wait; once. Any thread. */
void bh_waiter_tell(struct bh_waiter *waiter);

/* Parks until told: 0; or no later than `until_us`: BH_ETIMEDOUT; or BH_ECANCELED. 0 wins. */
int bh_waiter_wait(struct bh_waiter *waiter, uint64_t until_us) BH_MUST_CHECK;

/* Parks until told, whatever happens. */
void bh_waiter_stay(struct bh_waiter *waiter);
