/*
 * The SQLite driver: two lanes over one file. Each call packs its arguments into a struct on the
 * caller's stack, runs on a lane's thread and comes back when that is done.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "db/driver.h"
#include "db/line.h"
#include "db/sqlite/sqlite_connection.h"
#include "db/sqlite/sqlite_lane.h"
#include "db/sqlite/sqlite_query.h"
#include "db/sqlite/sqlite_watch.h"

#define DATABASE_MAGIC 0x53514c44u
#define TRANSACTION_MAGIC 0x53514c54u

#define READ_CONNECTIONS_MAX 64
#define TRANSACTION_IDLE_TIMEOUT_US (10 * BH_SECOND_US)

struct database {
    struct bh_db base;
    BH_MAGIC_FIELD;
    struct bh_sqlite_config config;
    struct bh_sqlite_lane *lanes[2]; /* by enum bh_db_lane */
    struct bh_sqlite_watch *watch;
};

struct transaction {
    struct bh_db_transaction base;
    BH_MAGIC_FIELD;
    struct bh_sqlite_hold hold;
    int failed; /* 0, or the code of the error after which only rollback is left */
};

static struct {
    bh_sqlite_connect_hook *hook;
    void *argument;
} connect_hook;

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

void bh_sqlite_set_connect_hook(bh_sqlite_connect_hook *const hook, void *const argument)
{
    connect_hook.hook = hook;
    connect_hook.argument = argument;
}

static int check_location(const char *const location, struct bh_error *const reterr)
{
    if (location[0] == '\0')
        return bh_error_set(reterr, BH_EINVAL,
                            "database URL \"sqlite:\" names no file; write sqlite:PATH");
    if (strcmp(location, ":memory:") == 0)
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "database URL \"sqlite::memory:\": readers and writer share one file, "
                            "which memory is not; name a file, for example in /dev/shm");
    if (strncmp(location, "//", 2) == 0)
        return bh_error_set(reterr, BH_EINVAL,
                            "database URL \"sqlite:%s\": write sqlite:PATH without \"//\" "
                            "(sqlite:library.db, sqlite:/var/lib/library.db)",
                            location);
    return 0;
}

static void database_close(struct bh_db *const db)
{
    struct database *const database = database_of(db);
    bh_sqlite_watch_destroy(database->watch);
    /* The writer last: it empties the log when no reader holds it any more. */
    bh_sqlite_lane_destroy(database->lanes[BH_DB_READ]);
    bh_sqlite_lane_destroy(database->lanes[BH_DB_WRITE]);
    free(database->config.path);
    database->magic = 0;
    free(database);
}

/* The writer first: it makes the file. Nobody is shed before it for the length of the line: it is
 * one, and its transactions take what they take. */
static int start_lanes(struct database *const database, const struct bh_db_options *const options,
                       struct bh_error *const reterr)
{
    struct bh_sqlite_lane_options lane = {
        .name = "sqlite-write",
        .writer = true,
        .threads = 1,
        .waiters_maximum = options->waiters_maximum,
        .acquire_timeout_us = options->acquire_timeout_us,
        .hold_idle_timeout_us = options->transaction_idle_timeout_us
                                    ? options->transaction_idle_timeout_us
                                    : TRANSACTION_IDLE_TIMEOUT_US,
        .leak_us = options->leak_us ? options->leak_us : BH_DB_LEAK_US,
        .config = &database->config,
    };
    const int result = bh_sqlite_lane_create(&lane, &database->lanes[BH_DB_WRITE], reterr);
    if (result)
        return result;
    lane.name = "sqlite-read";
    lane.writer = false;
    lane.threads = options->read_connections;
    lane.delay_target_us = BH_LINE_DELAY_TARGET_US;
    lane.delay_interval_us = BH_LINE_DELAY_INTERVAL_US;
    return bh_sqlite_lane_create(&lane, &database->lanes[BH_DB_READ], reterr);
}

