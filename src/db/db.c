/* Finds the driver of a URL, hands the calls to it and times them; conversions of result values. */
#include "bulkhead/db/db.h"

#include "bulkhead/base/assert.h"
#include "bulkhead/db/changes.h"
#include "db/driver.h"

static const struct bh_driver *const drivers[] = { &bh_sqlite_driver, &bh_postgres_driver };

/* ---- Life ---- */

/* The driver of `url` and where the URL goes on behind its scheme, or NULL. */
static const struct bh_driver *driver_of(const char *const url, const char **const ret_location)
{
    for (size_t i = 0; i < BH_COUNT_OF(drivers); i++) {
        for (size_t j = 0; j < BH_COUNT_OF(drivers[i]->schemes) && drivers[i]->schemes[j]; j++) {
            const struct bh_str scheme = bh_str_from(drivers[i]->schemes[j]);
            if (bh_str_starts_with(bh_str_from(url), scheme)) {
                *ret_location = url + scheme.size;
                return drivers[i];
            }
        }
    }
    return NULL;
}

static int open_with(const struct bh_driver *const driver, const char *const location,
                     const struct bh_db_options *const options, struct bh_db **const ret_db,
                     struct bh_error *const reterr)
{
    struct bh_listeners *listeners;
    struct bh_db *db;
    int code = bh_listeners_create(&listeners);
    if (code)
        return bh_error_set(reterr, code, "no memory to open the database");
    code = driver->open(location, options, &db, reterr);
    if (code) {
        bh_listeners_destroy(listeners);
        return code;
    }
    db->listeners = listeners;
    db->gate = options->gate;
    *ret_db = db;
    return 0;
}

int bh_db_open(const struct bh_db_options *const options, struct bh_db **const ret_db,
               struct bh_error *const reterr)
{
    const char *location;
    const struct bh_driver *const driver = driver_of(options->url, &location);
    if (driver) {
        bh_trace_register(options->statements, options->statement_count, driver->statement_text,
                          driver->speaks_postgres);
        return open_with(driver, location, options, ret_db, reterr);
    }
    /* Only the scheme is shown: behind it may stand a password. */
    struct bh_str rest = bh_str_from(options->url);
    const struct bh_str scheme = bh_str_split(&rest, ':');
    return bh_error_set(reterr, BH_EUNSUPPORTED,
                        "database URL \"%.*s%s\": not a database this build knows; "
                        "use sqlite:PATH, for example sqlite:library.db, or "
                        "postgresql://USER@HOST:PORT/DATABASE",
                        BH_STR_ARGS(scheme), rest.data ? ":…" : "");
}

void bh_db_close(struct bh_db *const db)
{
    if (!db)
        return;
    struct bh_listeners *const listeners = db->listeners;
    db->driver->close(db);
    bh_listeners_destroy(listeners);
}

void bh_db_statistics(struct bh_db *const db, const enum bh_db_lane lane,
                      struct bh_db_statistics *const ret_statistics)
{
    db->driver->statistics(db, lane, ret_statistics);
}

bool bh_db_change_mark(struct bh_db *const db, uint64_t *const ret_mark)
{
    return db->driver->change_mark != NULL && db->driver->change_mark(db, ret_mark);
}

void bh_db_note_seen(struct bh_db *const db)
{
    if (db->driver->note_seen != NULL)
        db->driver->note_seen(db);
}

static int no_control(const struct bh_db *const db, struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_EUNSUPPORTED,
                        "%s has no connections to resize, replace or pause: set its sizes and "
                        "reload",
                        db->driver->backend);
}

int bh_db_control(struct bh_db *const db, const enum bh_db_lane lane,
                  const enum bh_db_action action, struct bh_error *const reterr)
{
    if (db->driver->control == NULL)
        return no_control(db, reterr);
    db->driver->control(db, lane, action);
    return 0;
}

int bh_db_resize(struct bh_db *const db, const enum bh_db_lane lane, const unsigned minimum,
                 const unsigned maximum, struct bh_error *const reterr)
{
    return db->driver->resize != NULL ? db->driver->resize(db, lane, minimum, maximum, reterr)
                                      : no_control(db, reterr);
}

const char *bh_db_backend(const struct bh_db *const db)
{
    return db->driver->backend;
}

/* ---- Calls ---- */

