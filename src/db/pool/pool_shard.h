/*
 * A shard: the pool's state machine for one loop. It does no input or output and has no clock:
 * every call takes the time, everything else is asked of the driver (struct bh_pool_driver), which
 * answers later by bh_pool_connected and the like. bh_pool_tick does what has become due.
 *
 * All calls on a shard, its leases and its connections come from one thread. A lease's `notify` and
 * the driver's functions must not call the pool before they have returned, with one exception:
 * ping, reset, cancel and give_up may tell bh_pool_lost. A clock that goes back counts as standing
 * still.
 */
#pragma once

#include "bulkhead/base/list.h"
#include "bulkhead/base/str.h"
#include "db/pool/pool.h"

struct bh_pool_shard; /* opaque */

/* ---- Connections ---- */

enum bh_pool_state {
    BH_POOL_CONNECTING,
    BH_POOL_IDLE,
    BH_POOL_BUSY,        /* one exclusive lease */
    BH_POOL_SHARED,      /* one or more shared leases */
    BH_POOL_PINGING,     /* idle for long: is it alive? */
    BH_POOL_RESETTING,   /* returned dirty */
    BH_POOL_QUARANTINED, /* returned while a statement was running: cancelled, read to its end */
    BH_POOL_CLOSING,     /* told the server, waits for its end of the stream */
    BH_POOL_STATE_COUNT
};

struct bh_pool_lease;

/* Embedded in the driver's connection object, which `connect` allocates and `destroy` frees. */
struct bh_pool_connection {
    struct bh_pool_shard *shard;   /* read-only */
    enum bh_pool_state state;      /* read-only; every state is a list of the shard */
    unsigned depth;                /* read-only: leases on it */
    bool doomed;                   /* private: closed as its last lease ends */
    bool is_suspect;               /* private: broken or of the wrong role: not worth a goodbye */
    bool is_silent;                /* private: given up as a pipeline without an answer */
    unsigned generation;           /* private: of the pool as it was begun */
    uint64_t created_us;           /* private: the rest */
    uint64_t expires_us;           /* end of its lifetime */
    uint64_t since_us;             /* in this state */
    uint64_t due_us;               /* time limit of this state */
    uint64_t progress_us;          /* SHARED: last result, or the first lease's start */
    uint64_t work_us;              /* SHARED: predicted */
    enum bh_pool_close_reason why; /* CLOSING */
    struct bh_list leases;         /* struct bh_pool_lease.node, oldest first */
    struct bh_list node;
};

/* What a failure tells about the host. */
enum bh_pool_failure {
    BH_POOL_UNREACHABLE, /* connect: refused, no route, no such name, time-out, starting up */
    BH_POOL_DENIED,      /* connect: password or right (28xxx). What is open stays good */
    BH_POOL_TOO_MANY,    /* connect: the server has no room (53300): the pool becomes smaller */
    BH_POOL_BROKEN_OFF,  /* end of stream, reset, 57P01–57P03, a protocol error */
    BH_POOL_WRONG_ROLE   /* 25006 where writes are meant: the primary is elsewhere */
};

/* All begin something and return at once. `destroy` may come at any time, also instead of an
 * answer: it frees the connection without waiting, and nothing may be reported of it after that. */
struct bh_pool_driver {
    /* → bh_pool_connected or bh_pool_connect_failed. NULL: no memory. */
    struct bh_pool_connection *(*connect)(struct bh_pool_shard *shard, void *context);
    /* → bh_pool_ready. A round trip, however cheap. */
    void (*ping)(struct bh_pool_connection *connection);
    /* → bh_pool_ready, as good as new: rolled back, settings and locks reset. */
    void (*reset)(struct bh_pool_connection *connection);
    /* → bh_pool_ready: stop the running statement, read to its end, then as `reset`. No cancel
     * request may be on its way any more by then: it could hit the next statement. */
    void (*cancel)(struct bh_pool_connection *connection);
    /* → bh_pool_lost, before it returns: an answer to its pipeline would come too late. Its leases
     * are released as after any loss. */
    void (*give_up)(struct bh_pool_connection *connection);
    /* → bh_pool_closed: say goodbye and wait for the server to hang up. Until then the server
     * counts the connection, and so does the pool. */
    void (*close)(struct bh_pool_connection *connection);
    void (*destroy)(struct bh_pool_connection *connection);
};

/* ---- Answers and news from the driver. None may be given twice. ---- */

void bh_pool_connected(struct bh_pool_connection *connection, uint64_t now_us);
/* `error` is copied; told to waiters and in the log. Destroys the connection. */
void bh_pool_connect_failed(struct bh_pool_connection *connection, enum bh_pool_failure failure,
                            const struct bh_error *error, uint64_t now_us);
void bh_pool_ready(struct bh_pool_connection *connection, uint64_t now_us);
void bh_pool_closed(struct bh_pool_connection *connection, uint64_t now_us);

/* A made connection is no longer good; in any state but CONNECTING (CLOSING: as bh_pool_closed).
 * BUSY and SHARED: it stays until its last lease is released (as BH_POOL_BROKEN, by whoever holds
 * it). Otherwise it is destroyed before this returns. `error` as above. */
void bh_pool_lost(struct bh_pool_connection *connection, enum bh_pool_failure failure,
                  const struct bh_error *error, uint64_t now_us);

const char *bh_pool_state_name(enum bh_pool_state state);

/* ---- Life ---- */

/* How a shard reaches its loop. Any of them may be called inside any call on the shard. */
struct bh_pool_hooks {
    /* Call bh_pool_tick at `at_us` instead of when it was last asked for (BH_NEVER_US: not). */
    void (*schedule)(void *context, uint64_t at_us);
    /* Call bh_pool_tick soon. Any thread, under the pool's lock. */
    void (*wake)(void *context);
    /* After a drain: no connection is left. Destroy the shard, not from here. */
    void (*drained)(void *context);
};

/* Pointers are borrowed; the contexts are handed to `connect` and to the hooks. BH_ELIMIT: the pool
 * has all its shards. The first tick begins the minimum. */
int bh_pool_shard_create(struct bh_pool *pool, const struct bh_pool_driver *driver,
                         void *driver_context, const struct bh_pool_hooks *hooks,
                         void *hooks_context, struct bh_pool_shard **ret_shard) BH_MUST_CHECK;
/* It must be drained. NULL is fine. */
void bh_pool_shard_destroy(struct bh_pool_shard *shard);

/* Waiters and new requests fail by BH_ESHUTDOWN; idle connections close, others on return. */
void bh_pool_drain(struct bh_pool_shard *shard, uint64_t now_us);

/* Does what is due; too early or too often does no harm. */
void bh_pool_tick(struct bh_pool_shard *shard, uint64_t now_us);
/* When the next tick is due; BH_NEVER_US: not before another call. */
uint64_t bh_pool_next_wakeup_us(const struct bh_pool_shard *shard);

/* Asserts every invariant of a shard's state; and of what shards share: call that only while no
 * shard is inside a call. For tests. */
void bh_pool_check(const struct bh_pool_shard *shard);
void bh_pool_check_budget(struct bh_pool *pool);
