/* Repeatable random numbers for jitter (splitmix64): the state is the caller's. */
#pragma once

#include <stdint.h>

static inline uint64_t bh_pool_random_next(uint64_t *const state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0 to bound - 1, near enough to uniform. */
static inline uint64_t bh_pool_random_below(uint64_t *const state, const uint64_t bound)
{
    return bh_pool_random_next(state) % bound;
}