int bh_db_query(struct bh_db *const db, const enum bh_db_lane lane,
                const struct bh_statement *const statement,
                const struct bh_db_value *const parameters, const size_t parameter_count,
                struct bh_arena *const arena, struct bh_db_rows *const ret_rows,
                struct bh_error *const reterr)
{
    struct bh_trace_span span;
    struct bh_db_passage passage;
    bh_trace_begin(&span, statement->name, db->driver->statement_text(statement));
    int result = bh_db_passage_enter(&passage, db->gate, lane, &span, reterr);
    if (result == 0) {
        result = db->driver->query(db, lane, statement, parameters, parameter_count, arena,
                                   ret_rows, &span, reterr);
        bh_db_passage_note(&passage, &span, result, statement->is_slow);
        bh_db_passage_leave(&passage);
    }
    bh_trace_end(&span, result);
    return result;
}

int bh_db_begin(struct bh_db *const db, const enum bh_db_lane lane,
                struct bh_db_transaction **const ret_transaction, struct bh_error *const reterr)
{
    struct bh_trace_span span;
    struct bh_db_passage passage;
    bh_trace_begin(&span, "begin", "BEGIN");
    int result = bh_db_passage_enter(&passage, db->gate, lane, &span, reterr);
    if (result == 0) {
        result = db->driver->begin(db, lane, ret_transaction, &span, reterr);
        bh_db_passage_note(&passage, &span, result, false);
        if (result)
            bh_db_passage_leave(&passage);
        else
            (*ret_transaction)->passage = passage;
    }
    bh_trace_end(&span, result);
    return result;
}

int bh_db_commit(struct bh_db_transaction *const transaction, struct bh_error *const reterr)
{
    struct bh_trace_span span;
    struct bh_db_passage passage = transaction->passage; /* the commit frees the transaction */
    bh_trace_begin(&span, "commit", "COMMIT");
    const int result = transaction->driver->commit(transaction, &span, reterr);
    bh_db_passage_note(&passage, &span, result, false);
    bh_db_passage_leave(&passage);
    bh_trace_end(&span, result);
    return result;
}

void bh_db_rollback(struct bh_db_transaction *const transaction)
{
    if (!transaction)
        return;
    struct bh_trace_span span;
    struct bh_db_passage passage = transaction->passage;
    bh_trace_begin(&span, "rollback", "ROLLBACK");
    transaction->driver->rollback(transaction, &span);
    bh_db_passage_leave(&passage);
    bh_trace_end(&span, 0);
}

int bh_db_transaction_query(struct bh_db_transaction *const transaction,
                            const struct bh_statement *const statement,
                            const struct bh_db_value *const parameters,
                            const size_t parameter_count, struct bh_arena *const arena,
                            struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    struct bh_trace_span span;
    bh_trace_begin(&span, statement->name, transaction->driver->statement_text(statement));
    const int result = transaction->driver->transaction_query(
        transaction, statement, parameters, parameter_count, arena, ret_rows, &span, reterr);
    bh_db_passage_note(&transaction->passage, &span, result, statement->is_slow);
    bh_trace_end(&span, result);
    return result;
}

int bh_db_transaction_many(struct bh_db_transaction *const transaction,
                           const struct bh_statement *const statement,
                           const struct bh_db_value *const parameters, const size_t parameter_count,
                           const size_t row_count, int64_t *const ret_changes,
                           struct bh_error *const reterr)
{
    struct bh_trace_span span;
    bh_trace_begin(&span, statement->name, transaction->driver->statement_text(statement));
    const int result = transaction->driver->transaction_many(
        transaction, statement, parameters, parameter_count, row_count, ret_changes, &span, reterr);
    bh_db_passage_note(&transaction->passage, &span, result, statement->is_slow);
    bh_trace_end(&span, result);
    return result;
}

/* ---- Rows ---- */

static const struct bh_db_value *checked_at(const struct bh_db_rows *const rows, const size_t row,
                                            const size_t column)
{
    bh_assert(row < rows->row_count && column < rows->column_count);
    return bh_db_at(rows, row, column);
}

int64_t bh_db_int_at(const struct bh_db_rows *const rows, const size_t row, const size_t column)
{
    const struct bh_db_value *const value = checked_at(rows, row, column);
    return value->type == BH_DB_INT ? value->integer : 0;
}

double bh_db_double_at(const struct bh_db_rows *const rows, const size_t row, const size_t column)
{
    const struct bh_db_value *const value = checked_at(rows, row, column);
    if (value->type == BH_DB_INT)
        return (double)value->integer;
    return value->type == BH_DB_DOUBLE ? value->real : 0.0;
}

struct bh_str bh_db_text_at(const struct bh_db_rows *const rows, const size_t row,
                            const size_t column)
{
    const struct bh_db_value *const value = checked_at(rows, row, column);
    return value->type == BH_DB_TEXT || value->type == BH_DB_BLOB ? value->text : BH_STR_NONE;
}

bool bh_db_is_null_at(const struct bh_db_rows *const rows, const size_t row, const size_t column)
{
    return checked_at(rows, row, column)->type == BH_DB_NULL;
}
