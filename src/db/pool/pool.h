/*
 * Connection pool: what all loops share of it. A pool is a budget of connections to one database
 * host and a breaker that watches that host; each loop has a shard (pool_shard.h) with connections
 * and waiters of its own, so that taking and returning a connection needs no lock.
 *
 *   pool.h        options, life, control, figures: any thread
 *   pool_shard.h  the state machine of one loop: leases, the driver's functions and answers
 *   pool_loop.h   a shard bound to a loop: waiting calls for fibers
 *
 * Rules, states and limits stand in README.md.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/time.h"

struct bh_pool; /* opaque; shared by all loops */

/* Counts are of all shards together, unless they say otherwise. */
struct bh_pool_options {
    const char *name;     /* static: "read"; in logs, errors and metrics */
    unsigned shard_count; /* loops that will have a shard, 1–256 */

    unsigned minimum;         /* made ahead of demand and kept */
    unsigned maximum;         /* kept at most */
    unsigned overflow;        /* more than that under pressure, closed when returned */
    unsigned reserve;         /* of maximum + overflow: for BH_POOL_HIGH alone */
    unsigned waiters_maximum; /* each shard has an equal part */
    unsigned tenant_percent;  /* of a shard's connections that one tenant may hold while another
                                 tenant waits, 1–100; 0: no such cap */

    unsigned
        shared_connections;     /* of one shard, pipelined at a time; 0: all leases are exclusive */
    unsigned shared_depth;      /* statements in one pipeline */
    unsigned class_count;       /* statement classes told apart, 1–4,096 */
    uint64_t shared_drain_us;   /* predicted work in one pipeline */
    uint64_t shared_slow_us;    /* classes that take longer go exclusive */
    uint64_t shared_timeout_us; /* a pipeline in which nothing has ended for so long is given up;
                                   BH_NEVER_US: never */

    uint64_t acquire_timeout_us;
    uint64_t connect_timeout_us;
    unsigned host_count; /* that one connect may ask in turn, each with its own time: 1–256 */
    uint64_t ping_timeout_us;
    uint64_t clean_timeout_us; /* for reset, and for cancel with all that has to be read then */
    uint64_t close_timeout_us;
    uint64_t idle_timeout_us; /* down to the minimum; BH_NEVER_US: never */
    uint64_t lifetime_us;     /* less 0–10%, drawn for each connection; BH_NEVER_US: no limit */
    uint64_t ping_after_us;   /* idle for longer: pinged before use; BH_NEVER_US: never */
    uint64_t leak_us;         /* leases held for longer are logged once; BH_NEVER_US: never */
    uint64_t outage_patience_us; /* down for longer: waiters fail at once, not at their deadline */
    uint64_t delay_target_us;    /* CoDel: queue delay that may last … */
    uint64_t delay_interval_us;  /* … this long before BH_POOL_LOW waiters are shed */
    uint64_t seed;               /* of jitter */

    /* Told when the host is found down, and up again; with the pool's lock held. May be NULL. */
    void (*on_host)(void *argument, bool is_down);
    void *on_host_argument;
};

/* The defaults: 5–40 connections, one shard, no overflow, 30 s to wait, and so on; see pool.c. */
void bh_pool_options_default(struct bh_pool_options *options);

/* BH_EINVAL: the message names the option. `options` is copied. Any thread. */
int bh_pool_create(const struct bh_pool_options *options, struct bh_pool **ret_pool,
                   struct bh_error *reterr) BH_MUST_CHECK;
/* All shards must be destroyed. NULL is fine. */
void bh_pool_destroy(struct bh_pool *pool);

/* ---- Control; any thread, takes effect on each loop in its next turn ---- */

/* BH_EINVAL: minimum above maximum, or nothing left beside the reserve. A smaller pool closes idle
 * connections now, others as they are returned. */
int bh_pool_resize(struct bh_pool *pool, unsigned minimum, unsigned maximum, unsigned overflow,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* No lease is granted until resume: requests wait (each no longer than its deadline). What is held
 * goes on; once bh_pool_stats says busy == 0 and shared == 0, the pool is at rest. Pauses count:
 * each needs a resume of its own; one more than that does nothing. */
void bh_pool_pause(struct bh_pool *pool);
void bh_pool_resume(struct bh_pool *pool);

/* Every connection made before this call is replaced: idle ones now, others as they are returned.
 * After a password, a host's address or a role has changed. */
void bh_pool_evict(struct bh_pool *pool);

/* ---- Figures ---- */

#define BH_POOL_CLOSE_REASONS(X)                                                  \
    X(IDLE, "idle", "idle for longer than the idle time-out")                     \
    X(LIFETIME, "lifetime", "older than the maximum lifetime")                    \
    X(OVERFLOW, "overflow", "above the persistent size")                          \
    X(GIVEN, "given", "its place was given to another loop")                      \
    X(EVICTED, "evicted", "made before an eviction, a failover or a loss in use") \
    X(LOST, "lost", "broken")                                                     \
    X(UNCLEAN, "unclean", "could not be cleaned, or not in time")                 \
    X(PING, "ping", "did not answer a ping in time")                              \
    X(SILENT, "silent", "nothing was heard of its pipeline in time")              \
    X(CONNECT, "connect", "could not be made, or not in time")                    \
    X(DRAINED, "drained", "the shard ends")

enum bh_pool_close_reason {
#define X(id, label, text) BH_POOL_CLOSED_##id,
    BH_POOL_CLOSE_REASONS(X)
#undef X
        BH_POOL_CLOSE_REASON_COUNT
};

struct bh_pool_stats {
    /* Now. total = connecting + idle + busy + shared + cleaning + closing. */
    unsigned total, connecting, idle, busy, shared, closing;
    unsigned cleaning; /* pinged, reset, or in quarantine while a cancelled statement ends */
    unsigned waiting;
    unsigned minimum, maximum, overflow;
    bool paused, down; /* down: the host does not take connections */

    /* Since the pool was made. */
    uint64_t granted;   /* leases */
    uint64_t connected; /* connections made; see bh_db_reuse_ratio */
    uint64_t recycled;  /* of those closed: by lifetime */
    uint64_t waited;    /* granted, but not at once */
    uint64_t timed_out; /* acquire time-out or the caller's deadline */
    uint64_t canceled;  /* withdrawn by the caller */
    uint64_t shed;      /* too many waiters, or by CoDel */
    uint64_t unavailable;
    uint64_t leaks;
    uint64_t outages; /* times the host was found down */
    uint64_t closed[BH_POOL_CLOSE_REASON_COUNT];
};

/* Sums over shards; may be torn between fields while loops run. Any thread. */
void bh_pool_stats(struct bh_pool *pool, struct bh_pool_stats *ret_stats);