static int database_open(const char *const location, const struct bh_db_options *const options,
                         struct bh_db **const ret_db, struct bh_error *const reterr)
{
    int result = check_location(location, reterr);
    if (result)
        return result;
    if (options->read_connections < 1 || options->read_connections > READ_CONNECTIONS_MAX)
        return bh_error_set(reterr, BH_EINVAL, "%u read connections: give 1 to %d",
                            options->read_connections, READ_CONNECTIONS_MAX);
    /* Allocation statistics would make every thread take one lock for each allocation. Refused,
     * and harmless, when SQLite is in use already. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    const unsigned reader_cache_kib = bh_sqlite_connection_reader_cache(options->read_connections);
    bh_sqlite_connection_set_block(reader_cache_kib);
    struct database *const database = calloc(1, sizeof(*database));
    char *const path = strdup(location);
    if (!database || !path) {
        free(database);
        free(path);
        return bh_error_set(reterr, BH_ENOMEM, "no memory to open the database");
    }
    *database = (struct database){
        .base = { .driver = &bh_sqlite_driver },
        .magic = DATABASE_MAGIC,
        .config = {
            .path = path,
            .statements = options->statements,
            .statement_count = options->statement_count,
            .reader_cache_kib = reader_cache_kib,
            .lock_timeout_us = options->acquire_timeout_us,
            .hook = connect_hook.hook,
            .hook_argument = connect_hook.argument,
        },
    };
    result = start_lanes(database, options, reterr);
    if (result == 0)
        result = bh_sqlite_watch_create(path, &database->watch, reterr);
    if (result) {
        database_close(&database->base);
        return result;
    }
    bh_log_info("db", "Database pool: read=%u, write=1, timeout=%gs (sqlite: %s)",
                options->read_connections, (double)options->acquire_timeout_us / 1e6, path);
    *ret_db = &database->base;
    return 0;
}

static void database_statistics(struct bh_db *const db, const enum bh_db_lane lane,
                                struct bh_db_statistics *const ret_statistics)
{
    bh_sqlite_lane_statistics(database_of(db)->lanes[lane], ret_statistics);
}

static bool database_change_mark(struct bh_db *const db, uint64_t *const ret_mark)
{
    return bh_sqlite_watch_read(database_of(db)->watch, ret_mark);
}

/* ---- Single statements ---- */

struct query {
    const struct bh_statement *statement;
    const struct bh_db_value *parameters;
    size_t parameter_count;
    struct bh_arena *arena;
    struct bh_db_rows *rows;
};

static int run_query(struct bh_sqlite_session *const session, void *const argument,
                     struct bh_error *const reterr)
{
    const struct query *const query = argument;
    return bh_sqlite_query_run(session, query->statement, query->parameters, query->parameter_count,
                               query->arena, query->rows, reterr);
}

/* In a transaction of its own even for one statement: a row that does not fit into the arena then
 * undoes the change that made it. */
static int run_write_query(struct bh_sqlite_session *const session, void *const argument,
                           struct bh_error *const reterr)
{
    int result = bh_sqlite_session_begin(session, reterr);
    if (result)
        return result;
    result = run_query(session, argument, reterr);
    if (result) {
        bh_sqlite_session_rollback(session);
        return result;
    }
    return bh_sqlite_session_commit(session, reterr);
}

/* The end of a query: its rows for the caller and for the trace. */
static int give_rows(const int result, const struct bh_db_rows *const rows,
                     struct bh_db_rows *const ret_rows, struct bh_trace_span *const span)
{
    span->rows = rows->row_count > 0 ? rows->row_count : (uint64_t)rows->changes;
    if (!result && ret_rows)
        *ret_rows = *rows;
    return result;
}

static int database_query(struct bh_db *const db, const enum bh_db_lane lane,
                          const struct bh_statement *const statement,
                          const struct bh_db_value *const parameters, const size_t parameter_count,
                          struct bh_arena *const arena, struct bh_db_rows *const ret_rows,
                          struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct bh_db_rows rows = { 0 };
    struct query query = { statement, parameters, parameter_count, ret_rows ? arena : NULL, &rows };
    const int result = bh_sqlite_lane_call(database_of(db)->lanes[lane], statement->name,
                                           lane == BH_DB_WRITE ? run_write_query : run_query,
                                           &query, NULL, span, reterr);
    return give_rows(result, &rows, ret_rows, span);
}

/* ---- Transactions ---- */

static int run_begin(struct bh_sqlite_session *const session, void *const argument,
                     struct bh_error *const reterr)
{
    (void)argument;
    return bh_sqlite_session_begin(session, reterr);
}

static int run_commit(struct bh_sqlite_session *const session, void *const argument,
                      struct bh_error *const reterr)
{
    (void)argument;
    return bh_sqlite_session_commit(session, reterr);
}

static int run_rollback(struct bh_sqlite_session *const session, void *const argument,
                        struct bh_error *const reterr)
{
    (void)argument;
    (void)reterr;
    bh_sqlite_session_rollback(session);
    return 0;
}

static int database_begin(struct bh_db *const db, const enum bh_db_lane lane,
                          struct bh_db_transaction **const ret_transaction,
                          struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct transaction *const transaction = calloc(1, sizeof(*transaction));
    if (!transaction)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a transaction");
    transaction->base.driver = &bh_sqlite_driver;
    transaction->magic = TRANSACTION_MAGIC;
    const int result = bh_sqlite_lane_call(database_of(db)->lanes[lane], "begin", run_begin, NULL,
                                           &transaction->hold, span, reterr);
    if (result) {
        free(transaction);
        return result;
    }
    *ret_transaction = &transaction->base;
    return 0;
}

static void transaction_free(struct transaction *const transaction)
{
    transaction->magic = 0;
    free(transaction);
}

static void transaction_rollback(struct bh_db_transaction *const base,
                                 struct bh_trace_span *const span)
{
    struct transaction *const transaction = transaction_of(base);
    /* Fails only if the thread was taken away, which has rolled back. */
    (void)!bh_sqlite_lane_call_held(&transaction->hold, "rollback", run_rollback, NULL, true, span,
                                    NULL);
    transaction_free(transaction);
}

static int failed_before(const struct transaction *const transaction, struct bh_error *const reterr)
{
    return bh_error_set(reterr, transaction->failed,
                        "the transaction has failed before (%s): nothing of it is kept",
                        bh_error_text(transaction->failed));
}

static int transaction_commit(struct bh_db_transaction *const base,
                              struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct transaction *const transaction = transaction_of(base);
    int result = transaction->failed;
    const struct bh_fiber *const fiber = bh_fiber_current();
    if (!result && fiber && bh_fiber_is_canceled(fiber))
        result = transaction->failed = BH_ECANCELED;
    if (result) {
        failed_before(transaction, reterr);
        transaction_rollback(base, span);
        return result;
    }
    result = bh_sqlite_lane_call_held(&transaction->hold, "commit", run_commit, NULL, true, span,
                                      reterr);
    transaction_free(transaction);
    return result;
}

/* One call inside the transaction; an error leaves only rollback. */
static int transaction_call(struct transaction *const transaction, const char *const what,
                            bh_sqlite_function *const function, void *const argument,
                            struct bh_trace_span *const span, struct bh_error *const reterr)
{
    if (transaction->failed)
        return failed_before(transaction, reterr);
    const int result = bh_sqlite_lane_call_held(&transaction->hold, what, function, argument, false,
                                                span, reterr);
    if (result)
        transaction->failed = result;
    return result;
}

static int transaction_query(struct bh_db_transaction *const base,
                             const struct bh_statement *const statement,
                             const struct bh_db_value *const parameters,
                             const size_t parameter_count, struct bh_arena *const arena,
                             struct bh_db_rows *const ret_rows, struct bh_trace_span *const span,
                             struct bh_error *const reterr)
{
    struct bh_db_rows rows = { 0 };
    struct query query = { statement, parameters, parameter_count, ret_rows ? arena : NULL, &rows };
    const int result = transaction_call(transaction_of(base), statement->name, run_query, &query,
                                        span, reterr);
    return give_rows(result, &rows, ret_rows, span);
}

struct many {
    const struct bh_statement *statement;
    const struct bh_db_value *parameters;
    size_t parameter_count, row_count;
    int64_t changes;
};

static int run_many(struct bh_sqlite_session *const session, void *const argument,
                    struct bh_error *const reterr)
{
    struct many *const many = argument;
    return bh_sqlite_query_many(session, many->statement, many->parameters, many->parameter_count,
                                many->row_count, &many->changes, reterr);
}

static int transaction_many(struct bh_db_transaction *const base,
                            const struct bh_statement *const statement,
                            const struct bh_db_value *const parameters,
                            const size_t parameter_count, const size_t row_count,
                            int64_t *const ret_changes, struct bh_trace_span *const span,
                            struct bh_error *const reterr)
{
    struct many many = { statement, parameters, parameter_count, row_count, 0 };
    const int result = transaction_call(transaction_of(base), statement->name, run_many, &many,
                                        span, reterr);
    span->rows = (uint64_t)many.changes;
    if (!result && ret_changes)
        *ret_changes = many.changes;
    return result;
}

static const char *statement_text(const struct bh_statement *const statement)
{
    return statement->sqlite;
}

static const char *migration_text(const struct bh_migration *const migration)
{
    return migration->sqlite;
}

static int run_migration(struct bh_sqlite_session *const session, void *const argument,
                         struct bh_error *const reterr)
{
    const struct bh_migration *const migration = argument;
    return bh_sqlite_query_script(session, migration->name, migration->sqlite, reterr);
}

static int transaction_migrate(struct bh_db_transaction *const base,
                               const struct bh_migration *const migration,
                               struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct bh_migration copy = *migration;
    return transaction_call(transaction_of(base), migration->name, run_migration, &copy, span,
                            reterr);
}

/* ---- What only SQLite has ---- */

int bh_sqlite_run(struct bh_db *const db, const enum bh_db_lane lane, const char *const name,
                  bh_sqlite_function *const function, void *const argument,
                  struct bh_error *const reterr)
{
    struct bh_trace_span span;
    struct bh_db_passage passage;
    bh_trace_begin(&span, name, name);
    int result = bh_db_passage_enter(&passage, db->gate, lane, &span, reterr);
    if (result == 0) {
        result = bh_sqlite_lane_call(database_of(db)->lanes[lane], name, function, argument, NULL,
                                     &span, reterr);
        bh_db_passage_note(&passage, &span, result, false);
        bh_db_passage_leave(&passage);
    }
    bh_trace_end(&span, result);
    return result;
}

void bh_sqlite_shrink(struct bh_db *const db)
{
    if (strcmp(bh_db_backend(db), bh_sqlite_driver.backend) != 0)
        return;
    bh_sqlite_lane_shrink(database_of(db)->lanes[BH_DB_READ]);
    bh_sqlite_lane_shrink(database_of(db)->lanes[BH_DB_WRITE]);
}

const struct bh_driver bh_sqlite_driver = {
    .backend = "sqlite",
    .schemes = { "sqlite:" },
    .open = database_open,
    .close = database_close,
    .statistics = database_statistics,
    .change_mark = database_change_mark,
    .query = database_query,
    .begin = database_begin,
    .commit = transaction_commit,
    .rollback = transaction_rollback,
    .transaction_query = transaction_query,
    .transaction_many = transaction_many,
    .statement_text = statement_text,
    .migration_text = migration_text,
    .transaction_migrate = transaction_migrate,
};
