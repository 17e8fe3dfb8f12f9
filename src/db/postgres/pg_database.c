/* Opening a database: its connections' parameters, threads and pools, in that order. */
#include "db/postgres/pg_database.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/line.h"
#include "db/postgres/pg_room.h"

#define DATABASE_MAGIC 0x50474442u

#define READ_CONNECTIONS 50
#define READ_CONNECTIONS_MIN 5
#define WRITE_CONNECTIONS 10
#define WRITE_CONNECTIONS_MIN 2
#define CONNECTIONS_MAX 1000
#define RESERVE_FROM 4
#define CONNECTOR_THREADS 4
#define CANCELER_THREADS 2
#define WORKER_QUEUE_MAX 4096

struct bh_pg_database *bh_pg_database_of(struct bh_db *const db)
{
    struct bh_pg_database *const database = BH_CONTAINER_OF(db, struct bh_pg_database, base);
    bh_magic_check(database, DATABASE_MAGIC);
    return database;
}

void bh_pg_database_close(struct bh_db *const db)
{
    struct bh_pg_database *const database = bh_pg_database_of(db);
    bh_pg_listen_stop(&database->listen);
    bh_pg_replica_stop(&database->replica);
    bh_pg_home_stop(&database->home);
    for (int lane = 0; lane < BH_PG_POOLS; lane++)
        bh_pool_destroy(database->shards.pools[lane]);
    if (database->has_shards)
        bh_pg_shards_fini(&database->shards);
    bh_worker_pool_destroy(database->configs[BH_DB_READ].connectors);
    bh_worker_pool_destroy(database->configs[BH_DB_READ].cancelers);
    for (int lane = 0; lane < BH_PG_POOLS; lane++)
        bh_pg_config_fini(&database->configs[lane]);
    bh_pg_host_fini(&database->primary_host);
    bh_pg_host_fini(&database->replica_host);
    free(database->versions);
    database->magic = 0;
    free(database);
}

static unsigned least(const unsigned a, const unsigned b)
{
    return a < b ? a : b;
}

static void set_default(unsigned *const value, const unsigned default_value)
{
    if (*value == 0)
        *value = default_value;
}

static void set_default_us(uint64_t *const value_us, const uint64_t default_us)
{
    if (*value_us == 0)
        *value_us = default_us;
}

static void set_defaults(struct bh_postgres_options *const options)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    set_default(&options->loops, cores > 0 ? (unsigned)cores : 1);
    set_default(&options->read_maximum, READ_CONNECTIONS);
    set_default(&options->read_minimum, least(READ_CONNECTIONS_MIN, options->read_maximum));
    set_default(&options->write_maximum, WRITE_CONNECTIONS);
    set_default(&options->write_minimum, least(WRITE_CONNECTIONS_MIN, options->write_maximum));
    set_default_us(&options->connect_timeout_us, 10 * BH_SECOND_US);
    set_default_us(&options->statement_timeout_us, 30 * BH_SECOND_US);
    set_default_us(&options->lifetime_us, 3600 * BH_SECOND_US);
    set_default_us(&options->idle_timeout_us, 600 * BH_SECOND_US);
}

static int start_workers(struct bh_pg_database *const database, struct bh_error *const reterr)
{
    struct bh_worker_pool *connectors = NULL, *cancelers = NULL;
    database->versions = calloc(database->options.statement_count + 1, sizeof(*database->versions));
    int code = bh_worker_pool_create("pg-connect", CONNECTOR_THREADS, WORKER_QUEUE_MAX,
                                     &connectors);
    if (!code)
        code = bh_worker_pool_create("pg-cancel", CANCELER_THREADS, WORKER_QUEUE_MAX, &cancelers);
    for (int which = 0; which < BH_PG_POOLS; which++) {
        struct bh_pg_config *const config = &database->configs[which];
        config->connectors = connectors;
        config->cancelers = cancelers;
        config->host = which == BH_PG_REPLICA ? &database->replica_host : &database->primary_host;
        config->versions = database->versions;
    }
    if (!code && !database->versions)
        code = BH_ENOMEM;
    if (!code)
        code = bh_pg_home_start(&database->home);
    return code ? bh_error_set(reterr, code, "no threads for the database's connections") : 0;
}

