/*
 * Look-up, insertion and invalidation. A look-up takes its shard's mutex for some tens of
 * nanoseconds; a value is handed out by reference and may outlive its entry and the cache's bound.
 * An entry is good as long as its tags' versions are those noted before it was loaded, so an
 * invalidation touches no entry and needs no lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "cache/shard.h"
#include "cache/value.h"

#define SHARDS_MAX 64u
#define SHARDS_AUTO_MAX 16u
#define SHARD_BYTES ((size_t)4 << 20)
#define ENTRY_BYTES 512 /* by which tables are laid out; smaller entries only make chains longer */
#define VALUE_SHARE 8   /* the largest entry, of a shard */
#define JITTER_SHARE 10 /* of the time to live */
#define SHARD_BYTES_MIN ((size_t)16 << 10)

/* ---- Life ---- */

static int init_shard(struct bh_cache_shard *const shard, const size_t maximum,
                      const unsigned window_percent)
{
    size_t buckets = 64;
    while (buckets * ENTRY_BYTES < maximum)
        buckets *= 2;
    pthread_mutex_init(&shard->mutex, NULL);
    for (unsigned i = 0; i < BH_CACHE_FLIGHT_LISTS; i++)
        bh_list_init(&shard->flights[i]);
    shard->buckets = calloc(buckets, sizeof(struct bh_cache_entry *));
    shard->bucket_mask = buckets - 1;
    const int result = bh_cache_policy_init(&shard->policy, maximum, buckets, window_percent);
    return shard->buckets != NULL ? result : BH_ENOMEM;
}

static void fini_shard(struct bh_cache_shard *const shard)
{
    struct bh_list evicted;
    bh_list_init(&evicted);
    for (unsigned i = 0; i < BH_CACHE_SEGMENTS; i++)
        for (struct bh_list *node; (node = bh_list_pop(&shard->policy.segments[i])) != NULL;)
            bh_list_append(&evicted, node);
    bh_cache_free_entries(&evicted);
    for (unsigned i = 0; i < BH_CACHE_FLIGHT_LISTS; i++)
        bh_assert(bh_list_is_empty(&shard->flights[i]));
    bh_cache_policy_fini(&shard->policy);
    free(shard->buckets);
    pthread_mutex_destroy(&shard->mutex);
}

static unsigned shards_for(const size_t maximum_bytes)
{
    unsigned shards = 1;
    while (shards < SHARDS_AUTO_MAX && maximum_bytes / (shards * 2) >= SHARD_BYTES)
        shards *= 2;
    return shards;
}

int bh_cache_create(const struct bh_cache_options *const options, struct bh_cache **const ret_cache)
{
    const unsigned shards = options->shards ? options->shards : shards_for(options->maximum_bytes);
    bh_assert(shards <= SHARDS_MAX && (shards & (shards - 1)) == 0);
    struct bh_cache *const cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return BH_ENOMEM;
    cache->magic = BH_CACHE_MAGIC;
    cache->seed = options->seed;
    if (cache->seed == 0 && getrandom(&cache->seed, sizeof(cache->seed), 0) < 0)
        cache->seed = bh_time_now_ns() ^
                      (uintptr_t)cache; /* a kernel without it: still not known */
    cache->metrics = bh_cache_metrics_of(options->name);
    cache->shards = aligned_alloc(64, shards * sizeof(*cache->shards));
    if (cache->shards == NULL) {
        free(cache);
        return BH_ENOMEM;
    }
    memset(cache->shards, 0, shards * sizeof(*cache->shards));
    cache->largest_maximum = options->maximum_bytes / shards;
    if (cache->largest_maximum < SHARD_BYTES_MIN)
        cache->largest_maximum = SHARD_BYTES_MIN;
    int result = 0;
    for (unsigned i = 0; i < shards && result == 0; i++) {
        cache->shard_count++;
        result = init_shard(&cache->shards[i], cache->largest_maximum, options->window_percent);
    }
    if (result == 0) {
        atomic_init(&cache->maximum_bytes, cache->largest_maximum * shards);
        bh_metrics_add(cache->metrics.maximum, (int64_t)(cache->largest_maximum * shards));
        *ret_cache = cache;
        return 0;
    }
    bh_cache_destroy(cache);
    return result;
}

