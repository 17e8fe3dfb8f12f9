/*
 * The PostgreSQL driver: two pools, READ and WRITE, a shard of each on every loop that makes calls.
 * A call from a thread without a loop runs as a fiber on the driver's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/postgres.h"
#include "db/db_metrics.h"
#include "db/driver.h"
#include "db/postgres/pg_call.h"
#include "db/postgres/pg_home.h"
#include "db/postgres/pg_plain.h"
#include "db/postgres/pg_shard.h"

#define DATABASE_MAGIC 0x50474442u
#define TRANSACTION_MAGIC 0x50475452u

#define READ_CONNECTIONS 50
#define READ_CONNECTIONS_MIN 5
#define WRITE_CONNECTIONS 10
#define WRITE_CONNECTIONS_MIN 2
#define CONNECTIONS_MAX 1000
#define CONNECTOR_THREADS 4
#define CANCELER_THREADS 2
#define WORKER_QUEUE_MAX 4096
#define MIGRATION_LOCK "7810171201" /* pg_advisory_xact_lock: all programs of this runtime */

struct database {
    struct bh_db base;
    BH_MAGIC_FIELD;
    struct bh_db_options options;
    struct bh_postgres_options postgres;
    struct bh_pg_host host;
    atomic_uint *versions;
    struct bh_pg_config configs[2]; /* by enum bh_db_lane */
    struct bh_pg_shards shards;
    struct bh_pg_home home;
    bool has_shards;
};

struct transaction {
    struct bh_db_transaction base;
    BH_MAGIC_FIELD;
    struct database *database;
    struct bh_pool_lease lease;
    struct bh_pg_connection *connection;
    enum bh_db_lane lane;
    char budget[64]; /* the text that limits its statements, or empty */
    bool is_begun;   /* in the database too: with the first statement */
    bool is_running; /* a statement nobody waits for */
    int failed;      /* 0, or the code of the error after which only rollback is left */
};

#define STATEMENT(statement_name, text)                                   \
    {                                                                     \
        .name = (statement_name), .postgres = (text), .index = UINT32_MAX \
    }