/* The primary's reads and writes; a replica's reads go there while it is down. */
static void read_host(void *const gate, const bool is_down)
{
    const struct bh_db_gate *const to = gate;
    to->host(to->argument, BH_DB_READ, is_down);
}

static void write_host(void *const gate, const bool is_down)
{
    const struct bh_db_gate *const to = gate;
    to->host(to->argument, BH_DB_WRITE, is_down);
}

/* One for what is urgent, where enough is left for everybody else. */
static unsigned reserve_of(const unsigned minimum, const unsigned limit)
{
    return limit >= RESERVE_FROM && minimum < limit ? 1 : 0;
}

static int make_pool(struct bh_pg_database *const database, const enum bh_pg_pool which,
                     struct bh_error *const reterr)
{
    static const char *const names[] = { "read", "write", "replica" };
    const struct bh_postgres_options *const options = &database->postgres;
    const bool is_write = which == BH_PG_WRITE;
    struct bh_pool_options pool;
    bh_pool_options_default(&pool);
    pool.name = names[which];
    pool.shard_count = options->loops + 1; /* and the home loop */
    pool.minimum = is_write ? options->write_minimum : options->read_minimum;
    pool.maximum = is_write ? options->write_maximum : options->read_maximum;
    if (which == BH_PG_READ && options->read_url)
        pool.minimum = 1; /* the replica serves reads as a rule */
    pool.tenant_percent = BH_LINE_TENANT_PERCENT;
    pool.waiters_maximum = database->options.waiters_maximum;
    pool.class_count = (unsigned)database->options.statement_count + 1;
    pool.shared_timeout_us = options->statement_timeout_us + BH_PG_GRACE_US;
    pool.acquire_timeout_us = database->options.acquire_timeout_us;
    pool.connect_timeout_us = options->connect_timeout_us;
    if (which != BH_PG_REPLICA)
        pool.host_count = bh_pg_config_addresses(&database->configs[which]);
    pool.overflow = is_write ? 0 : options->overflow;
    pool.lifetime_us = options->lifetime_us;
    pool.idle_timeout_us = options->idle_timeout_us;
    pool.leak_us = database->options.leak_us ? database->options.leak_us : BH_DB_LEAK_US;
    pool.reserve = reserve_of(pool.minimum, pool.maximum + pool.overflow);
    if (options->no_ping)
        pool.ping_after_us = BH_NEVER_US;
    if (database->options.gate && which != BH_PG_REPLICA) {
        pool.on_host = is_write ? write_host : read_host;
        pool.on_host_argument = (void *)(uintptr_t)database->options.gate;
    }
    const int code = bh_pool_create(&pool, &database->shards.pools[which], reterr);
    if (!code && which != BH_PG_REPLICA)
        database->primary_host.pools[which] = database->shards.pools[which];
    else if (!code)
        database->replica_host.pools[0] = database->shards.pools[which];
    return code;
}

/* In a fiber at home: one connection of each lane, or the reason why there is none. */
struct check {
    struct bh_pg_database *database;
    struct bh_error *reterr;
    unsigned room; /* for connections on the server; 0: not known */
    int code;
};

static int connect_on_worker(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct check *const check = argument;
    PGconn *pg = NULL;
    const struct bh_pg_config *const configs = check->database->configs;
    int code = 0;
    for (int lane = 0; !code && lane < 2; lane++) {
        const struct bh_pg_patience patience = { bh_pg_config_until_us(&configs[lane]), NULL };
        code = bh_pg_config_connect(&configs[lane], &patience, &pg, check->reterr);
        if (code)
            break;
        if (lane == BH_DB_WRITE)
            check->room = bh_pg_room_ask(pg, &patience);
        PQfinish(pg);
    }
    return code;
}

static void check_in_fiber(void *const argument)
{
    struct check *const check = argument;
    check->code = bh_worker_run_uncancelable(check->database->configs[0].connectors,
                                             connect_on_worker, check);
}