void bh_cache_destroy(struct bh_cache *const cache)
{
    if (cache == NULL)
        return;
    bh_magic_check(cache, BH_CACHE_MAGIC);
    struct bh_cache_statistics statistics;
    bh_cache_statistics(cache, &statistics);
    bh_metrics_add(cache->metrics.bytes, -(int64_t)statistics.bytes);
    bh_metrics_add(cache->metrics.entries, -(int64_t)statistics.entries);
    bh_metrics_add(cache->metrics.maximum, -(int64_t)statistics.maximum_bytes);
    for (unsigned i = 0; i < cache->shard_count; i++)
        fini_shard(&cache->shards[i]);
    free(cache->shards);
    cache->magic = 0;
    free(cache);
}

/* ---- Entries ---- */

void bh_cache_free_entries(struct bh_list *const evicted)
{
    for (struct bh_list *node; (node = bh_list_pop(evicted)) != NULL;) {
        struct bh_cache_entry *const entry = BH_LIST_ENTRY(node, struct bh_cache_entry, node);
        bh_cache_value_unref(entry->value);
        free(entry);
    }
}

uint64_t bh_cache_hash(const struct bh_cache *const cache, const struct bh_str key)
{
    return XXH3_64bits_withSeed(key.data, key.size, cache->seed);
}

/* The link that points to the key's entry, or to NULL. */
static struct bh_cache_entry **link_of(const struct bh_cache_shard *const shard,
                                       const uint64_t hash, const struct bh_str key)
{
    struct bh_cache_entry **link = &shard->buckets[hash & shard->bucket_mask];
    while (*link != NULL && ((*link)->hash != hash || (*link)->key_size != key.size ||
                             memcmp((*link)->key, key.data, key.size) != 0))
        link = &(*link)->chain;
    return link;
}

static void unchain(const struct bh_cache_shard *const shard, struct bh_cache_entry *const entry)
{
    struct bh_cache_entry **link = &shard->buckets[entry->hash & shard->bucket_mask];
    while (*link != entry)
        link = &(*link)->chain;
    *link = entry->chain;
}

static void count(const bh_metric metric, const int64_t amount)
{
    if (amount != 0)
        bh_metrics_add(metric, amount);
}

/* Takes what the policy evicted out of the table. `bytes`, `entries`: what has come. */
static void forget(struct bh_cache *const cache, struct bh_cache_shard *const shard,
                   const struct bh_list *const evicted, int64_t bytes, int64_t entries)
{
    BH_LIST_FOREACH(node, evicted) {
        struct bh_cache_entry *const entry = BH_LIST_ENTRY(node, struct bh_cache_entry, node);
        unchain(shard, entry);
        bytes -= (int64_t)entry->cost;
        entries--;
    }
    const uint64_t rejections = shard->policy.rejections - shard->statistics.rejections;
    const uint64_t evictions = shard->policy.evictions - shard->statistics.evictions;
    shard->statistics.rejections = shard->policy.rejections;
    shard->statistics.evictions = shard->policy.evictions;
    count(cache->metrics.bytes, bytes);
    count(cache->metrics.entries, entries);
    count(cache->metrics.rejections, (int64_t)rejections);
    count(cache->metrics.evictions, (int64_t)evictions);
}

enum bh_cache_found bh_cache_shard_find(struct bh_cache *const cache,
                                        struct bh_cache_shard *const shard, const uint64_t hash,
                                        const struct bh_str key, const uint64_t now_us,
                                        struct bh_cache_value **const ret_value)
{
    struct bh_cache_entry *const entry = *link_of(shard, hash, key);
    const bool is_there = entry != NULL && now_us < entry->stale_until_us &&
                          bh_cache_tags_hold(&cache->tags, &entry->ticket);
    bh_cache_policy_use(&shard->policy, hash, is_there ? entry : NULL);
    if (!is_there)
        return BH_CACHE_FOUND_NONE;
    *ret_value = bh_cache_value_ref(entry->value);
    return now_us < entry->expires_us ? BH_CACHE_FOUND_FRESH : BH_CACHE_FOUND_STALE;
}

static uint64_t add_us(const uint64_t time_us, const uint64_t duration_us)
{
    return duration_us < BH_NEVER_US - time_us ? time_us + duration_us : BH_NEVER_US;
}

/* A number that differs from entry to entry and from load to load. */
static uint64_t jitter_us(const uint64_t hash, const uint64_t now_us, const uint64_t ttl_us)
{
    const uint64_t mixed = (hash ^ now_us) * UINT64_C(0x94D049BB133111EB);
    return (mixed >> 32) % (ttl_us / JITTER_SHARE + 1);
}

