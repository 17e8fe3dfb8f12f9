/*
 * A database's part on one loop: a shard of each of its pools. Made at a loop's first call, taken
 * apart as the loop stops. Loop thread, but for the list of shards.
 */
#pragma once

#include "db/postgres/pg_connection.h"

enum bh_pg_pool {
    BH_PG_READ = BH_DB_READ,   /* of the primary */
    BH_PG_WRITE = BH_DB_WRITE, /* of the primary */
    BH_PG_REPLICA,
    BH_PG_POOLS
};

struct bh_pg_shards {
    uint64_t id; /* of the database, never used twice */
    struct bh_pool *pools[BH_PG_POOLS];
    struct bh_pg_config *configs[BH_PG_POOLS];

    struct {
        pthread_mutex_t mutex;
        struct bh_list list; /* struct bh_pg_shard.node */
    } shared;
};

struct bh_pg_shard; /* opaque */

void bh_pg_shards_init(struct bh_pg_shards *shards);
/* Every loop that has made a call has ended. */
void bh_pg_shards_fini(struct bh_pg_shards *shards);

/* The pool `which` on the current loop. BH_ELIMIT: more loops than the pools have shards. */
int bh_pg_shards_pool(struct bh_pg_shards *shards, enum bh_pg_pool which,
                      struct bh_pool_loop **ret_pool, struct bh_error *reterr) BH_MUST_CHECK;
