/* Repeatable random numbers for tests (splitmix64): the seed is the test's own. */
#pragma once

#include <stdint.h>

#include "bulkhead/base/assert.h"

static inline uint64_t prng_next(uint64_t *const state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0 to bound - 1 (bound > 0), near enough to uniform. */
static inline uint64_t prng_below(uint64_t *const state, const uint64_t bound)
{
    bh_assert(bound > 0);
    return prng_next(state) % bound;
}
