/*
 * How far a replica is, and whether a read may go there.
 *
 * A fiber at home asks the primary how far its log goes, then the replica how much of that it has
 * replayed. Once it has all of it, the replica knows everything that was committed before the
 * primary was asked. A read goes there only if that is later than the last write of this process,
 * and than the last time somebody here said to have seen a state: who has written or seen something
 * here reads it here. What else other processes write is at most BH_PG_REPLICA_LAG_US late. Without
 * the fiber's word, as without a replica, reads go to the primary.
 *
 * Of several replicas one is read from at a time; when it fails or stays behind, the next one has
 * its turn. What is known is known of that one alone: whoever got a connection while the turn
 * changed asks the primary.
 */
#pragma once

#include <stdatomic.h>

#include "db/postgres/pg_home.h"
#include "db/postgres/pg_shard.h"

#define BH_PG_REPLICA_LAG_US (5 * BH_SECOND_US)

struct bh_pg_replica {
    struct bh_pg_shards *shards;         /* NULL: there is no replica */
    atomic_uint_least64_t seen_us;       /* when the last write ended, or was seen */
    atomic_uint_least64_t replicated_us; /* the replica has what was committed before; 0: unknown */
    atomic_uint known_turn;              /* whose position `replicated_us` is of */
    atomic_bool is_ending;
    uint64_t turned_us; /* home: when the turn changed last */
    bool is_told;       /* home: the log knows that it is behind */
};

/* Begins to watch. `shards` is borrowed. */
int bh_pg_replica_start(struct bh_pg_replica *replica, struct bh_pg_shards *shards,
                        const struct bh_pg_home *home) BH_MUST_CHECK;
/* The fiber ends soon; the home's end waits for it. */
void bh_pg_replica_stop(struct bh_pg_replica *replica);

/* Any thread. Whose turn it is; to be compared once a connection was had. */
unsigned bh_pg_replica_turn(const struct bh_pg_replica *replica);
bool bh_pg_replica_may_read(const struct bh_pg_replica *replica);
/* A write has ended, well or not, or the primary has told of one: before anybody hears of it. */
void bh_pg_replica_note_seen(struct bh_pg_replica *replica);
/* The replica has failed somebody: nobody goes there before the fiber says so. */
void bh_pg_replica_failed(struct bh_pg_replica *replica);