static const char *const begin_texts[2] = {
    [BH_DB_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    [BH_DB_WRITE] = "BEGIN",
};
static const struct bh_statement commit_statement = STATEMENT("commit", "COMMIT");
static const struct bh_statement no_timeout = STATEMENT("migration_lock",
                                                        "SET LOCAL statement_timeout = 0");
static const struct bh_statement migration_lock = STATEMENT(
    "migration_lock", "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")");

static struct database *database_of(struct bh_db *const db)
{
    struct database *const database = BH_CONTAINER_OF(db, struct database, base);
    bh_magic_check(database, DATABASE_MAGIC);
    return database;
}

static struct transaction *transaction_of(struct bh_db_transaction *const base)
{
    struct transaction *const transaction = BH_CONTAINER_OF(base, struct transaction, base);
    bh_magic_check(transaction, TRANSACTION_MAGIC);
    return transaction;
}

/* ---- Life ---- */

static void database_close(struct bh_db *const db)
{
    struct database *const database = database_of(db);
    bh_pg_home_stop(&database->home);
    for (int lane = 0; lane < 2; lane++)
        bh_pool_destroy(database->shards.pools[lane]);
    if (database->has_shards)
        bh_pg_shards_fini(&database->shards);
    bh_worker_pool_destroy(database->configs[BH_DB_READ].connectors);
    bh_worker_pool_destroy(database->configs[BH_DB_READ].cancelers);
    for (int lane = 0; lane < 2; lane++)
        bh_pg_config_fini(&database->configs[lane]);
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
    set_default_us(&options->leak_us, 60 * BH_SECOND_US);
}

static int start_workers(struct database *const database, struct bh_error *const reterr)
{
    struct bh_worker_pool *connectors = NULL, *cancelers = NULL;
    database->versions = calloc(database->options.statement_count + 1, sizeof(*database->versions));
    int code = bh_worker_pool_create("pg-connect", CONNECTOR_THREADS, WORKER_QUEUE_MAX,
                                     &connectors);
    if (!code)
        code = bh_worker_pool_create("pg-cancel", CANCELER_THREADS, WORKER_QUEUE_MAX, &cancelers);
    for (int lane = 0; lane < 2; lane++) {
        database->configs[lane].connectors = connectors;
        database->configs[lane].cancelers = cancelers;
        database->configs[lane].host = &database->host;
        database->configs[lane].versions = database->versions;
    }
    if (!code && !database->versions)
        code = BH_ENOMEM;
    if (!code)
        code = bh_pg_home_start(&database->home);
    return code ? bh_error_set(reterr, code, "no threads for the database's connections") : 0;
}

static int make_pool(struct database *const database, const enum bh_db_lane lane,
                     struct bh_error *const reterr)
{
    const struct bh_postgres_options *const options = &database->postgres;
    const bool is_read = lane == BH_DB_READ;
    struct bh_pool_options pool;
    bh_pool_options_default(&pool);
    pool.name = is_read ? "read" : "write";
    pool.shard_count = options->loops + 1; /* and the home loop */
    pool.minimum = is_read ? options->read_minimum : options->write_minimum;
    pool.maximum = is_read ? options->read_maximum : options->write_maximum;
    pool.waiters_maximum = database->options.waiters_maximum;
    pool.class_count = (unsigned)database->options.statement_count + 1;
    pool.acquire_timeout_us = database->options.acquire_timeout_us;
    pool.connect_timeout_us = options->connect_timeout_us;
    pool.overflow = is_read ? options->overflow : 0;
    pool.lifetime_us = options->lifetime_us;
    pool.idle_timeout_us = options->idle_timeout_us;
    pool.leak_us = options->leak_us;
    if (options->no_ping)
        pool.ping_after_us = BH_NEVER_US;
    return bh_pool_create(&pool, &database->shards.pools[lane], reterr);
}

/* In a fiber at home: one connection of each lane, or the reason why there is none. */
struct check {
    struct database *database;
    struct bh_error *reterr;
    int code;
};

static int connect_on_worker(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    const struct check *const check = argument;
    PGconn *pg = NULL;
    const struct bh_pg_config *const configs = check->database->configs;
    int code = 0;
    for (int lane = 0; !code && lane < 2; lane++) {
        code = bh_pg_config_connect(&configs[lane], &pg, check->reterr);
        if (!code)
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

static int check_server(struct database *const database, struct bh_error *const reterr)
{
    struct bh_error error = { 0 };
    struct check check = { .database = database, .reterr = &error };
    int code = bh_pg_home_run(&database->home, check_in_fiber, &check);
    if (code)
        return bh_error_set(reterr, code, "no fiber to connect in");
    if (!check.code)
        return 0;
    code = bh_error_set(reterr, check.code, "PostgreSQL at %s: %s%s",
                        database->configs[BH_DB_WRITE].where, error.message,
                        check.code == BH_EUNAVAILABLE
                            ? "; start the server, or correct host and port in DATABASE_URL"
                            : "");
    if (reterr)
        memcpy(reterr->sqlstate, error.sqlstate, sizeof(error.sqlstate));
    return code;
}

static int start(struct database *const database, const char *const url,
                 struct bh_error *const reterr)
{
    int code = 0;
    for (int lane = 0; !code && lane < 2; lane++) {
        code = bh_pg_config_init(&database->configs[lane], (enum bh_db_lane)lane, url,
                                 &database->options, reterr);
        database->shards.configs[lane] = &database->configs[lane];
    }
    if (code)
        return code;
    bh_pg_shards_init(&database->shards);
    database->has_shards = true;
    code = start_workers(database, reterr);
    if (!code)
        code = check_server(database, reterr);
    for (int lane = 0; !code && lane < 2; lane++)
        code = make_pool(database, (enum bh_db_lane)lane, reterr);
    return code;
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

static int database_open(const char *const location, const struct bh_db_options *const options,
                         struct bh_db **const ret_db, struct bh_error *const reterr)
{
    (void)location; /* libpq reads the whole URL */
    struct bh_postgres_options postgres = { 0 };
    if (options->postgres)
        postgres = *options->postgres;
    set_defaults(&postgres);
    int code = check_options(&postgres, reterr);
    if (code)
        return code;
    struct database *const database = calloc(1, sizeof(*database));
    if (!database)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to open the database");
    database->base.driver = &bh_postgres_driver;
    database->magic = DATABASE_MAGIC;
    database->options = *options;
    database->postgres = postgres;
    database->options.postgres = &database->postgres;
    code = start(database, options->url, reterr);
    if (code) {
        database_close(&database->base);
        return code;
    }
    bh_log_info("db", "Database pool: Read: %u-%u, Write: %u-%u, timeout=%gs (postgresql: %s)",
                postgres.read_minimum, postgres.read_maximum, postgres.write_minimum,
                postgres.write_maximum, (double)options->acquire_timeout_us / 1e6,
                database->configs[BH_DB_WRITE].where);
    *ret_db = &database->base;
    return 0;
}

static void database_statistics(struct bh_db *const db, const enum bh_db_lane lane,
                                struct bh_db_statistics *const ret_statistics)
{
    struct bh_pool_stats stats;
    bh_pool_stats(database_of(db)->shards.pools[lane], &stats);
    *ret_statistics = (struct bh_db_statistics){
        .size = stats.maximum,
        .total = stats.total,
        .in_use = stats.busy + stats.shared,
        .overflow = stats.total > stats.maximum ? stats.total - stats.maximum : 0,
        .waiting = stats.waiting,
        .is_down = stats.down,
        .granted = stats.granted,
        .waited = stats.waited,
        .timed_out = stats.timed_out,
        .refused = stats.shed + stats.unavailable,
        .connected = stats.connected,
    };
}

/* ---- Single statements ---- */

/* Every failed call is counted where it ends. */
static int counted(const int code)
{
    if (code)
        bh_db_metrics_error(code);
    return code;
}

static unsigned class_of(const struct database *const database,
                         const struct bh_statement *const statement)
{
    const size_t count = database->options.statement_count;
    return statement->index < count ? statement->index : (unsigned)count;
}

struct query {
    struct database *database;
    enum bh_db_lane lane;
    struct bh_pg_call call;
    struct bh_error *reterr;
    int code;
};

static void query_in_fiber(void *const argument)
{
    struct query *const query = argument;
    struct bh_pool_loop *pool;
    query->code = bh_pg_shards_pool(&query->database->shards, query->lane, &pool, query->reterr);
    if (!query->code)
        query->code = bh_pg_call_alone(pool, class_of(query->database, query->call.statement),
                                       &query->call, query->reterr);
}

static int no_fiber(const int code, struct bh_error *const reterr)
{
    return bh_error_set(reterr, code, "no fiber for the call: too many run");
}

static void give_rows(const struct bh_pg_call *const call, struct bh_db_rows *const ret_rows)
{
    call->span->rows = call->rows.row_count > 0 ? call->rows.row_count : (uint64_t)call->changes;
    if (ret_rows)
        *ret_rows = (struct bh_db_rows){ .row_count = call->rows.row_count,
                                         .column_count = call->rows.column_count,
                                         .changes = call->changes,
                                         .values = call->rows.values };
}

static int database_query(struct bh_db *const db, const enum bh_db_lane lane,
                          const struct bh_statement *const statement,
                          const struct bh_db_value *const parameters, const size_t parameter_count,
                          struct bh_arena *const arena, struct bh_db_rows *const ret_rows,
                          struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct query query = { .database = database_of(db), .lane = lane, .reterr = reterr };
    bh_pg_call_init(&query.call, statement, parameters, parameter_count, ret_rows ? arena : NULL,
                    span);
    const int code = bh_pg_home_run(&query.database->home, query_in_fiber, &query);
    if (code)
        return no_fiber(code, reterr);
    if (!query.code)
        give_rows(&query.call, ret_rows);
    return counted(query.code);
}

/* ---- Transactions ---- */

struct beginning {
    struct transaction *transaction;
    enum bh_db_lane lane;
    struct bh_trace_span *span;
    struct bh_error *reterr;
    int code;
};

static void give_back(struct transaction *const transaction)
{
    enum bh_pool_outcome outcome = transaction->is_begun ? BH_POOL_DIRTY : BH_POOL_CLEAN;
    if (transaction->is_running)
        outcome = BH_POOL_RUNNING;
    if (transaction->connection->state != BH_PG_OPEN)
        outcome = BH_POOL_BROKEN;
    bh_pool_return(&transaction->lease, outcome);
}

/* What is left until the fiber's deadline, where that is less than any statement may take. */
static void set_budget(struct transaction *const transaction)
{
    const uint64_t deadline_us = bh_fiber_deadline(), now_us = bh_time_now_us();
    const uint64_t left_us = deadline_us > now_us ? deadline_us - now_us : 0;
    if (left_us < transaction->database->postgres.statement_timeout_us)
        snprintf(transaction->budget, sizeof(transaction->budget),
                 "SET LOCAL statement_timeout = %llu",
                 (unsigned long long)(left_us / BH_MS_US + 1));
}

static void begin_in_fiber(void *const argument)
{
    struct beginning *const beginning = argument;
    struct transaction *const transaction = beginning->transaction;
    struct bh_pool_loop *pool;
    int code = bh_pg_shards_pool(&transaction->database->shards, beginning->lane, &pool,
                                 beginning->reterr);
    transaction->lease = (struct bh_pool_lease){ .lane = BH_POOL_LANE_EXCLUSIVE,
                                                 .priority = BH_POOL_NORMAL,
                                                 .deadline_us = bh_fiber_deadline() };
    if (!code)
        code = bh_pool_acquire(pool, &transaction->lease, beginning->reterr);
    beginning->code = code;
    if (code)
        return;
    beginning->span->granted_us = bh_time_now_us();
    transaction->connection = bh_pg_connection_of(&transaction->lease);
    transaction->lane = beginning->lane;
    set_budget(transaction);
}

static int database_begin(struct bh_db *const db, const enum bh_db_lane lane,
                          struct bh_db_transaction **const ret_transaction,
                          struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct transaction *const transaction = calloc(1, sizeof(*transaction));
    if (!transaction)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a transaction");
    transaction->base.driver = &bh_postgres_driver;
    transaction->magic = TRANSACTION_MAGIC;
    transaction->database = database_of(db);
    struct beginning beginning = {
        .transaction = transaction, .lane = lane, .span = span, .reterr = reterr
    };
    int code = bh_pg_home_run(&transaction->database->home, begin_in_fiber, &beginning);
    if (code)
        no_fiber(code, reterr);
    else
        code = beginning.code;
    if (code) {
        free(transaction);
        return counted(code);
    }
    *ret_transaction = &transaction->base;
    return 0;
}

static void transaction_free(struct transaction *const transaction)
{
    transaction->magic = 0;
    free(transaction);
}

/* The pool resets the connection within its time limit; nobody has to wait for that. */
static void rollback_in_fiber(void *const argument)
{
    give_back(argument);
}

static void transaction_rollback(struct bh_db_transaction *const base,
                                 struct bh_trace_span *const span)
{
    (void)span; /* nobody waits */
    struct transaction *const transaction = transaction_of(base);
    const int code = bh_pg_home_run(&transaction->database->home, rollback_in_fiber, transaction);
    bh_assert(code == 0);
    transaction_free(transaction);
}

static int failed_before(const struct transaction *const transaction, struct bh_error *const reterr)
{
    return bh_error_set(reterr, transaction->failed,
                        "the transaction has failed before (%s): nothing of it is kept",
                        bh_error_text(transaction->failed));
}

struct held {
    struct transaction *transaction;
    struct bh_pg_call call;
    const struct bh_migration *migration; /* a script instead of a statement */
    struct bh_error *reterr;
    int code;
};

static void commit_in_fiber(void *const argument)
{
    struct held *const held = argument;
    struct transaction *const transaction = held->transaction;
    if (transaction->is_begun)
        held->code = bh_pg_call_held(transaction->connection, &held->call, true,
                                     &transaction->is_running, held->reterr);
    if (!held->code)
        transaction->is_begun = false;
    give_back(transaction);
}

static int transaction_commit(struct bh_db_transaction *const base,
                              struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct transaction *const transaction = transaction_of(base);
    const struct bh_fiber *const fiber = bh_fiber_current();
    if (!transaction->failed && fiber && bh_fiber_is_canceled(fiber))
        transaction->failed = BH_ECANCELED;
    int code = transaction->failed;
    if (code) {
        failed_before(transaction, reterr);
        transaction_rollback(base, span);
        return code;
    }
    struct held held = { .transaction = transaction, .reterr = reterr };
    bh_pg_call_init(&held.call, &commit_statement, NULL, 0, NULL, span);
    code = bh_pg_home_run(&transaction->database->home, commit_in_fiber, &held);
    bh_assert(code == 0);
    transaction_free(transaction);
    return counted(held.code);
}

/* ---- Inside a transaction ---- */

/* With the first statement, in one round trip. What cannot be pipelined begins by itself. */
static void begin_with(struct held *const held)
{
    struct transaction *const transaction = held->transaction;
    const char *const texts[2] = { begin_texts[transaction->lane],
                                   transaction->budget[0] ? transaction->budget : NULL };
    transaction->is_begun = true;
    if (held->migration || bh_pg_plain_is_copy(held->call.statement))
        held->code = bh_pg_plain_run(transaction->connection, "begin", texts, 2, held->reterr);
    else
        memcpy(held->call.before, texts, sizeof(texts));
}

static void held_in_fiber(void *const argument)
{
    struct held *const held = argument;
    struct transaction *const transaction = held->transaction;
    struct bh_pg_call *const call = &held->call;
    if (!transaction->is_begun)
        begin_with(held);
    if (held->code)
        return;
    if (held->migration)
        held->code = bh_pg_plain_script(transaction->connection, held->migration->name,
                                        held->migration->postgres, held->reterr);
    else if (bh_pg_plain_is_copy(call->statement))
        held->code = bh_pg_plain_copy(transaction->connection, call->statement, call->parameters,
                                      call->parameter_count, call->row_count, &call->changes,
                                      held->reterr);
    else
        held->code = bh_pg_call_held(transaction->connection, call, false, &transaction->is_running,
                                     held->reterr);
}

static int run_held(struct held *const held)
{
    struct transaction *const transaction = held->transaction;
    if (transaction->failed)
        return failed_before(transaction, held->reterr);
    int code = bh_pg_home_run(&transaction->database->home, held_in_fiber, held);
    if (code)
        no_fiber(code, held->reterr);
    else
        code = held->code;
    if (code)
        transaction->failed = code;
    return counted(code);
}

static int transaction_query(struct bh_db_transaction *const base,
                             const struct bh_statement *const statement,
                             const struct bh_db_value *const parameters,
                             const size_t parameter_count, struct bh_arena *const arena,
                             struct bh_db_rows *const ret_rows, struct bh_trace_span *const span,
                             struct bh_error *const reterr)
{
    struct held held = { .transaction = transaction_of(base), .reterr = reterr };
    bh_pg_call_init(&held.call, statement, parameters, parameter_count, ret_rows ? arena : NULL,
                    span);
    const int code = run_held(&held);
    if (!code)
        give_rows(&held.call, ret_rows);
    return code;
}

static int transaction_many(struct bh_db_transaction *const base,
                            const struct bh_statement *const statement,
                            const struct bh_db_value *const parameters,
                            const size_t parameter_count, const size_t row_count,
                            int64_t *const ret_changes, struct bh_trace_span *const span,
                            struct bh_error *const reterr)
{
    struct held held = { .transaction = transaction_of(base), .reterr = reterr };
    bh_pg_call_init(&held.call, statement, parameters, parameter_count, NULL, span);
    held.call.row_count = row_count;
    int code = 0;
    if (row_count > 0 || held.transaction->failed)
        code = run_held(&held);
    span->rows = (uint64_t)held.call.changes;
    if (!code && ret_changes)
        *ret_changes = held.call.changes;
    return code;
}

/* ---- Texts and migrations ---- */

static const char *statement_text(const struct bh_statement *const statement)
{
    return statement->postgres;
}

static const char *migration_text(const struct bh_migration *const migration)
{
    return migration->postgres;
}

static int transaction_lock_migrations(struct bh_db_transaction *const base,
                                       struct bh_error *const reterr)
{
    struct bh_trace_span span = { 0 };
    const int code = transaction_query(base, &no_timeout, NULL, 0, NULL, NULL, &span, reterr);
    return code ? code
                : transaction_query(base, &migration_lock, NULL, 0, NULL, NULL, &span, reterr);
}

static int transaction_migrate(struct bh_db_transaction *const base,
                               const struct bh_migration *const migration,
                               struct bh_trace_span *const span, struct bh_error *const reterr)
{
    span->granted_us = bh_time_now_us();
    struct held held = { .transaction = transaction_of(base),
                         .migration = migration,
                         .reterr = reterr };
    return run_held(&held);
}

const struct bh_driver bh_postgres_driver = {
    .backend = "postgresql",
    .schemes = { "postgresql://", "postgres://" },
    .open = database_open,
    .close = database_close,
    .statistics = database_statistics,
    .query = database_query,
    .begin = database_begin,
    .commit = transaction_commit,
    .rollback = transaction_rollback,
    .transaction_query = transaction_query,
    .transaction_many = transaction_many,
    .statement_text = statement_text,
    .speaks_postgres = true,
    .migration_text = migration_text,
    .transaction_lock_migrations = transaction_lock_migrations,
    .transaction_migrate = transaction_migrate,
};
