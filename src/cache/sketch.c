#include "cache/sketch.h"

#include <stdbool.h>
#include <stdlib.h>

#define ROWS 4u
#define BLOCK_WORDS 8u
#define BLOCKS_MIN 8u
#define ODD_BITS UINT64_C(0x1111111111111111)
#define LOW_BITS UINT64_C(0x7777777777777777)

int bh_cache_sketch_init(struct bh_cache_sketch *const sketch, const size_t entries)
{
    uint64_t blocks = BLOCKS_MIN;
    while (blocks * BLOCK_WORDS < entries)
        blocks *= 2;
    sketch->words = aligned_alloc(64, blocks * BLOCK_WORDS * sizeof(*sketch->words));
    if (sketch->words == NULL)
        return BH_ENOMEM;
    for (uint64_t i = 0; i < blocks * BLOCK_WORDS; i++)
        sketch->words[i] = 0;
    sketch->block_mask = blocks - 1;
    sketch->additions = 0;
    return 0;
}

void bh_cache_sketch_fini(struct bh_cache_sketch *const sketch)
{
    free(sketch->words);
    sketch->words = NULL;
}

/* A row's counter: its word, and the counter's first bit in it. The block comes from the hash's low
 * bits, the places in the block from bits of a second hash. */
struct place {
    uint64_t *word;
    unsigned shift;
};

static struct place place_of(const struct bh_cache_sketch *const sketch, const uint64_t hash,
                             const uint64_t mixed, const unsigned row)
{
    const uint64_t bits = mixed >> (row * 8);
    uint64_t *const block = sketch->words + (hash & sketch->block_mask) * BLOCK_WORDS;
    return (struct place){ .word = block + row * 2 + (bits & 1),
                           .shift = (unsigned)((bits >> 1) & 15) * 4 };
}

static uint64_t mix(const uint64_t hash)
{
    const uint64_t product = (hash ^ (hash >> 32)) * UINT64_C(0x9E3779B97F4A7C15);
    return product ^ (product >> 32);
}

/* Halves every counter, and the sample by what that took away. */
static void age(struct bh_cache_sketch *const sketch)
{
    uint64_t odd = 0;
    const uint64_t count = (sketch->block_mask + 1) * BLOCK_WORDS;
    for (uint64_t i = 0; i < count; i++) {
        odd += (uint64_t)__builtin_popcountll(sketch->words[i] & ODD_BITS);
        sketch->words[i] = (sketch->words[i] >> 1) & LOW_BITS;
    }
    const uint64_t lost = odd / ROWS;
    sketch->additions = (sketch->additions > lost ? sketch->additions - lost : 0) / 2;
}

void bh_cache_sketch_add(struct bh_cache_sketch *const sketch, const uint64_t hash,
                         const uint64_t sample)
{
    const uint64_t mixed = mix(hash);
    bool is_added = false;
    for (unsigned row = 0; row < ROWS; row++) {
        const struct place place = place_of(sketch, hash, mixed, row);
        if (((*place.word >> place.shift) & BH_CACHE_SKETCH_MAX) < BH_CACHE_SKETCH_MAX) {
            *place.word += UINT64_C(1) << place.shift;
            is_added = true;
        }
    }
    if (is_added && ++sketch->additions >= sample)
        age(sketch);
}

unsigned bh_cache_sketch_count(const struct bh_cache_sketch *const sketch, const uint64_t hash)
{
    const uint64_t mixed = mix(hash);
    unsigned least = BH_CACHE_SKETCH_MAX;
    for (unsigned row = 0; row < ROWS; row++) {
        const struct place place = place_of(sketch, hash, mixed, row);
        const unsigned count = (unsigned)(*place.word >> place.shift) & BH_CACHE_SKETCH_MAX;
        least = count < least ? count : least;
    }
    return least;
}
