/*
 * A part of a cache with its own lock: entries by key, the policy over them, and the loads under
 * way. What leaves a shard is freed after the lock was given back.
 */
#pragma once

#include <pthread.h>

#include "bulkhead/base/assert.h"
#include "cache/cache_metrics.h"
#include "cache/policy.h"

#define BH_CACHE_FLIGHT_LISTS 64u /* a power of two */

struct bh_cache_shard {
    pthread_mutex_t mutex; /* guards the rest */
    struct bh_cache_entry **buckets;
    size_t bucket_mask;
    struct bh_cache_policy policy;
    struct bh_list flights[BH_CACHE_FLIGHT_LISTS]; /* by hash, see flight.c */
    struct bh_cache_statistics statistics;
} __attribute__((aligned(64)));

#define BH_CACHE_MAGIC UINT32_C(0x62686361)

struct bh_cache {
    BH_MAGIC_FIELD;
    unsigned shard_count;   /* a power of two */
    size_t largest_maximum; /* of a shard: as created */
    _Atomic size_t maximum_bytes;
    uint64_t seed;
    _Atomic uint64_t invalidations;
    struct bh_cache_metrics metrics;
    struct bh_cache_shard *shards;
    struct bh_cache_tags tags;
};

uint64_t bh_cache_hash(const struct bh_cache *cache, struct bh_str key);

static inline struct bh_cache_shard *bh_cache_shard_of(const struct bh_cache *const cache,
                                                       const uint64_t hash)
{
    return &cache->shards[(hash >> 48) & (cache->shard_count - 1)];
}

/* ---- Under the shard's mutex ---- */

enum bh_cache_found { BH_CACHE_FOUND_NONE, BH_CACHE_FOUND_FRESH, BH_CACHE_FOUND_STALE };

/* Counts the look-up. Else than NONE: *ret_value is a new reference. */
enum bh_cache_found bh_cache_shard_find(struct bh_cache *cache, struct bh_cache_shard *shard,
                                        uint64_t hash, struct bh_str key, uint64_t now_us,
                                        struct bh_cache_value **ret_value);

/* What has to be freed goes to `evicted`. As bh_cache_put; BH_ENOMEM. */
int bh_cache_shard_put(struct bh_cache *cache, struct bh_cache_shard *shard, uint64_t hash,
                       struct bh_str key, const struct bh_cache_ticket *ticket,
                       struct bh_cache_lifetime lifetime, struct bh_cache_value *value,
                       uint64_t now_us, struct bh_list *evicted);

/* ---- Without it ---- */

void bh_cache_free_entries(struct bh_list *evicted);
