#include "db/sqlite/sqlite_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/base/time.h"
#include "db/sqlite/sqlite_connection.h"
#include "db/sqlite/sqlite_turn.h"

#define SESSION_MAGIC 0x53514c53u

#define STEPS_BETWEEN_CHECKS 2000 /* of SQLite's machine: well below a millisecond */
#define LOCK_POLL_US 1000

#define LOG_PAGES_CHECKPOINT 1000 /* 4 MB: copied into the file without waiting */
#define LOG_PAGES_LARGE 8192      /* 32 MB: worth waiting for readers */
#define LOG_WAIT_US BH_SECOND_US

static const struct bh_statement begin_write = { .name = "begin", .sqlite = "BEGIN IMMEDIATE" };
static const struct bh_statement begin_read = { .name = "begin", .sqlite = "BEGIN" };
static const struct bh_statement commit = { .name = "commit", .sqlite = "COMMIT" };
static const struct bh_statement rollback = { .name = "rollback", .sqlite = "ROLLBACK" };

/* ---- Stopping ---- */

/* 0, or why the running call has to end. */
static int stop_reason(const struct bh_sqlite_session *const session)
{
    struct bh_sqlite_stop *const stop = session->stop;
    if (!stop)
        return 0;
    int reason = atomic_load_explicit(&stop->reason, memory_order_relaxed);
    if (!reason && bh_time_now_us() >= stop->deadline_us) {
        reason = BH_ETIMEDOUT;
        atomic_store_explicit(&stop->reason, reason, memory_order_relaxed);
    }
    return reason;
}

int bh_sqlite_check(const struct bh_sqlite_session *const session)
{
    bh_magic_check(session, SESSION_MAGIC);
    return stop_reason(session);
}

static int on_progress(void *const argument)
{
    return stop_reason(argument) != 0;
}

