/*
 * Retry budget: retries are a share of the first tries, so that a dependency that is failing does
 * not get several times its load on top. Each first try earns `percent` hundredths of a retry, and
 * so does time (`minimum_per_second`, for when there is little to do); at most `saved_maximum` are
 * saved up.
 *
 * Plain data, to be embedded; any thread, no lock. The clock is the caller's, monotonic.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bh_retry_budget {
    _Atomic int64_t saved;      /* private: millionths of a retry */
    _Atomic uint64_t earned_us; /* private: time up to which it earned */
    int64_t percent;            /* private, as the rest */
    int64_t minimum_per_second;
    int64_t saved_maximum;
};

/* Begins with what a second earns. */
void bh_retry_budget_init(struct bh_retry_budget *budget, unsigned percent,
                          unsigned minimum_per_second, unsigned saved_maximum, uint64_t now_us);

/* A first try is made. */
void bh_retry_budget_tried(struct bh_retry_budget *budget);

/* Whether a retry may be made now; if so, it is paid for. */
bool bh_retry_budget_take(struct bh_retry_budget *budget, uint64_t now_us);