static struct bh_cache_entry *make_entry(const uint64_t hash, const struct bh_str key,
                                         const struct bh_cache_ticket *const ticket,
                                         const struct bh_cache_lifetime lifetime,
                                         struct bh_cache_value *const value, const uint64_t now_us)
{
    struct bh_cache_entry *const entry = malloc(sizeof(*entry) + key.size);
    if (entry == NULL)
        return NULL;
    const uint64_t expires_us = add_us(now_us,
                                       lifetime.ttl_us - jitter_us(hash, now_us, lifetime.ttl_us));
    *entry = (struct bh_cache_entry){
        .value = value,
        .hash = hash,
        .made_us = now_us,
        .expires_us = expires_us,
        .stale_until_us = add_us(expires_us, lifetime.stale_us),
        .ticket = *ticket,
        .key_size = (uint32_t)key.size,
    };
    entry->cost = bh_cache_block_cost(entry) + bh_cache_block_cost(value);
    bh_list_init(&entry->node);
    memcpy(entry->key, key.data, key.size);
    return entry;
}

int bh_cache_shard_put(struct bh_cache *const cache, struct bh_cache_shard *const shard,
                       const uint64_t hash, const struct bh_str key,
                       const struct bh_cache_ticket *const ticket,
                       const struct bh_cache_lifetime lifetime, struct bh_cache_value *const value,
                       const uint64_t now_us, struct bh_list *const evicted)
{
    if (!bh_cache_tags_hold(&cache->tags, ticket)) {
        shard->statistics.voided++;
        bh_metrics_add(cache->metrics.voided, 1);
        return BH_ECONFLICT;
    }
    if (key.size > BH_CACHE_KEY_MAX)
        return BH_ELIMIT;
    struct bh_cache_entry *const entry = make_entry(hash, key, ticket, lifetime, value, now_us);
    if (entry == NULL)
        return BH_ENOMEM;
    if (entry->cost > shard->policy.maximum / VALUE_SHARE) {
        free(entry);
        return BH_ELIMIT;
    }
    bh_cache_value_ref(value);
    struct bh_cache_entry **const link = link_of(shard, hash, key);
    struct bh_cache_entry *const old = *link;
    int64_t bytes = (int64_t)entry->cost;
    if (old != NULL) {
        bytes -= (int64_t)old->cost;
        entry->chain = old->chain;
        bh_cache_policy_remove(&shard->policy, old);
    } else {
        entry->chain = *link;
    }
    *link = entry;
    const struct bh_cache_moment moment = { .tags = &cache->tags, .now_us = now_us };
    bh_cache_policy_add(&shard->policy, entry, moment, evicted);
    forget(cache, shard, evicted, bytes, old == NULL);
    if (old != NULL)
        bh_list_append(evicted, &old->node);
    return 0;
}

/* ---- Calls ---- */

struct bh_cache_ticket bh_cache_begin(const struct bh_cache *const cache,
                                      const uint64_t *const tags, const unsigned tag_count)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    bh_assert(tag_count <= BH_CACHE_TAGS_MAX);
    struct bh_cache_ticket ticket = { .count = tag_count };
    for (unsigned i = 0; i < tag_count; i++) {
        ticket.slots[i] = bh_cache_tags_slot(tags[i]);
        ticket.versions[i] = atomic_load(&cache->tags.versions[ticket.slots[i]]);
    }
    return ticket;
}

void bh_cache_invalidate(struct bh_cache *const cache, const uint64_t tag)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    atomic_fetch_add(&cache->tags.versions[bh_cache_tags_slot(tag)], 1);
    atomic_fetch_add_explicit(&cache->invalidations, 1, memory_order_relaxed);
    bh_metrics_add(cache->metrics.invalidations, 1);
}

struct bh_cache_value *bh_cache_get(struct bh_cache *const cache, const struct bh_str key,
                                    const uint64_t now_us)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    const uint64_t hash = bh_cache_hash(cache, key);
    struct bh_cache_shard *const shard = bh_cache_shard_of(cache, hash);
    struct bh_cache_value *value = NULL;
    pthread_mutex_lock(&shard->mutex);
    const enum bh_cache_found found = bh_cache_shard_find(cache, shard, hash, key, now_us, &value);
    const bool is_hit = found == BH_CACHE_FOUND_FRESH;
    *(is_hit ? &shard->statistics.hits : &shard->statistics.misses) += 1;
    pthread_mutex_unlock(&shard->mutex);
    bh_metrics_add(is_hit ? cache->metrics.hits : cache->metrics.misses, 1);
    if (is_hit)
        return value;
    bh_cache_value_unref(value);
    return NULL;
}

