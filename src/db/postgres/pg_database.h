/*
 * A database as it was opened: its pools, the loops' shards of them, the threads that all share.
 */
#pragma once

#include "db/driver.h"
#include "db/postgres/pg_home.h"
#include "db/postgres/pg_listen.h"
#include "db/postgres/pg_replica.h"
#include "db/postgres/pg_shard.h"

struct bh_pg_database {
    struct bh_db base;
    BH_MAGIC_FIELD;
    struct bh_db_options options;
    struct bh_postgres_options postgres;
    struct bh_pg_host primary_host, replica_host;
    atomic_uint *versions;
    struct bh_pg_config configs[BH_PG_POOLS];
    struct bh_pg_shards shards;
    struct bh_pg_home home;
    struct bh_pg_replica replica;
    struct bh_pg_listen listen;
    bool has_shards;
    unsigned room; /* for connections on the primary, as it was opened; 0: not known */
};

/* The driver's functions of these names. */
int bh_pg_database_open(const char *location, const struct bh_db_options *options,
                        struct bh_db **ret_db, struct bh_error *reterr) BH_MUST_CHECK;
void bh_pg_database_close(struct bh_db *db);
/* As bulkhead/db/control.h has it. */
void bh_pg_database_control(struct bh_db *db, enum bh_db_lane lane, enum bh_db_action action);
int bh_pg_database_resize(struct bh_db *db, enum bh_db_lane lane, unsigned minimum,
                          unsigned maximum, struct bh_error *reterr);
void bh_pg_database_statistics(struct bh_db *db, enum bh_db_lane lane,
                               struct bh_db_statistics *ret_statistics);

struct bh_pg_database *bh_pg_database_of(struct bh_db *db);
