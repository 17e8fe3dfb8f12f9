/*
 * How connections of one pool are made: the URL's parameters with ours, opening and cancelling.
 *
 * Opening blocks: libpq resolves names, and hashes passwords for milliseconds, inside of its
 * non-blocking calls too. So both run on worker threads and never on a loop.
 */
#pragma once

#include <libpq-fe.h>
#include <stdatomic.h>

#include "bulkhead/db/postgres.h"
#include "bulkhead/loop/worker.h"

/* What the pools of one host share, so that together they do not knock too often while it is down.
 * Any thread. */
struct bh_pg_host {
    atomic_bool is_failing;              /* the last attempt was in vain */
    atomic_uint_least64_t next_knock_us; /* no attempt before this while it is failing */
    atomic_uint turn; /* of several that are used one at a time: rises with each change */
};

/* While it is down each attempt takes a place in time; those who want to connect come in turns.
 * Fiber. */
void bh_pg_host_wait_for_turn(struct bh_pg_host *host);

struct bh_pg_config {
    enum bh_db_lane lane;
    char **keywords; /* for PQconnectdbParams; NULL behind the last */
    char **values;
    size_t parameter_count;
    char where[160];                     /* "localhost:5432/library": never a password */
    const struct bh_db_options *options; /* copied by the driver; lives as long */
    struct bh_worker_pool *connectors, *cancelers;
    struct bh_pg_host *host;
    unsigned host_count;   /* in the URL */
    bool is_one_at_a_time; /* connections go to the host whose turn it is; else libpq chooses */
    atomic_uint *versions; /* of the statements' preparations, by index; shared by the pools */
};

/* Reads the URL and adds what this runtime wants. `session`: target_session_attrs, where the URL
 * has none that suits the lane. BH_EINVAL: the URL is malformed; the message shows nothing of it
 * that could be a secret. */
int bh_pg_config_init(struct bh_pg_config *config, enum bh_db_lane lane, const char *session,
                      const char *url, const struct bh_db_options *options,
                      struct bh_error *reterr) BH_MUST_CHECK;
void bh_pg_config_fini(struct bh_pg_config *config);

/* Makes one connection, non-blocking and in pipeline mode. Blocks for the connect time-out at most
 * (for each of several hosts). Worker thread. */
int bh_pg_config_connect(const struct bh_pg_config *config, PGconn **ret_connection,
                         struct bh_error *reterr) BH_MUST_CHECK;
