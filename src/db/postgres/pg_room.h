/*
 * How many connections the server has room for, against how many the pools may open.
 */
#pragma once

#include "db/postgres/pg_config.h"

/* What max_connections leaves beside those reserved for superusers; 0: the server did not tell in
 * time. `pg` as bh_pg_config_connect makes it. Worker thread. */
unsigned bh_pg_room_ask(PGconn *pg, const struct bh_pg_patience *patience);

/* How many the pools may open. */
unsigned bh_pg_room_wanted(const struct bh_postgres_options *options);

/* Warns, with the cure, of pools that may open more than there is room for. */
void bh_pg_room_compare(unsigned room, const struct bh_postgres_options *options,
                        const char *where);