/* Waits a little for a lock that another process holds; false: not any longer. */
static bool wait_for_lock(struct bh_sqlite_session *const session, const uint64_t since_us)
{
    if (stop_reason(session) || bh_time_now_us() - since_us >= session->config->lock_timeout_us)
        return false;
    const struct timespec pause = { .tv_nsec = LOCK_POLL_US * 1000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    return true;
}

static int on_busy(void *const argument, const int attempt)
{
    struct bh_sqlite_session *const session = argument;
    if (attempt == 0)
        session->lock_wait_since_us = bh_time_now_us();
    return wait_for_lock(session, session->lock_wait_since_us);
}

static int on_commit_to_log(void *const argument, sqlite3 *const connection,
                            const char *const database, const int pages)
{
    (void)connection;
    (void)database;
    struct bh_sqlite_session *const session = argument;
    if ((unsigned)pages < session->log_pages)
        session->log_pages_next = LOG_PAGES_CHECKPOINT; /* the log has begun anew */
    session->log_pages = (unsigned)pages;
    return SQLITE_OK;
}

/* ---- Life ---- */

int bh_sqlite_session_init(struct bh_sqlite_session *const session,
                           const struct bh_sqlite_config *const config, const bool writer)
{
    *session = (struct bh_sqlite_session){
        .magic = SESSION_MAGIC,
        .config = config,
        .writer = writer,
        .turn = -1,
        .log_pages_next = LOG_PAGES_CHECKPOINT,
        .metrics = bh_db_metrics_lane(writer ? BH_DB_WRITE : BH_DB_READ),
    };
    session->prepared = calloc(config->statement_count + 1, sizeof(sqlite3_stmt *));
    return session->prepared ? 0 : BH_ENOMEM;
}

static void disconnect(struct bh_sqlite_session *const session)
{
    if (session->data && session->destroy_data)
        session->destroy_data(session->data);
    session->data = NULL;
    for (size_t i = 0; session->prepared && i < session->config->statement_count; i++) {
        sqlite3_finalize(session->prepared[i]);
        session->prepared[i] = NULL;
    }
    for (size_t i = 0; i < BH_SQLITE_LOOSE_MAX; i++) {
        sqlite3_finalize(session->loose[i].prepared);
        session->loose[i].prepared = NULL;
        session->loose[i].statement = NULL;
    }
    if (session->connection)
        bh_metrics_add(session->metrics.connections, -1);
    sqlite3_close_v2(session->connection);
    session->connection = NULL;
    if (session->turn >= 0)
        bh_sqlite_turn_close(session->turn);
    session->turn = -1;
}

void bh_sqlite_session_fini(struct bh_sqlite_session *const session)
{
    if (session->connection && session->writer)
        bh_sqlite_session_maintain(session, true);
    disconnect(session);
    free(session->prepared);
    session->prepared = NULL;
    session->magic = 0;
}

int bh_sqlite_session_ensure(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    if (session->connection)
        return 0;
    const struct bh_sqlite_config *const config = session->config;
    sqlite3 *connection;
    int result = bh_sqlite_connection_open(config->path, session->writer, config->reader_cache_kib,
                                           &connection, reterr);
    if (result)
        return result;
    session->connection = connection;
    bh_metrics_add(session->metrics.connections, 1);
    sqlite3_progress_handler(connection, STEPS_BETWEEN_CHECKS, on_progress, session);
    sqlite3_busy_handler(connection, on_busy, session);
    sqlite3_wal_hook(connection, on_commit_to_log, session);
    if (session->writer)
        result = bh_sqlite_turn_open(config->path, &session->turn, reterr);
    if (!result && config->hook) {
        result = config->hook(connection, session->writer, config->hook_argument);
        if (result)
            bh_error_set(reterr, result, "database \"%s\": preparing a connection failed: %s",
                         config->path, bh_error_text(result));
    }
    if (result)
        disconnect(session);
    return result;
}

static bool is_settled(sqlite3 *const connection)
{
    return sqlite3_get_autocommit(connection) &&
           sqlite3_txn_state(connection, NULL) == SQLITE_TXN_NONE;
}

bool bh_sqlite_session_settle(struct bh_sqlite_session *const session)
{
    sqlite3 *const connection = session->connection;
    if (!connection || is_settled(connection))
        return true;
    for (sqlite3_stmt *statement = sqlite3_next_stmt(connection, NULL); statement;
         statement = sqlite3_next_stmt(connection, statement))
        sqlite3_reset(statement);
    bh_sqlite_session_rollback(session);
    if (!is_settled(connection))
        disconnect(session);
    return false;
}

void bh_sqlite_session_shrink(struct bh_sqlite_session *const session)
{
    if (session->connection)
        sqlite3_db_release_memory(session->connection);
}

void bh_sqlite_session_maintain(struct bh_sqlite_session *const session, const bool idle)
{
    if (!session->connection || session->log_pages == 0)
        return;
    if (!idle && session->log_pages < session->log_pages_next)
        return;
    unsigned pages_to_next = LOG_PAGES_CHECKPOINT;
    if (!idle && session->log_pages < LOG_PAGES_LARGE) {
        bh_sqlite_connection_checkpoint(session->connection);
    } else {
        pages_to_next = LOG_PAGES_LARGE / 2; /* if a reader stays: not at each commit again */
        const uint64_t wait_us = idle ? 0 : LOG_WAIT_US;
        struct bh_sqlite_stop stop = { .deadline_us = bh_time_now_us() + wait_us };
        session->stop = &stop;
        if (bh_sqlite_connection_truncate_log(session->connection))
            session->log_pages = 0;
        session->stop = NULL;
    }
    session->log_pages_next = session->log_pages ? session->log_pages + pages_to_next
                                                 : LOG_PAGES_CHECKPOINT;
}

bool bh_sqlite_session_wants_care(const struct bh_sqlite_session *const session)
{
    return session->log_pages > 0 && session->connection;
}

/* ---- What bh_sqlite_run's functions may use ---- */

void bh_sqlite_set_rows(struct bh_sqlite_session *const session, const uint64_t rows)
{
    bh_magic_check(session, SESSION_MAGIC);
    session->rows = rows;
}

sqlite3 *bh_sqlite_handle(struct bh_sqlite_session *const session)
{
    bh_magic_check(session, SESSION_MAGIC);
    return session->connection;
}

void bh_sqlite_session_set_data(struct bh_sqlite_session *const session, void *const data,
                                void (*const destroy)(void *data))
{
    bh_magic_check(session, SESSION_MAGIC);
    if (session->data && session->destroy_data)
        session->destroy_data(session->data);
    session->data = data;
    session->destroy_data = destroy;
}

void *bh_sqlite_session_data(const struct bh_sqlite_session *const session)
{
    bh_magic_check(session, SESSION_MAGIC);
    return session->data;
}

/* ---- Prepared statements ---- */

int bh_sqlite_session_error(struct bh_sqlite_session *const session,
                            const struct bh_statement *const statement, const int result,
                            struct bh_error *const reterr)
{
    char what[100];
    snprintf(what, sizeof(what), "statement \"%s\"", statement->name);
    return bh_sqlite_error(session->connection, result, what, reterr);
}

/* Where the session keeps `statement`, or NULL when there is no room for one more. */
static sqlite3_stmt **slot_of(struct bh_sqlite_session *const session,
                              const struct bh_statement *const statement)
{
    const struct bh_sqlite_config *const config = session->config;
    if (statement->index < config->statement_count &&
        statement == &config->statements[statement->index])
        return &session->prepared[statement->index];
    for (size_t i = 0; i < BH_SQLITE_LOOSE_MAX; i++) {
        if (!session->loose[i].statement)
            session->loose[i].statement = statement;
        if (session->loose[i].statement == statement)
            return &session->loose[i].prepared;
    }
    return NULL;
}

static int prepare_text(struct bh_sqlite_session *const session,
                        const struct bh_statement *const statement, sqlite3_stmt **const slot,
                        struct bh_error *const reterr)
{
    if (!statement->sqlite)
        return bh_error_set(reterr, BH_EUNSUPPORTED, "statement \"%s\" has no text for SQLite",
                            statement->name);
    const char *rest = NULL;
    sqlite3_stmt *prepared = NULL;
    const int result = sqlite3_prepare_v3(session->connection, statement->sqlite, -1,
                                          SQLITE_PREPARE_PERSISTENT, &prepared, &rest);
    if (result != SQLITE_OK)
        return bh_sqlite_session_error(session, statement, result, reterr);
    if (!prepared || bh_str_trim(bh_str_from(rest)).size > 0) {
        sqlite3_finalize(prepared);
        return bh_error_set(reterr, BH_EINVAL, "statement \"%s\" is not one SQL statement",
                            statement->name);
    }
    *slot = prepared;
    return 0;
}

int bh_sqlite_prepare(struct bh_sqlite_session *const session,
                      const struct bh_statement *const statement,
                      sqlite3_stmt **const ret_statement, struct bh_error *const reterr)
{
    bh_magic_check(session, SESSION_MAGIC);
    sqlite3_stmt **const slot = slot_of(session, statement);
    if (!slot)
        return bh_error_set(reterr, BH_ELIMIT,
                            "statement \"%s\": more than %d statements outside of the table given "
                            "to bh_db_open; add it to the table",
                            statement->name, BH_SQLITE_LOOSE_MAX);
    if (*slot) {
        sqlite3_reset(*slot);
        sqlite3_clear_bindings(*slot);
    } else {
        const int code = prepare_text(session, statement, slot, reterr);
        if (code)
            return code;
    }
    *ret_statement = *slot;
    return 0;
}

/* ---- Transactions ---- */

static int run_control(struct bh_sqlite_session *const session,
                       const struct bh_statement *const statement, struct bh_error *const reterr)
{
    sqlite3_stmt *prepared;
    const int code = bh_sqlite_prepare(session, statement, &prepared, reterr);
    if (code)
        return code;
    const int result = sqlite3_step(prepared);
    const int failed = result == SQLITE_DONE
                           ? 0
                           : bh_sqlite_session_error(session, statement, result, reterr);
    sqlite3_reset(prepared);
    return failed;
}

static int take_turn(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    const uint64_t since_us = bh_time_now_us();
    while (!bh_sqlite_turn_try(session->turn)) {
        if (!wait_for_lock(session, since_us))
            return bh_sqlite_error(NULL, SQLITE_BUSY, "waiting to write", reterr);
    }
    return 0;
}

int bh_sqlite_session_begin(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    if (!session->writer)
        return run_control(session, &begin_read, reterr);
    int code = take_turn(session, reterr);
    if (code)
        return code;
    code = run_control(session, &begin_write, reterr);
    bh_sqlite_turn_give(session->turn);
    return code;
}

int bh_sqlite_session_commit(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    /* Once begun, a commit is carried through: its outcome must be known. */
    session->stop = NULL;
    const int code = run_control(session, &commit, reterr);
    if (code)
        bh_sqlite_session_rollback(session);
    return code;
}

void bh_sqlite_session_rollback(struct bh_sqlite_session *const session)
{
    session->stop = NULL;
    /* Some errors have rolled back already. */
    if (session->connection && !sqlite3_get_autocommit(session->connection))
        (void)!run_control(session, &rollback, NULL);
}