struct bh_cache_value *bh_cache_get_old(struct bh_cache *const cache, const struct bh_str key,
                                        const uint64_t age_maximum_us, const uint64_t now_us,
                                        uint64_t *const ret_age_us)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    const uint64_t hash = bh_cache_hash(cache, key);
    struct bh_cache_shard *const shard = bh_cache_shard_of(cache, hash);
    struct bh_cache_value *value = NULL;
    pthread_mutex_lock(&shard->mutex);
    const struct bh_cache_entry *const entry = *link_of(shard, hash, key);
    if (entry != NULL && bh_cache_tags_hold(&cache->tags, &entry->ticket)) {
        const uint64_t age_us = now_us > entry->made_us ? now_us - entry->made_us : 0;
        if (age_us <= age_maximum_us) {
            value = bh_cache_value_ref(entry->value);
            *ret_age_us = age_us;
        }
    }
    pthread_mutex_unlock(&shard->mutex);
    return value;
}

int bh_cache_put(struct bh_cache *const cache, const struct bh_str key,
                 const struct bh_cache_ticket *const ticket,
                 const struct bh_cache_lifetime lifetime, struct bh_cache_value *const value,
                 const uint64_t now_us)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    const uint64_t hash = bh_cache_hash(cache, key);
    struct bh_cache_shard *const shard = bh_cache_shard_of(cache, hash);
    struct bh_list evicted;
    bh_list_init(&evicted);
    pthread_mutex_lock(&shard->mutex);
    const int result = bh_cache_shard_put(cache, shard, hash, key, ticket, lifetime, value, now_us,
                                          &evicted);
    pthread_mutex_unlock(&shard->mutex);
    bh_cache_free_entries(&evicted);
    return result;
}

void bh_cache_set_maximum_bytes(struct bh_cache *const cache, const size_t bytes)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    size_t maximum = bytes / cache->shard_count;
    maximum = maximum < cache->largest_maximum ? maximum : cache->largest_maximum;
    maximum = maximum > SHARD_BYTES_MIN ? maximum : SHARD_BYTES_MIN;
    const struct bh_cache_moment moment = { .tags = &cache->tags, .now_us = bh_time_now_us() };
    for (unsigned i = 0; i < cache->shard_count; i++) {
        struct bh_cache_shard *const shard = &cache->shards[i];
        struct bh_list evicted;
        bh_list_init(&evicted);
        pthread_mutex_lock(&shard->mutex);
        bh_cache_policy_set_maximum(&shard->policy, maximum, moment, &evicted);
        forget(cache, shard, &evicted, 0, 0);
        pthread_mutex_unlock(&shard->mutex);
        bh_cache_free_entries(&evicted);
    }
    const size_t before = atomic_exchange(&cache->maximum_bytes, maximum * cache->shard_count);
    bh_metrics_add(cache->metrics.maximum,
                   (int64_t)(maximum * cache->shard_count) - (int64_t)before);
}

size_t bh_cache_maximum_bytes(const struct bh_cache *const cache)
{
    return atomic_load(&cache->maximum_bytes);
}

void bh_cache_statistics(struct bh_cache *const cache,
                         struct bh_cache_statistics *const ret_statistics)
{
    bh_magic_check(cache, BH_CACHE_MAGIC);
    struct bh_cache_statistics sum = { .maximum_bytes = bh_cache_maximum_bytes(cache),
                                       .invalidations = atomic_load(&cache->invalidations) };
    for (unsigned i = 0; i < cache->shard_count; i++) {
        struct bh_cache_shard *const shard = &cache->shards[i];
        pthread_mutex_lock(&shard->mutex);
        const struct bh_cache_statistics *const part = &shard->statistics;
        sum.bytes += bh_cache_policy_size(&shard->policy);
        sum.entries += shard->policy.count;
        sum.hits += part->hits;
        sum.stale += part->stale;
        sum.misses += part->misses;
        sum.loads += part->loads;
        sum.load_failures += part->load_failures;
        sum.shared += part->shared;
        sum.evictions += part->evictions;
        sum.rejections += part->rejections;
        sum.voided += part->voided;
        pthread_mutex_unlock(&shard->mutex);
    }
    *ret_statistics = sum;
}
