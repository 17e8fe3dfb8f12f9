/*
 * CoDel (RFC 8289) on the delay of a waiting line: a delay above `target_us` for all of
 * `interval_us` is a standing queue, not a burst; then one waiter is to be shed now, and the next
 * ones at shrinking intervals (interval / sqrt(n)) until the delay is below the target again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bh_codel {
    uint64_t target_us;
    uint64_t interval_us;
    uint64_t above_until_us; /* private: the delay must stay above until then; 0: it is below */
    uint64_t next_us;        /* private: while shedding, when the next one goes */
    uint64_t count;          /* private: shed in this spell */
    bool is_shedding;        /* read-only */
};

void bh_codel_init(struct bh_codel *codel, uint64_t target_us, uint64_t interval_us);

/* Someone leaves the line after `delay_us`: whether to shed a waiter now. */
bool bh_codel_step(struct bh_codel *codel, uint64_t delay_us, uint64_t now_us);

/* Someone did not have to wait. */
static inline void bh_codel_rest(struct bh_codel *const codel)
{
    codel->above_until_us = 0;
    codel->is_shedding = false;
}
