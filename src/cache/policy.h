/*
 * Which entries of a shard stay: W-TinyLFU over bytes. New entries live in a window; one that falls
 * out of it takes the place of those used longest ago in the main part only if it was seen more
 * often than all of them together. The main part is segmented: what was hit there is protected. How
 * large the window is, hill climbing finds: not by comparing hit rates of one time and the next,
 * whose chance differences hide what a step changes, but by what the same look-ups say of both
 * sides of the border: how many wanted what the window rejected just before, and how many found
 * something on probation, byte for byte. Under the shard's mutex.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/list.h"
#include "cache/rejected.h"
#include "cache/sketch.h"
#include "cache/tags.h"

enum bh_cache_segment { BH_CACHE_WINDOW, BH_CACHE_PROBATION, BH_CACHE_PROTECTED };
#define BH_CACHE_SEGMENTS 3

struct bh_cache_entry {
    struct bh_list node;          /* of its segment, used last first */
    struct bh_cache_entry *chain; /* the next of its bucket */
    struct bh_cache_value *value;
    uint64_t hash;
    uint64_t made_us, expires_us, stale_until_us;
    struct bh_cache_ticket ticket;
    size_t cost; /* bytes, all told */
    enum bh_cache_segment segment;
    uint32_t key_size;
    char key[];
};

struct bh_cache_policy {
    struct bh_list segments[BH_CACHE_SEGMENTS];
    size_t sizes[BH_CACHE_SEGMENTS]; /* bytes */
    size_t count;
    size_t maximum, window_maximum, protected_maximum;
    struct bh_cache_sketch sketch;

    struct bh_cache_rejected rejected;
    bool is_climbing, is_growing; /* the window, in the last step */
    double pace;                  /* share of the maximum by which it changes at most */
    uint64_t until_look;          /* look-ups before the next step is considered */
    uint64_t regrets;             /* look-ups since the last step: of what was rejected */
    uint64_t probation_hits;

    uint64_t evictions, rejections;
};

/* What decides whether an entry is still of use. */
struct bh_cache_moment {
    const struct bh_cache_tags *tags;
    uint64_t now_us;
};

/* `window_percent`: 0 is found by climbing. */
int bh_cache_policy_init(struct bh_cache_policy *policy, size_t maximum, size_t entries,
                         unsigned window_percent) BH_MUST_CHECK;
void bh_cache_policy_fini(struct bh_cache_policy *policy); /* entries are the caller's */

static inline size_t bh_cache_policy_size(const struct bh_cache_policy *const policy)
{
    return policy->sizes[BH_CACHE_WINDOW] + policy->sizes[BH_CACHE_PROBATION] +
           policy->sizes[BH_CACHE_PROTECTED];
}

/* A look-up: counts it, and `entry` (NULL: a miss) is used now. */
void bh_cache_policy_use(struct bh_cache_policy *policy, uint64_t hash,
                         struct bh_cache_entry *entry);

/* A new entry; whatever has to go, perhaps this one, moves to `evicted`. */
void bh_cache_policy_add(struct bh_cache_policy *policy, struct bh_cache_entry *entry,
                         struct bh_cache_moment moment, struct bh_list *evicted);
void bh_cache_policy_remove(struct bh_cache_policy *policy, struct bh_cache_entry *entry);
void bh_cache_policy_set_maximum(struct bh_cache_policy *policy, size_t maximum,
                                 struct bh_cache_moment moment, struct bh_list *evicted);

/* Asserts that lists, sizes and counts agree. */
void bh_cache_policy_check(const struct bh_cache_policy *policy);