static int check_server(struct bh_pg_database *const database, struct bh_error *const reterr)
{
    struct bh_error error = { 0 };
    struct check check = { .database = database, .reterr = &error };
    int code = bh_pg_home_run(&database->home, check_in_fiber, &check);
    if (code)
        return bh_error_set(reterr, code, "no fiber to connect in");
    atomic_store(&database->primary_host.has_moved, false); /* from nowhere */
    database->room = check.room;
    if (!check.code) {
        bh_pg_room_compare(check.room, &database->postgres, database->configs[BH_DB_WRITE].where);
        return 0;
    }
    code = bh_error_set(reterr, check.code, "PostgreSQL at %s: %s%s",
                        database->configs[BH_DB_WRITE].where, error.message,
                        check.code == BH_EUNAVAILABLE
                            ? "; start the server, or correct host and port in DATABASE_URL"
                            : "");
    if (reterr)
        memcpy(reterr->sqlstate, error.sqlstate, sizeof(error.sqlstate));
    return code;
}

static int make_configs(struct bh_pg_database *const database, struct bh_error *const reterr)
{
    const char *const urls[BH_PG_POOLS] = { [BH_PG_READ] = database->options.url,
                                            [BH_PG_WRITE] = database->options.url,
                                            [BH_PG_REPLICA] = database->postgres.read_url };
    /* A read that another host answered might miss what was just written. */
    static const char *const sessions[BH_PG_POOLS] = {
        [BH_PG_READ] = "primary", [BH_PG_WRITE] = "read-write"
    };
    int code = 0;
    for (int which = 0; !code && which < BH_PG_POOLS && urls[which]; which++) {
        const enum bh_db_lane lane = which == BH_PG_WRITE ? BH_DB_WRITE : BH_DB_READ;
        code = bh_pg_config_init(&database->configs[which], lane, sessions[which], urls[which],
                                 &database->options, reterr);
        database->shards.configs[which] = &database->configs[which];
    }
    database->configs[BH_PG_REPLICA].is_one_at_a_time = true;
    return code;
}

static int start_fibers(struct bh_pg_database *const database, struct bh_error *const reterr)
{
    int code = bh_pg_listen_start(&database->listen, &database->base,
                                  &database->configs[BH_PG_WRITE], &database->home);
    if (!code && database->postgres.read_url)
        code = bh_pg_replica_start(&database->replica, &database->shards, &database->home);
    return code ? bh_error_set(reterr, code, "no fibers for the database") : 0;
}

static int start(struct bh_pg_database *const database, struct bh_error *const reterr)
{
    int code = make_configs(database, reterr);
    if (code)
        return code;
    bh_pg_shards_init(&database->shards);
    database->has_shards = true;
    code = start_workers(database, reterr);
    if (!code)
        code = check_server(database, reterr);
    const bool has_replica = database->postgres.read_url != NULL;
    for (int which = 0; !code && which < BH_PG_POOLS - !has_replica; which++)
        code = make_pool(database, (enum bh_pg_pool)which, reterr);
    return code ? code : start_fibers(database, reterr);
}

static int check_options(const struct bh_postgres_options *const options,
                         struct bh_error *const reterr)
{
    const unsigned minimums[] = { options->read_minimum, options->write_minimum };
    const unsigned maximums[] = { options->read_maximum, options->write_maximum };
    for (int lane = 0; lane < 2; lane++) {
        if (maximums[lane] > CONNECTIONS_MAX || minimums[lane] > maximums[lane])
            return bh_error_set(reterr, BH_EINVAL,
                                "%u to %u %s connections: give a minimum that is not above the "
                                "maximum, and %d at most",
                                minimums[lane], maximums[lane], lane ? "write" : "read",
                                CONNECTIONS_MAX);
    }
    return 0;
}

