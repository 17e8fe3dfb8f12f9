/*
 * LISTEN: a fiber at home with one connection, made when the first listener comes and made again
 * whenever it breaks. It stands beside the pools: it is never given back, and a pool of one would
 * have none left for writing.
 */
#pragma once

#include <stdatomic.h>

#include "db/listen.h"
#include "db/postgres/pg_config.h"
#include "db/postgres/pg_home.h"

struct bh_pg_link;

struct bh_pg_listen {
    const struct bh_db *db;
    const struct bh_pg_config *config;
    struct bh_loop *loop; /* the home's; NULL: not started */
    struct bh_task poke;
    atomic_bool is_poked; /* the task is on its way */
    atomic_bool is_ending;

    /* At home. */
    struct bh_fiber *fiber;
    struct bh_pg_link *link; /* NULL: none */
    bool is_wanted;          /* somebody has listened */
    bool is_told;            /* the log knows that it broke */
};

int bh_pg_listen_start(struct bh_pg_listen *listen, const struct bh_db *db,
                       const struct bh_pg_config *config,
                       const struct bh_pg_home *home) BH_MUST_CHECK;
/* The fiber ends soon; the home's end waits for it. One that was not started is fine. */
void bh_pg_listen_stop(struct bh_pg_listen *listen);

/* There is a channel to listen on. Any thread. */
void bh_pg_listen_poke(struct bh_pg_listen *listen);
