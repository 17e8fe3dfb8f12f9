/*
 * How soon a process that ended unasked is started again: at once the first time, then after
 * delays that double, and after too many ends in a row not at all. A process that has lived for
 * BH_RESTART_SETTLED_US ends the row.
 *
 *     a row of ends:  1st     2nd     3rd     4th   …  at most
 *     starts after:   0       100 ms  200 ms  400 ms   BH_RESTART_DELAY_MAX_US
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/time.h"

#define BH_RESTART_DELAY_US (100 * BH_MS_US)
#define BH_RESTART_DELAY_MAX_US (10 * BH_SECOND_US)
#define BH_RESTART_SETTLED_US (60 * BH_SECOND_US)

/* Embedded; zeroed but for `limit` is ready. */
struct bh_restart_damper {
    unsigned limit; /* public: ends in a row after which it is given up; at least 1 */
    unsigned row;   /* read-only */
};

/* A process that was started `lived_us` ago has ended. True: start it again after *ret_delay_us.
 * False: give up. */
bool bh_restart_damper_ended(struct bh_restart_damper *damper, uint64_t lived_us,
                             uint64_t *ret_delay_us);
