/*
 * How connections of one pool are made: the URL's parameters with ours, opening and cancelling.
 *
 * Opening blocks: libpq resolves names, and hashes passwords for milliseconds, inside of its
 * non-blocking calls too. So both run on worker threads and never on a loop.
 */
#pragma once

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/db/postgres.h"
#include "bulkhead/loop/worker.h"
#include "db/pool/pool.h"
#include "db/postgres/pg_address.h"

#define BH_PG_HOSTS_MAX 16 /* in one URL */

/* What the pools of one URL share, so that together they do not knock too often while nobody there
 * takes them, and each knows of the others' attempts. Any thread. */
struct bh_pg_host {
    atomic_bool is_failing;              /* the last attempt was in vain */
    atomic_uint_least64_t next_knock_us; /* no attempt before this while it is failing */
    /* Of several: the one that was connected to last, and is asked first; where one is used at a
     * time, it rises with each change. */
    atomic_uint turn;
    atomic_bool has_moved; /* connected to another one than before; cleared by whoever evicts */
    /* By place in the URL: was silent, and is passed by until then while another one is not. */
    atomic_uint_least64_t silent_until_us[BH_PG_HOSTS_MAX];
    struct bh_pool *pools[2]; /* whose connections are evicted by a move; NULL: not made yet */
    atomic_uint address_counts[BH_PG_HOSTS_MAX]; /* of each one's name; 0: not known yet */
    struct {
        pthread_mutex_t mutex;
        /* By place in the URL: the address of its name that was connected to last, and is asked
         * first. Empty: none yet. */
        char addresses[BH_PG_HOSTS_MAX][BH_PG_ADDRESS_SIZE];
    } shared;
};

/* A zeroed one. */
void bh_pg_host_init(struct bh_pg_host *host);
void bh_pg_host_fini(struct bh_pg_host *host);

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
    bool is_one_at_a_time; /* only the host whose turn it is; else each in turn until one will do */
    atomic_uint *versions; /* of the statements' preparations, by index; shared by the pools */
};

/* A server that is silent for so much longer than its own time-out is as good as gone. */
#define BH_PG_GRACE_US (2 * BH_SECOND_US)

/* How long an attempt to connect may take. */
struct bh_pg_patience {
    uint64_t until_us;              /* for all hosts together; each has an equal part */
    const atomic_bool *is_given_up; /* ends it soon once set; NULL: nobody does */
};

/* Reads the URL and adds what this runtime wants. `session`: target_session_attrs, whatever the URL
 * says; NULL: what that says, else a standby where there is one. BH_EINVAL: the URL is malformed;
 * the message shows nothing of it that could be a secret. */
int bh_pg_config_init(struct bh_pg_config *config, enum bh_db_lane lane, const char *session,
                      const char *url, const struct bh_db_options *options,
                      struct bh_error *reterr) BH_MUST_CHECK;
void bh_pg_config_fini(struct bh_pg_config *config);

/* When an attempt that begins now ends: the connect time-out for each host. */
uint64_t bh_pg_config_until_us(const struct bh_pg_config *config);

/* The addresses of all hosts together, as far as they are known. */
unsigned bh_pg_config_addresses(const struct bh_pg_config *config);

/* Makes one connection, non-blocking and in pipeline mode. Of several hosts, and of the addresses
 * of each one's name, each is asked until one will do; a host that does not answer in its time is
 * passed by for a while. Blocks, for longer than `patience` only while a name is resolved. Worker
 * thread. */
int bh_pg_config_connect(const struct bh_pg_config *config, const struct bh_pg_patience *patience,
                         PGconn **ret_connection, struct bh_error *reterr) BH_MUST_CHECK;
