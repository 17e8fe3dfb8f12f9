/*
 * Something kept in memory and loaded anew when somebody needs it fresher: one load at a time,
 * however many fibers of however many loops ask, and not more often than the interval allows.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "bulkhead/base/error.h"

struct bh_auth_refresh {
    int (*load)(void *argument, struct bh_error *reterr); /* in a fiber */
    void *argument;
    uint64_t interval_us;                 /* between the end of a load and the next */
    _Atomic(uint64_t) loaded_us, next_us; /* private: the last good load's beginning */
    atomic_bool is_running;               /* private */
};

/* Returns 0 once a load that began after this call has ended well. When it is too early for one:
 * waits for it if `is_patient`, else BH_EBUSY. Or the load's error. From a fiber. */
int bh_auth_refresh_run(struct bh_auth_refresh *refresh, bool is_patient,
                        struct bh_error *reterr) BH_MUST_CHECK;
