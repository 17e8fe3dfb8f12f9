/*
 * A cache of immutable values by key, bounded in bytes: sharded, with W-TinyLFU deciding what stays
 * (Einziger, Friedman, Manes: TinyLFU, ACM ToS 2017), each concurrent miss loaded once, and
 * invalidation by tag that no load can outrun.
 *
 * Tags: numbers of the caller's ("book 7", "owner 1", "everything"). Invalidating a tag takes a few
 * nanoseconds whatever the number of entries; they are void at once and leave later. A load notes
 * its tags' versions before it reads anything, so what it publishes after an invalidation is void
 * as well.
 *
 * Any thread, unless said otherwise. `now_us` is monotonic (bulkhead/base/time.h) and the caller's.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct bh_cache;       /* opaque */
struct bh_cache_value; /* opaque: bytes that never change, held by whoever counts a reference */

#define BH_CACHE_TAGS_MAX 3
#define BH_CACHE_KEY_MAX 4096 /* bytes; longer keys are never kept */

/* ---- Values ---- */

/* Takes the buffer's content over (it is empty afterwards). NULL: no memory, or the buffer had an
 * error; its content is gone then. */
struct bh_cache_value *bh_cache_value_take(struct bh_buf *buf) BH_MUST_CHECK;
struct bh_cache_value *bh_cache_value_ref(struct bh_cache_value *value);
void bh_cache_value_unref(struct bh_cache_value *value); /* NULL is fine */
static inline void bh_cache_value_unref_cleanup(struct bh_cache_value **const value)
{
    bh_cache_value_unref(*value);
}
/* Borrowed as long as the reference is held. */
struct bh_str bh_cache_value_peek(const struct bh_cache_value *value);

/* ---- Life ---- */

struct bh_cache_options {
    const char *name; /* label of its metrics; lives as long as the process */
    size_t maximum_bytes;
    unsigned shards;         /* a power of two up to 64; 0: by size, one for each 4 MiB up to 16 */
    unsigned window_percent; /* share of new entries; 0: found by hill climbing */
    uint64_t seed; /* of the keys' hash; 0: random, as it must be where peers choose keys */
};

int bh_cache_create(const struct bh_cache_options *options,
                    struct bh_cache **ret_cache) BH_MUST_CHECK;
/* No call may be running. NULL is fine. */
void bh_cache_destroy(struct bh_cache *cache);

/* Shrinks (evicting at once) or grows, up to the size it was created with. */
void bh_cache_set_maximum_bytes(struct bh_cache *cache, size_t bytes);
size_t bh_cache_maximum_bytes(const struct bh_cache *cache);

/* ---- Without waiting ---- */

/* What was valid before a load began. */
struct bh_cache_ticket {
    uint32_t slots[BH_CACHE_TAGS_MAX];    /* private */
    uint32_t count;                       /* private */
    uint64_t versions[BH_CACHE_TAGS_MAX]; /* private */
};
/* Before the load reads anything. */
struct bh_cache_ticket bh_cache_begin(const struct bh_cache *cache, const uint64_t *tags,
                                      unsigned tag_count);

/* How long a value lives: fresh for up to `ttl_us` (each entry up to a tenth less, so that those
 * loaded together do not end together), then for `stale_us` only while another is being loaded. */
struct bh_cache_lifetime {
    uint64_t ttl_us, stale_us;
};

/* A reference to the fresh value, or NULL. */
struct bh_cache_value *bh_cache_get(struct bh_cache *cache, struct bh_str key, uint64_t now_us);

/* For when no new value can be made: a reference to the one there is, fresh or not, unless a tag of
 * its was invalidated or its load began longer than `age_maximum_us` ago; else NULL. Counts as no
 * look-up. */
struct bh_cache_value *bh_cache_get_old(struct bh_cache *cache, struct bh_str key,
                                        uint64_t age_maximum_us, uint64_t now_us,
                                        uint64_t *ret_age_us);

/* Offers a value; the caller keeps its reference. `now_us`: when the load began. BH_ECONFLICT: a
 * tag was invalidated since the ticket. BH_ELIMIT: larger than an eighth of a shard, or the key is
 * too long. 0: it is in, if the policy wants it. */
int bh_cache_put(struct bh_cache *cache, struct bh_str key, const struct bh_cache_ticket *ticket,
                 struct bh_cache_lifetime lifetime, struct bh_cache_value *value, uint64_t now_us);

/* When it returns, nothing that was loaded, or began to load, before carries the tag any more. */
void bh_cache_invalidate(struct bh_cache *cache, uint64_t tag);

/* ---- Loading ---- */

enum bh_cache_outcome {
    BH_CACHE_HIT,
    BH_CACHE_STALE,  /* past its time; another caller is loading a new one */
    BH_CACHE_LOADED, /* by this caller */
    BH_CACHE_SHARED  /* by another caller, meanwhile */
};

/* Makes the value, in the calling fiber. 0 with a reference in *ret_value, or an error. */
typedef int bh_cache_load(void *argument, struct bh_cache_value **ret_value,
                          struct bh_error *reterr);

struct bh_cache_fetch {
    struct bh_str key;
    const uint64_t *tags;
    unsigned tag_count;
    struct bh_cache_lifetime lifetime;
    bh_cache_load *load;
    void *argument;
    bool only_new; /* BH_EEXISTS if there is a value, or another caller's load, to be had */
};

/* The value of the key: a fresh one at once, else loaded, once for all who miss it meanwhile, on
 * whatever loop. Who waits keeps its own deadline. A load that fails fails its own caller only: one
 * of those who wait loads next. A load begun before an invalidation is not joined after it. Past
 * its time, a value goes to all but the one caller that loads the next.
 * What `load` returned; BH_ETIMEDOUT, BH_ECANCELED while waiting; BH_ENOMEM. Fiber. */
int bh_cache_fetch(struct bh_cache *cache, const struct bh_cache_fetch *fetch, uint64_t now_us,
                   struct bh_cache_value **ret_value, enum bh_cache_outcome *ret_outcome,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* ---- Figures ---- */

struct bh_cache_statistics {
    size_t bytes, maximum_bytes, entries; /* now */
    uint64_t hits, stale, misses;
    uint64_t loads, load_failures, shared; /* of bh_cache_fetch; shared: waited for another's */
    uint64_t evictions, rejections;        /* to make room; not let in by the policy */
    uint64_t voided;                       /* loads that an invalidation overtook */
    uint64_t invalidations;
};
void bh_cache_statistics(struct bh_cache *cache, struct bh_cache_statistics *ret_statistics);
