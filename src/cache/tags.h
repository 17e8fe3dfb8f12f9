/*
 * A version for each tag: raised by an invalidation, noted by a load before it begins. Tags share
 * 16,384 slots by their hash; two tags in one slot are invalidated together, which costs a load and
 * is never wrong. Any thread, without locks.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "bulkhead/cache/cache.h"

#define BH_CACHE_TAG_SLOTS 16384u

struct bh_cache_tags {
    _Atomic uint64_t versions[BH_CACHE_TAG_SLOTS];
};

static inline uint32_t bh_cache_tags_slot(const uint64_t tag)
{
    const uint64_t mixed = (tag ^ (tag >> 29)) * UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(mixed >> 40) % BH_CACHE_TAG_SLOTS;
}

static inline bool bh_cache_tags_hold(const struct bh_cache_tags *const tags,
                                      const struct bh_cache_ticket *const ticket)
{
    for (uint32_t i = 0; i < ticket->count; i++)
        if (atomic_load_explicit(&tags->versions[ticket->slots[i]], memory_order_acquire) !=
            ticket->versions[i])
            return false;
    return true;
}
