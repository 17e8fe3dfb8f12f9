#include "cache/rejected.h"

#include <stdlib.h>

#define SLOTS_MIN 64u
#define UNIT 16u

int bh_cache_rejected_init(struct bh_cache_rejected *const rejected, const size_t entries)
{
    uint64_t slots = SLOTS_MIN;
    while (slots * 2 < entries)
        slots *= 2;
    *rejected = (struct bh_cache_rejected){ .slot_mask = slots - 1 };
    rejected->slots = calloc(slots, sizeof(*rejected->slots));
    return rejected->slots != NULL ? 0 : BH_ENOMEM;
}

void bh_cache_rejected_fini(struct bh_cache_rejected *const rejected)
{
    free(rejected->slots);
    rejected->slots = NULL;
}

/* Never 0, which is an empty slot's. The bits are others than those that choose the slot. */
static uint32_t fingerprint_of(const uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

void bh_cache_rejected_add(struct bh_cache_rejected *const rejected, const uint64_t hash,
                           const size_t cost)
{
    rejected->rejected += (uint32_t)(cost / UNIT);
    rejected->slots[hash & rejected->slot_mask] = (struct bh_cache_rejected_slot){
        .fingerprint = fingerprint_of(hash), .position = rejected->rejected
    };
}

bool bh_cache_rejected_take(struct bh_cache_rejected *const rejected, const uint64_t hash,
                            const size_t span)
{
    struct bh_cache_rejected_slot *const slot = &rejected->slots[hash & rejected->slot_mask];
    if (slot->fingerprint != fingerprint_of(hash))
        return false;
    slot->fingerprint = 0;
    return rejected->rejected - slot->position < span / UNIT;
}
