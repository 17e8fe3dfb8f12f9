/*
 * The data that the pool's own files share; what they do for each other stands in pool_steps.h.
 *
 * A pool's `shared` part is under its mutex; the atomics beside it are written under the mutex and
 * read without. A shard belongs to its thread, but for its claim (under the pool's mutex) and its
 * counts (written by its thread, read by all).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/base/assert.h"
#include "db/pool/pool_breaker.h"
#include "bulkhead/base/codel.h"
#include "db/pool/pool_lease.h"
#include "db/pool/pool_metrics.h"
#include "db/pool/pool_random.h"

#define BH_POOL_MAGIC 0x504f4f4cu
#define BH_POOL_SHARD_MAGIC 0x53485244u

#define BH_POOL_SHARDS_MAXIMUM 256
#define BH_POOL_CLASSES_MAXIMUM 4096
#define BH_POOL_TENANT_SLOTS 256 /* tenants that share a slot share its cap */
#define BH_POOL_LANES 2

/* A shard's place in line for a connection's token. Under the pool's mutex. */
struct bh_pool_claim {
    bool is_in_line;
    bool is_urgent; /* somebody waits; else it is for the minimum */
    bool is_high;   /* may use the reserve */
    uint64_t since_us;
    unsigned held; /* tokens */
    struct bh_list node;
};

struct bh_pool_shard {
    BH_MAGIC_FIELD;
    unsigned index;
    struct bh_pool *pool;
    const struct bh_pool_driver *driver;
    void *driver_context;
    const struct bh_pool_hooks *hooks;
    void *hooks_context;

    uint64_t now_us;    /* never goes back */
    uint64_t wakeup_us; /* no later than the first thing that is due */
    bool is_ticking;    /* the wake-up is told at the tick's end */
    bool is_draining, is_drained;
    bool is_in_driver; /* inside connect, close or destroy */
    uint64_t random;

    struct bh_list states[BH_POOL_STATE_COUNT]; /* struct bh_pool_connection.node */
    atomic_uint state_counts[BH_POOL_STATE_COUNT];
    unsigned connection_count;

    struct bh_list lines[BH_POOL_LANES][BH_POOL_PRIORITY_COUNT]; /* oldest first */
    unsigned line_counts[BH_POOL_LANES];
    atomic_uint waiting;
    unsigned waiters_maximum;
    uint64_t sequence;
    uint64_t waiters_due_us;          /* no later than the first waiter's until_us */
    struct bh_pool_lease *requesting; /* gets its answer as a return value, not by notify */
    struct bh_codel codel;
    unsigned tenants_held[BH_POOL_TENANT_SLOTS];    /* exclusive leases */
    unsigned tenants_waiting[BH_POOL_TENANT_SLOTS]; /* for exclusive leases */

    uint64_t hold_us, connect_us; /* moving averages; 0: not known yet */
    uint64_t grown_us;            /* the last connect that succeeded */
    uint64_t last_good_us;        /* a connection came back in order, or was made */
    uint32_t *class_us;

    _Atomic uint64_t counts[BH_POOL_COUNT_COUNT];

    struct bh_pool_claim claim;
    struct bh_pool_held longest; /* told while another shard is hungry; under the pool's mutex */
    atomic_bool is_woken;        /* a wake-up is on its way */
};

struct bh_pool {
    BH_MAGIC_FIELD;
    struct bh_pool_options options; /* its sizes: as created; the present ones are below */
    struct bh_pool_metrics metrics;

    atomic_uint generation;
    atomic_uint suspect_generation; /* older connections are not worth a goodbye */
    atomic_uint pauses;
    atomic_bool is_down;
    _Atomic uint64_t down_since_us;
    _Atomic uint64_t failed_us; /* the last failed connect */
    atomic_uint used;           /* tokens */
    atomic_uint closing;        /* of those, of connections in CLOSING; written without the mutex */
    atomic_uint minimum, maximum, overflow;
    atomic_uint hungry; /* claims in line that only another shard's token can serve */

    struct {
        pthread_mutex_t mutex, roster; /* roster: innermost; to change shards and retired */
        uint64_t now_us;               /* of the shard furthest ahead */
        struct bh_pool_shard *shards[BH_POOL_SHARDS_MAXIMUM];
        struct bh_list line; /* struct bh_pool_claim.node, oldest first */
        unsigned giving;     /* tokens on their way to the hungry */
        struct bh_pool_breaker breaker;
        struct bh_error last_error;
        uint64_t refusal_logged_us, outages;
        uint64_t retired[BH_POOL_COUNT_COUNT]; /* counts of destroyed shards */
    } shared;
};

static inline unsigned bh_pool_load(const atomic_uint *const number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* Of a number with one writer: a plain addition to the processor. */
static inline void bh_pool_change(atomic_uint *const number, const int by)
{
    atomic_store_explicit(number, bh_pool_load(number) + (unsigned)by, memory_order_relaxed);
}

static inline void bh_pool_count(struct bh_pool_shard *const shard, const unsigned count)
{
    _Atomic uint64_t *const number = &shard->counts[count];
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    const bh_metric metric = shard->pool->metrics.counts[count];
    if (metric != BH_POOL_NO_METRIC)
        bh_metrics_add(metric, 1);
}

static inline unsigned bh_pool_in_state(const struct bh_pool_shard *const shard,
                                        const enum bh_pool_state state)
{
    return bh_pool_load(&shard->state_counts[state]);
}

static inline struct bh_pool_connection *bh_pool_connection_at(struct bh_list *const node)
{
    return BH_LIST_ENTRY(node, struct bh_pool_connection, node);
}

static inline struct bh_pool_lease *bh_pool_lease_at(struct bh_list *const node)
{
    return BH_LIST_ENTRY(node, struct bh_pool_lease, node);
}

static inline uint64_t bh_pool_later(const uint64_t from_us, const uint64_t by_us)
{
    return by_us < BH_NEVER_US - from_us ? from_us + by_us : BH_NEVER_US;
}