int bh_pg_database_open(const char *const location, const struct bh_db_options *const options,
                        struct bh_db **const ret_db, struct bh_error *const reterr)
{
    (void)location; /* libpq reads the whole URL */
    struct bh_postgres_options postgres = { 0 };
    if (options->postgres)
        postgres = *options->postgres;
    if (postgres.read_url && postgres.read_url[0] == '\0')
        postgres.read_url = NULL;
    set_defaults(&postgres);
    int code = check_options(&postgres, reterr);
    if (code)
        return code;
    struct bh_pg_database *const database = calloc(1, sizeof(*database));
    if (!database)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to open the database");
    database->base.driver = &bh_postgres_driver;
    database->magic = DATABASE_MAGIC;
    database->options = *options;
    database->postgres = postgres;
    database->options.postgres = &database->postgres;
    bh_pg_host_init(&database->primary_host);
    bh_pg_host_init(&database->replica_host);
    code = start(database, reterr);
    if (code) {
        bh_pg_database_close(&database->base);
        return code;
    }
    bh_log_info("db", "Database pool: Read: %u-%u, Write: %u-%u, timeout=%gs (postgresql: %s%s%s)",
                postgres.read_minimum, postgres.read_maximum, postgres.write_minimum,
                postgres.write_maximum, (double)options->acquire_timeout_us / 1e6,
                database->configs[BH_PG_WRITE].where, postgres.read_url ? ", replica: " : "",
                postgres.read_url ? database->configs[BH_PG_REPLICA].where : "");
    *ret_db = &database->base;
    return 0;
}

static void add_statistics(struct bh_pool *const pool, struct bh_db_statistics *const sum)
{
    struct bh_pool_stats stats;
    bh_pool_stats(pool, &stats);
    sum->size += stats.maximum;
    sum->total += stats.total;
    sum->in_use += stats.busy + stats.shared;
    sum->overflow += stats.total > stats.maximum ? stats.total - stats.maximum : 0;
    sum->waiting += stats.waiting;
    sum->is_down |= stats.down;
    sum->is_paused |= stats.paused;
    sum->granted += stats.granted;
    sum->waited += stats.waited;
    sum->timed_out += stats.timed_out;
    sum->refused += stats.shed + stats.unavailable;
    sum->connected += stats.connected;
}

void bh_pg_database_statistics(struct bh_db *const db, const enum bh_db_lane lane,
                               struct bh_db_statistics *const ret_statistics)
{
    const struct bh_pg_database *const database = bh_pg_database_of(db);
    *ret_statistics = (struct bh_db_statistics){
        .wanted = bh_pg_room_wanted(&database->postgres),
        .room = database->room,
    };
    add_statistics(database->shards.pools[lane], ret_statistics);
    if (lane != BH_DB_READ || !database->postgres.read_url)
        return;
    const bool is_down = ret_statistics->is_down; /* the primary's: it serves when the replica is */
    add_statistics(database->shards.pools[BH_PG_REPLICA], ret_statistics);
    ret_statistics->is_down = is_down;
}

static void control(struct bh_pool *const pool, const enum bh_db_action action)
{
    if (action == BH_DB_PAUSE)
        bh_pool_pause(pool);
    else if (action == BH_DB_RESUME)
        bh_pool_resume(pool);
    else
        bh_pool_evict(pool);
}

void bh_pg_database_control(struct bh_db *const db, const enum bh_db_lane lane,
                            const enum bh_db_action action)
{
    const struct bh_pg_database *const database = bh_pg_database_of(db);
    control(database->shards.pools[lane], action);
    if (lane == BH_DB_READ && database->postgres.read_url)
        control(database->shards.pools[BH_PG_REPLICA], action);
}

int bh_pg_database_resize(struct bh_db *const db, const enum bh_db_lane lane,
                          const unsigned minimum, const unsigned maximum,
                          struct bh_error *const reterr)
{
    const struct bh_pg_database *const database = bh_pg_database_of(db);
    const unsigned overflow = lane == BH_DB_WRITE ? 0 : database->postgres.overflow;
    const bool has_replica = lane == BH_DB_READ && database->postgres.read_url;
    if (has_replica) {
        const int result = bh_pool_resize(database->shards.pools[BH_PG_REPLICA], minimum, maximum,
                                          overflow, reterr);
        if (result)
            return result;
    }
    return bh_pool_resize(database->shards.pools[lane], has_replica ? 1 : minimum, maximum,
                          overflow, reterr);
}
