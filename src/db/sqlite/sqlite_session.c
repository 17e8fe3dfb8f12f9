#include "db/sqlite/sqlite_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/base/time.h"
#include "db/sqlite/sqlite_connection.h"

#define SESSION_MAGIC 0x53514c53u

#define STEPS_BETWEEN_CHECKS 2000 /* of SQLite's machine: well below a millisecond */
#define LOCK_POLL_US 1000
#define ROWS_FIRST 8 /* room for rows taken at first; doubled as they come */

#define LOG_PAGES_CHECKPOINT 1000 /* 4 MB: copied into the file without waiting */
#define LOG_PAGES_LARGE 16384     /* 64 MB: worth waiting for readers */
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

/* Another connection, likely of another process, holds the lock this one needs. */
static int on_busy(void *const argument, const int attempt)
{
    struct bh_sqlite_session *const session = argument;
    const uint64_t now_us = bh_time_now_us();
    if (attempt == 0)
        session->lock_wait_since_us = now_us;
    if (stop_reason(session) ||
        now_us - session->lock_wait_since_us >= session->config->lock_timeout_us)
        return 0;
    const struct timespec pause = { .tv_nsec = LOCK_POLL_US * 1000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    return 1;
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
        .log_pages_next = LOG_PAGES_CHECKPOINT,
        .metrics = bh_db_metrics_lane(writer ? BH_DB_WRITE : BH_DB_READ),
    };
    session->prepared = calloc(config->statement_count + 1, sizeof(*session->prepared));
    return session->prepared ? 0 : BH_ENOMEM;
}

