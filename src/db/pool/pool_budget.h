/*
 * What the shards of a pool take turns at: tokens (one for each connection, from the beginning of
 * its connect to the server's end of it) and connects. Claims stand in one line, urgent ones first;
 * the first that can be served is woken, and none is served before it. Shards with idle connections
 * are asked for them when tokens run out.
 *
 * Each function takes the pool's lock for a moment; none is on the path of a lease that finds an
 * idle connection.
 */
#pragma once

#include "db/pool/pool_steps.h"

/* Takes a token and the right to connect: true; *ret_limit_us gets how long that may take. Else the
 * shard stands in line, is woken when it is its turn, and asks again no later than *ret_retry_us.
 * `is_urgent`: somebody waits. `is_high`: of BH_POOL_HIGH. */
bool bh_pool_budget_claim(struct bh_pool_shard *shard, bool is_urgent, bool is_high,
                          uint64_t *ret_limit_us, uint64_t *ret_retry_us);

/* It wants no more connections for now. */
void bh_pool_budget_unclaim(struct bh_pool_shard *shard);

/* What became of a connect. Its token: kept, if it succeeded; else given back by
 * bh_pool_budget_return. `error` may be NULL. */
void bh_pool_budget_connected(struct bh_pool_shard *shard);
void bh_pool_budget_failed(struct bh_pool_shard *shard, enum bh_pool_failure failure,
                           const struct bh_error *error);
void bh_pool_budget_abandoned(struct bh_pool_shard *shard);

/* A connection is gone. `was_given`: after one of the two functions below. */
void bh_pool_budget_return(struct bh_pool_shard *shard, bool was_given);

/* Whether the shard should close a connection nobody waits for, idle for `idle_us`, for another
 * shard. True counts it as given. */
bool bh_pool_budget_gives_idle(struct bh_pool_shard *shard, uint64_t idle_us);

/* Whether the shard should close one it could use, because it has more than its share and another
 * has waited for less than that for too long. True counts it as given. */
bool bh_pool_budget_yields(struct bh_pool_shard *shard);

/* Connections of `generation` and before are not to be used any more. `error` (may be NULL) is kept
 * for messages. `is_suspect`: the host failed; otherwise it was decided. */
void bh_pool_budget_bump(struct bh_pool *pool, unsigned generation, bool is_suspect,
                         const struct bh_error *error);

/* Wakes every shard. With the lock held. */
void bh_pool_budget_wake_all(struct bh_pool *pool);
