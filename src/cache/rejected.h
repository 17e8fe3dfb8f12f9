/*
 * What a policy rejected last: keys without values, by which a miss tells whether some more room
 * would have made it a hit. A table of fingerprints in which a later key takes the place of an
 * earlier one; a few are lost by that, and one in two thousand million is mistaken for another.
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

struct bh_cache_rejected {
    struct bh_cache_rejected_slot {
        uint32_t fingerprint;
        uint32_t position; /* of `rejected` when it came in */
    } * slots;
    uint64_t slot_mask;
    uint32_t rejected; /* units of 16 bytes since ever; wraps */
};

/* For a cache of about `entries`. */
int bh_cache_rejected_init(struct bh_cache_rejected *rejected, size_t entries) BH_MUST_CHECK;
void bh_cache_rejected_fini(struct bh_cache_rejected *rejected);

void bh_cache_rejected_add(struct bh_cache_rejected *rejected, uint64_t hash, size_t cost);

/* Whether the key was rejected and, with all that was since, fits `span` bytes. Once: it is
 * forgotten then. */
bool bh_cache_rejected_take(struct bh_cache_rejected *rejected, uint64_t hash, size_t span);
