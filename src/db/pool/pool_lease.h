/*
 * Leases: the right to use a connection. A lease is the caller's memory (on a fiber's stack, or in
 * a driver's request) from its request until it was released, refused or withdrawn. Thread: that of
 * its shard.
 */
#pragma once

#include "db/pool/pool_shard.h"

enum bh_pool_lane {
    BH_POOL_LANE_EXCLUSIVE, /* transactions, COPY, LISTEN, slow statements */
    BH_POOL_LANE_SHARED     /* one autocommit statement, pipelined with others */
};

enum bh_pool_priority {
    BH_POOL_HIGH, /* operators, urgent routes: first, may use the reserve, never shed for others */
    BH_POOL_NORMAL, /* people */
    BH_POOL_LOW,    /* background: shed first */
    BH_POOL_PRIORITY_COUNT
};

enum bh_pool_lease_state {
    BH_POOL_LEASE_NONE,    /* zeroed, refused, withdrawn or released: may be used again */
    BH_POOL_LEASE_WAITING, /* in line */
    BH_POOL_LEASE_GRANTED  /* `connection` is the holder's until it releases the lease */
};

struct bh_pool_lease {
    /* The caller's, before the request; zero it first. */
    enum bh_pool_lane lane; /* as granted, later: slow classes are granted EXCLUSIVE */
    enum bh_pool_priority priority;
    unsigned statement_class; /* SHARED: the index of its statement, say */
    uint32_t tenant;          /* 0: of nobody */
    struct bh_str route;      /* who: told in others' time-outs. Lives as long as the lease */
    uint64_t deadline_us;     /* 0 or BH_NEVER_US: the acquire time-out alone counts */
    void (*notify)(struct bh_pool_lease *lease); /* granted or refused after it had to wait */
    void *user;

    /* Read-only. */
    enum bh_pool_lease_state state;
    int result;             /* 0, or why a waiting lease was refused */
    struct bh_error *error; /* the caller's, NULL: not wanted; written when it is refused */
    struct bh_pool_connection *connection;
    uint64_t requested_us;
    uint64_t granted_us;

    /* Private. */
    struct bh_pool_shard *shard;
    uint64_t sequence;
    uint64_t until_us;   /* waits no longer */
    uint64_t work_us;    /* SHARED: its part of the connection's work_us */
    bool is_diverted;    /* asked for SHARED, but of a slow class */
    struct bh_list node; /* in line, or on its connection */
};

/* Who holds a connection, and since when; a copy, for others than the holder's loop. */
struct bh_pool_held {
    uint64_t since_us; /* 0: nobody */
    char route[64];
};

/* Asks for a connection: 0: granted. 1: it waits; `notify` tells the end (state GRANTED, or NONE
 * with `result` and `*error`). Or at once:
 *
 * BH_EBUSY: too many wait, or shed under overload. BH_EUNAVAILABLE: the host is down.
 * BH_ETIMEDOUT: its deadline has passed. BH_ESHUTDOWN: the shard is draining.
 *
 * After waiting also BH_EBUSY: no connection within the acquire time-out; the message names who
 * holds the connections, and for how long. If the host was down by then: BH_EUNAVAILABLE. */
int bh_pool_request(struct bh_pool_shard *shard, struct bh_pool_lease *lease,
                    uint64_t now_us) BH_MUST_CHECK;

/* The caller wants it no more: it leaves the line or, granted in the meantime but not used, is
 * released; the next waiter has its connection before this returns. `notify` is not called. */
void bh_pool_withdraw(struct bh_pool_lease *lease, uint64_t now_us);

/* How a connection comes back. */
enum bh_pool_outcome {
    BH_POOL_CLEAN,   /* as it was: no transaction, nothing unread, no session state */
    BH_POOL_DIRTY,   /* an open or failed transaction, session state: reset. EXCLUSIVE only */
    BH_POOL_RUNNING, /* a statement runs that nobody waits for: cancel. EXCLUSIVE only */
    BH_POOL_BROKEN   /* not usable; tell bh_pool_lost first if the connection broke off */
};

/* Ends a granted lease. Shared leases: as their result was read to its end, in pipeline order. */
void bh_pool_release(struct bh_pool_lease *lease, enum bh_pool_outcome outcome, uint64_t now_us);

/* Predicted service time of a statement class on this shard. */
uint64_t bh_pool_class_us(const struct bh_pool_shard *shard, unsigned statement_class);
