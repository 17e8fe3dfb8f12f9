/* Binding, stepping, and copying rows. */
#include "db/sqlite/sqlite_query.h"

#include <string.h>

#define ROWS_FIRST 8 /* room for rows taken at first; doubled as they come */

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
            return bh_sqlite_session_error(session, statement, result, reterr);
    }
    return 0;
}

/* The statement, ready for `parameter_count` parameters. */
static int prepare_for(struct bh_sqlite_session *const session,
                       const struct bh_statement *const statement, const size_t parameter_count,
                       sqlite3_stmt **const ret_prepared, struct bh_error *const reterr)
{
    const int code = bh_sqlite_prepare(session, statement, ret_prepared, reterr);
    if (code)
        return code;
    const int wanted = sqlite3_bind_parameter_count(*ret_prepared);
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
            return bh_sqlite_session_error(session, statement, result, reterr);
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

int bh_sqlite_query_run(struct bh_sqlite_session *const session,
                        const struct bh_statement *const statement,
                        const struct bh_db_value *const parameters, const size_t parameter_count,
                        struct bh_arena *const arena, struct bh_db_rows *const ret_rows,
                        struct bh_error *const reterr)
{
    sqlite3_stmt *prepared;
    int code = prepare_for(session, statement, parameter_count, &prepared, reterr);
    if (code)
        return code;
    struct rows rows = { .arena = ret_rows ? arena : NULL };
    code = bind(session, statement, prepared, parameters, parameter_count, reterr);
    if (!code)
        code = step_all(session, statement, prepared, &rows, reterr);
    const bool changes = !sqlite3_stmt_readonly(prepared);
    if (rows.row_count == 0)
        rows.column_count = (size_t)sqlite3_column_count(prepared);
    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared); /* they borrow the caller's memory */
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
    int code = bh_sqlite_check(session);
    if (code)
        return bh_error_set(reterr, code, "statement \"%s\": %s", statement->name,
                            bh_error_text(code));
    code = bind(session, statement, prepared, parameters, parameter_count, reterr);
    if (!code)
        code = step_all(session, statement, prepared, &passed_over, reterr);
    sqlite3_reset(prepared);
    return code;
}

int bh_sqlite_query_many(struct bh_sqlite_session *const session,
                         const struct bh_statement *const statement,
                         const struct bh_db_value *const parameters, const size_t parameter_count,
                         const size_t row_count, int64_t *const ret_changes,
                         struct bh_error *const reterr)
{
    sqlite3_stmt *prepared;
    int code = prepare_for(session, statement, parameter_count, &prepared, reterr);
    if (code)
        return code;
    int64_t changes = 0;
    for (size_t row = 0; !code && row < row_count; row++) {
        code = run_row(session, statement, prepared, &parameters[row * parameter_count],
                       parameter_count, reterr);
        if (!code)
            changes += sqlite3_changes64(session->connection);
    }
    sqlite3_clear_bindings(prepared); /* they borrow the caller's memory */
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

int bh_sqlite_query_script(struct bh_sqlite_session *const session, const char *const name,
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
