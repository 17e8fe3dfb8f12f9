/*
 * A world for the pool without a clock, a network or threads: a virtual time, a scripted server
 * behind the driver's functions, and shards whose wake-ups the test hands out. Everything that
 * happens follows from the script and the seed.
 */
#pragma once

#include "db/pool/pool_lease.h"
#include "prng.h"

#define SIM_SHARDS_MAXIMUM 4

/* Where the other side has a say. */
enum sim_gate { SIM_CONNECT, SIM_PING, SIM_RESET, SIM_CANCEL, SIM_CLOSE, SIM_GATE_COUNT };

enum sim_outcome {
    SIM_OK,    /* after latency_us */
    SIM_ERROR, /* after latency_us */
    SIM_SLOW,  /* well, after slow_us */
    SIM_NEVER,
    SIM_AT_ONCE, /* lost before the driver's function returns: SIM_PING, RESET, CANCEL only */
    SIM_OUTCOME_COUNT
};

struct sim_connection {
    struct bh_pool_connection base;
    struct sim *sim;
    unsigned number;   /* as made: 1, 2 … */
    unsigned shard;    /* index */
    uint64_t begun_us; /* its connect */
    bool is_made;
    bool has_answer; /* one is on its way, for `gate` */
    enum sim_gate gate;
    enum sim_outcome outcome;
    uint64_t answer_us;
    struct bh_list node;
};

struct sim_shard {
    struct sim *sim;
    struct bh_pool_shard *pool_shard; /* NULL: not there */
    uint64_t scheduled_us;
    bool is_woken;
    bool is_drained;
};

struct sim {
    uint64_t now_us;
    uint64_t random;
    struct bh_pool *pool;
    struct sim_shard shards[SIM_SHARDS_MAXIMUM];
    unsigned shard_count;
    struct bh_list connections; /* struct sim_connection.node, as made */
    unsigned alive;             /* the driver's connections, CLOSING ones too */
    unsigned alive_peak;

    /* The script. */
    enum sim_outcome (*decide)(struct sim *sim, enum sim_gate gate); /* NULL: `outcomes` */
    enum sim_outcome outcomes[SIM_GATE_COUNT];
    enum bh_pool_failure connect_failure; /* of SIM_ERROR at SIM_CONNECT */
    unsigned server_maximum;              /* 0: any number; beyond: 53300 */
    uint64_t latency_us, slow_us;

    /* What was asked of the driver. */
    unsigned calls[SIM_GATE_COUNT];
    unsigned destroyed, given_up;
    uint64_t last_connect_us;
    uint64_t least_connect_gap_us; /* between two begun while the pool was down */
};

/* One shard per options->shard_count; the time begins at 1,000 s. */
void sim_init(struct sim *sim, const struct bh_pool_options *options, uint64_t seed);
/* Drains and destroys everything; whatever is granted must have been released. */
void sim_fini(struct sim *sim);

void sim_shard_start(struct sim *sim, unsigned index);

/* Lets time pass up to `until_us`: answers, ticks and wake-ups in their order, every invariant
 * checked after each. */
void sim_run_until(struct sim *sim, uint64_t until_us);
void sim_run(struct sim *sim, uint64_t duration_us);

/* The next thing that is due happens, no later than `until_us`; false: nothing is. */
bool sim_step(struct sim *sim, uint64_t until_us);

void sim_check(const struct sim *sim);

/* The connection breaks: the driver notices now. */
void sim_break(struct sim_connection *connection, enum bh_pool_failure failure);
struct sim_connection *sim_connection_of(const struct bh_pool_lease *lease);

/* ---- Leases ---- */

/* A lease that counts how often it was told. */
struct sim_lease {
    struct bh_pool_lease base;
    struct bh_error error;
    unsigned told;
    struct sim *sim;
};

/* Exclusive, NORMAL; fields may be changed before sim_request. */
void sim_lease_init(struct sim_lease *lease, struct sim *sim);
int sim_request(struct sim_lease *lease, unsigned shard);
/* sim_lease_init and sim_request on shard 0. */
int sim_ask(struct sim_lease *lease, struct sim *sim);
void sim_release(struct sim_lease *lease, enum bh_pool_outcome outcome);
void sim_withdraw(struct sim_lease *lease);
bool sim_is_granted(const struct sim_lease *lease);
bool sim_is_waiting(const struct sim_lease *lease);

struct bh_pool_stats sim_stats(const struct sim *sim);