static void disconnect(struct bh_sqlite_session *const session)
{
    if (session->data && session->destroy_data)
        session->destroy_data(session->data);
    session->data = NULL;
    for (size_t i = 0; session->prepared && i < session->config->statement_count; i++) {
        sqlite3_finalize(session->prepared[i].statement);
        session->prepared[i].statement = NULL;
    }
    for (size_t i = 0; i < BH_SQLITE_LOOSE_MAX; i++) {
        sqlite3_finalize(session->loose[i].prepared.statement);
        session->loose[i].prepared.statement = NULL;
        session->loose[i].statement = NULL;
    }
    if (session->connection)
        bh_metrics_add(session->metrics.connections, -1);
    sqlite3_close_v2(session->connection);
    session->connection = NULL;
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
    sqlite3 *connection;
    int result = bh_sqlite_connection_open(session->config->path, session->writer, &connection,
                                           reterr);
    if (result)
        return result;
    session->connection = connection;
    bh_metrics_add(session->metrics.connections, 1);
    sqlite3_progress_handler(connection, STEPS_BETWEEN_CHECKS, on_progress, session);
    sqlite3_busy_handler(connection, on_busy, session);
    sqlite3_wal_hook(connection, on_commit_to_log, session);
    if (session->config->hook)
        result = session->config->hook(connection, session->writer, session->config->hook_argument);
    if (result) {
        disconnect(session);
        return bh_error_set(reterr, result, "database \"%s\": preparing a connection failed: %s",
                            session->config->path, bh_error_text(result));
    }
    return 0;
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

void bh_sqlite_session_maintain(struct bh_sqlite_session *const session, const bool idle)
{
    if (!session->connection || session->log_pages == 0)
        return;
    if (!idle && session->log_pages < session->log_pages_next)
        return;
    if (!idle && session->log_pages < LOG_PAGES_LARGE) {
        bh_sqlite_connection_checkpoint(session->connection);
    } else {
        const uint64_t wait_us = idle ? 0 : LOG_WAIT_US;
        struct bh_sqlite_stop stop = { .deadline_us = bh_time_now_us() + wait_us };
        session->stop = &stop;
        if (bh_sqlite_connection_truncate_log(session->connection))
            session->log_pages = 0;
        session->stop = NULL;
    }
    session->log_pages_next = session->log_pages + LOG_PAGES_CHECKPOINT;
}

bool bh_sqlite_session_wants_care(const struct bh_sqlite_session *const session)
{
    return session->log_pages > 0 && session->connection;
}

/* ---- What bh_sqlite_run's functions may use ---- */

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

static int statement_error(struct bh_sqlite_session *const session,
                           const struct bh_statement *const statement, const int result,
                           struct bh_error *const reterr)
{
    char what[100];
    snprintf(what, sizeof(what), "statement \"%s\"", statement->name);
    return bh_sqlite_error(session->connection, result, what, reterr);
}

/* Where the session keeps `statement`, or NULL when there is no room for one more. */
static struct bh_sqlite_prepared *slot_of(struct bh_sqlite_session *const session,
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
                        const struct bh_statement *const statement,
                        struct bh_sqlite_prepared *const slot, struct bh_error *const reterr)
{
    if (!statement->sqlite)
        return bh_error_set(reterr, BH_EUNSUPPORTED, "statement \"%s\" has no text for SQLite",
                            statement->name);
    const char *rest = NULL;
    sqlite3_stmt *prepared = NULL;
    const int result = sqlite3_prepare_v3(session->connection, statement->sqlite, -1,
                                          SQLITE_PREPARE_PERSISTENT, &prepared, &rest);
    if (result != SQLITE_OK)
        return statement_error(session, statement, result, reterr);
    if (!prepared || bh_str_trim(bh_str_from(rest)).size > 0) {
        sqlite3_finalize(prepared);
        return bh_error_set(reterr, BH_EINVAL, "statement \"%s\" is not one SQL statement",
                            statement->name);
    }
    slot->statement = prepared;
    slot->duration = bh_db_metrics_statement(statement->name);
    return 0;
}

/* The slot with the statement reset and without bindings. */
static int prepare(struct bh_sqlite_session *const session,
                   const struct bh_statement *const statement,
                   const struct bh_sqlite_prepared **const ret_slot, struct bh_error *const reterr)
{
    struct bh_sqlite_prepared *const slot = slot_of(session, statement);
    if (!slot)
        return bh_error_set(reterr, BH_ELIMIT,
                            "statement \"%s\": more than %d statements outside of the table given "
                            "to bh_db_open; add it to the table",
                            statement->name, BH_SQLITE_LOOSE_MAX);
    if (slot->statement) {
        sqlite3_reset(slot->statement);
        sqlite3_clear_bindings(slot->statement);
    } else {
        const int code = prepare_text(session, statement, slot, reterr);
        if (code)
            return code;
    }
    *ret_slot = slot;
    return 0;
}

int bh_sqlite_prepare(struct bh_sqlite_session *const session,
                      const struct bh_statement *const statement,
                      sqlite3_stmt **const ret_statement, struct bh_error *const reterr)
{
    bh_magic_check(session, SESSION_MAGIC);
    const struct bh_sqlite_prepared *slot;
    const int code = prepare(session, statement, &slot, reterr);
    if (!code)
        *ret_statement = slot->statement;
    return code;
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
    const int failed = result == SQLITE_DONE ? 0
                                             : statement_error(session, statement, result, reterr);
    sqlite3_reset(prepared);
    return failed;
}

int bh_sqlite_session_begin(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    return run_control(session, session->writer ? &begin_write : &begin_read, reterr);
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

/* ---- Running a statement ---- */

static int bind_value(sqlite3_stmt *const prepared, const int at,
                      const struct bh_db_value *const value)
{
    /* SQLite takes a NULL pointer for NULL; an empty text is not that. */
    const char *const data = value->text.size > 0 ? value->text.data : "";
    switch (value->type) {
    case BH_DB_NULL:
        return sqlite3_bind_null(prepared, at);
    case BH_DB_INT:
        return sqlite3_bind_int64(prepared, at, value->integer);
    case BH_DB_DOUBLE:
        return sqlite3_bind_double(prepared, at, value->real);
    case BH_DB_TEXT:
        return sqlite3_bind_text64(prepared, at, data, value->text.size, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case BH_DB_BLOB:
        return sqlite3_bind_blob64(prepared, at, data, value->text.size, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static int bind(struct bh_sqlite_session *const session, const struct bh_statement *const statement,
                sqlite3_stmt *const prepared, const struct bh_db_value *const parameters,
                const size_t parameter_count, struct bh_error *const reterr)
{
    for (size_t i = 0; i < parameter_count; i++) {
        const int result = bind_value(prepared, (int)i + 1, &parameters[i]);
        if (result != SQLITE_OK)
            return statement_error(session, statement, result, reterr);
    }
    return 0;
}

/* The statement, ready for `parameter_count` parameters. */
static int prepare_for(struct bh_sqlite_session *const session,
                       const struct bh_statement *const statement, const size_t parameter_count,
                       const struct bh_sqlite_prepared **const ret_slot,
                       struct bh_error *const reterr)
{
    const int code = prepare(session, statement, ret_slot, reterr);
    if (code)
        return code;
    const int wanted = sqlite3_bind_parameter_count((*ret_slot)->statement);
    if ((size_t)wanted != parameter_count)
        return bh_error_set(reterr, BH_EINVAL, "statement \"%s\" takes %d parameters, %zu given",
                            statement->name, wanted, parameter_count);
    return 0;
}

static int column_text(sqlite3_stmt *const prepared, const int column, const bool is_text,
                       struct bh_arena *const arena, struct bh_str *const ret_text)
{
    const void *const data = is_text ? (const void *)sqlite3_column_text(prepared, column)
                                     : sqlite3_column_blob(prepared, column);
    const size_t size = (size_t)sqlite3_column_bytes(prepared, column);
    if (size > 0 && !data)
        return BH_ENOMEM;
    const char *const copy = bh_arena_strdup(arena, (struct bh_str){ data, size });
    if (!copy)
        return BH_ELIMIT;
    *ret_text = (struct bh_str){ copy, size };
    return 0;
}

static int column_value(sqlite3_stmt *const prepared, const int column,
                        struct bh_arena *const arena, struct bh_db_value *const value)
{
    switch (sqlite3_column_type(prepared, column)) {
    case SQLITE_INTEGER:
        *value = bh_db_int(sqlite3_column_int64(prepared, column));
        return 0;
    case SQLITE_FLOAT:
        *value = bh_db_double(sqlite3_column_double(prepared, column));
        return 0;
    case SQLITE_TEXT:
        value->type = BH_DB_TEXT;
        return column_text(prepared, column, true, arena, &value->text);
    case SQLITE_BLOB:
        value->type = BH_DB_BLOB;
        return column_text(prepared, column, false, arena, &value->text);
    default:
        *value = bh_db_null();
        return 0;
    }
}

/* Rows as they grow: the array is doubled inside the arena, so its limit bounds them. */
struct rows {
    struct bh_arena *arena;
    struct bh_db_value *values;
    size_t row_count, row_capacity, column_count;
};

static int add_row(struct rows *const rows, sqlite3_stmt *const prepared)
{
    /* Asked only now: the first step prepares anew when the schema has changed. */
    if (rows->row_count == 0)
        rows->column_count = (size_t)sqlite3_column_count(prepared);
    if (rows->row_count == rows->row_capacity) {
        const size_t capacity = rows->row_capacity ? rows->row_capacity * 2 : ROWS_FIRST;
        struct bh_db_value *const values = bh_arena_alloc(
            rows->arena, capacity * rows->column_count * sizeof(*values));
        if (!values)
            return BH_ELIMIT;
        if (rows->row_count > 0)
            memcpy(values, rows->values, rows->row_count * rows->column_count * sizeof(*values));
        rows->values = values;
        rows->row_capacity = capacity;
    }
    struct bh_db_value *const row = &rows->values[rows->row_count * rows->column_count];
    for (size_t column = 0; column < rows->column_count; column++) {
        const int code = column_value(prepared, (int)column, rows->arena, &row[column]);
        if (code)
            return code;
    }
    rows->row_count++;
    return 0;
}

static int step_all(struct bh_sqlite_session *const session,
                    const struct bh_statement *const statement, sqlite3_stmt *const prepared,
                    struct rows *const rows, struct bh_error *const reterr)
{
    for (;;) {
        const int result = sqlite3_step(prepared);
        if (result == SQLITE_DONE)
            return 0;
        if (result != SQLITE_ROW)
            return statement_error(session, statement, result, reterr);
        if (!rows->arena)
            continue;
        const int code = add_row(rows, prepared);
        if (code)
            return bh_error_set(reterr, code,
                                "statement \"%s\": the result outgrows the memory of this request "
                                "after %zu rows; ask for less at a time",
                                statement->name, rows->row_count);
    }
}

int bh_sqlite_session_query(struct bh_sqlite_session *const session,
                            const struct bh_statement *const statement,
                            const struct bh_db_value *const parameters,
                            const size_t parameter_count, struct bh_arena *const arena,
                            struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    const struct bh_sqlite_prepared *slot;
    int code = prepare_for(session, statement, parameter_count, &slot, reterr);
    if (code)
        return code;
    const uint64_t since_us = bh_time_now_us();
    sqlite3_stmt *const prepared = slot->statement;
    struct rows rows = { .arena = ret_rows ? arena : NULL };
    code = bind(session, statement, prepared, parameters, parameter_count, reterr);
    if (!code)
        code = step_all(session, statement, prepared, &rows, reterr);
    const bool changes = !sqlite3_stmt_readonly(prepared);
    if (rows.row_count == 0)
        rows.column_count = (size_t)sqlite3_column_count(prepared);
    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared); /* they borrow the caller's memory */
    bh_metrics_observe_us(slot->duration, bh_time_now_us() - since_us);
    if (code)
        return code;
    if (ret_rows)
        *ret_rows = (struct bh_db_rows){
            .row_count = rows.row_count,
            .column_count = rows.column_count,
            .changes = changes ? sqlite3_changes64(session->connection) : 0,
            .values = rows.values,
        };
    return 0;
}

static int run_row(struct bh_sqlite_session *const session,
                   const struct bh_statement *const statement, sqlite3_stmt *const prepared,
                   const struct bh_db_value *const parameters, const size_t parameter_count,
                   struct bh_error *const reterr)
{
    struct rows passed_over = { .arena = NULL };
    int code = stop_reason(session);
    if (code)
        return bh_error_set(reterr, code, "statement \"%s\": %s", statement->name,
                            bh_error_text(code));
    code = bind(session, statement, prepared, parameters, parameter_count, reterr);
    if (!code)
        code = step_all(session, statement, prepared, &passed_over, reterr);
    sqlite3_reset(prepared);
    return code;
}

int bh_sqlite_session_many(struct bh_sqlite_session *const session,
                           const struct bh_statement *const statement,
                           const struct bh_db_value *const parameters, const size_t parameter_count,
                           const size_t row_count, int64_t *const ret_changes,
                           struct bh_error *const reterr)
{
    const struct bh_sqlite_prepared *slot;
    int code = prepare_for(session, statement, parameter_count, &slot, reterr);
    if (code)
        return code;
    const uint64_t since_us = bh_time_now_us();
    sqlite3_stmt *const prepared = slot->statement;
    int64_t changes = 0;
    for (size_t row = 0; !code && row < row_count; row++) {
        code = run_row(session, statement, prepared, &parameters[row * parameter_count],
                       parameter_count, reterr);
        if (!code)
            changes += sqlite3_changes64(session->connection);
    }
    sqlite3_clear_bindings(prepared); /* they borrow the caller's memory */
    bh_metrics_observe_us(slot->duration, bh_time_now_us() - since_us);
    if (!code && ret_changes)
        *ret_changes = changes;
    return code;
}

/* Refuses BEGIN, COMMIT and ROLLBACK as they are prepared, before any of them has run. */
static int refuse_transaction(void *const argument, const int action, const char *const detail,
                              const char *const second, const char *const database,
                              const char *const trigger)
{
    (void)detail;
    (void)second;
    (void)database;
    (void)trigger;
    if (action != SQLITE_TRANSACTION)
        return SQLITE_OK;
    *(bool *)argument = true;
    return SQLITE_DENY;
}

int bh_sqlite_session_script(struct bh_sqlite_session *const session, const char *const name,
                             const char *const text, struct bh_error *const reterr)
{
    bool is_refused = false;
    sqlite3_set_authorizer(session->connection, refuse_transaction, &is_refused);
    const int result = sqlite3_exec(session->connection, text, NULL, NULL, NULL);
    const int code = result == SQLITE_OK
                         ? 0
                         : bh_sqlite_error(session->connection, result, name, reterr);
    sqlite3_set_authorizer(session->connection, NULL, NULL);
    if (is_refused)
        return bh_error_set(reterr, BH_EINVAL,
                            "%s: it runs in a transaction already; remove its BEGIN, COMMIT or "
                            "ROLLBACK",
                            name);
    return code;
}
