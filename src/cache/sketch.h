/*
 * How often keys were seen lately, in four bits each: a count-min sketch of four rows, whose
 * counters all of one key lie in one cache line. All counts are halved after a sample, so that what
 * was popular once ages. One thread at a time.
 */
#pragma once

#include "bulkhead/base/error.h"

#define BH_CACHE_SKETCH_MAX 15u /* the most a count says */

struct bh_cache_sketch {
    uint64_t *words; /* sixteen counters each, in blocks of eight words */
    uint64_t block_mask;
    uint64_t additions; /* since the counts were halved */
};

/* Room for about `entries` keys. */
int bh_cache_sketch_init(struct bh_cache_sketch *sketch, size_t entries) BH_MUST_CHECK;
void bh_cache_sketch_fini(struct bh_cache_sketch *sketch);

/* `sample`: halve all counts after so many additions. */
void bh_cache_sketch_add(struct bh_cache_sketch *sketch, uint64_t hash, uint64_t sample);
/* 0 to BH_CACHE_SKETCH_MAX; never less than what was added since the counts were halved. */
unsigned bh_cache_sketch_count(const struct bh_cache_sketch *sketch, uint64_t hash);
