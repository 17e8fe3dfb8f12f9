/*
 * Negated words are looked up in a pass of their own, not by FTS5's NOT: below NOT an AND empties
 * the position lists of phrases that have run ahead (fts5ExprNodeTest_AND, seen in SQLite 3.40.1),
 * and chunks that hold all words seem not to.
 */
#include "library/search_fts5.h"

#include <stdlib.h>

#include "library/search_session.h"

#define POINTER_TYPE "tome_fts5_pass"

struct ids {
    int64_t *items; /* rising */
    size_t count, capacity;
};

struct pass {
    struct tome_scan *scan; /* NULL: ids alone are collected */
    const struct tome_expression *expression;
    struct ids *negated; /* not to be found, or collected */
    size_t negated_at;
    int error; /* of the scan */
};

static int add_id(struct ids *const ids, const int64_t id)
{
    if (ids->count == ids->capacity) {
        const size_t larger = ids->capacity > 0 ? ids->capacity * 2 : 256;
        int64_t *const grown = reallocarray(ids->items, larger, sizeof(*grown));
        if (grown == NULL)
            return BH_ENOMEM;
        ids->items = grown;
        ids->capacity = larger;
    }
    ids->items[ids->count++] = id;
    return 0;
}

/* Rows come in order of ids. */
static bool is_negated(struct pass *const pass, const int64_t id)
{
    const struct ids *const negated = pass->negated;
    while (pass->negated_at < negated->count && negated->items[pass->negated_at] < id)
        pass->negated_at++;
    return pass->negated_at < negated->count && negated->items[pass->negated_at] == id;
}

/* Takes in one phrase's occurrences in the row. */
static int read_phrase(struct tome_scan *const scan, const Fts5ExtensionApi *const api,
                       Fts5Context *const context, const size_t index)
{
    Fts5PhraseIter iterator;
    int column = 0, position = 0;
    const int result = api->xPhraseFirst(context, (int)index, &iterator, &column, &position);
    if (result != SQLITE_OK)
        return result;
    uint32_t count = 0;
    bool wants_places = true;
    for (; column >= 0; api->xPhraseNext(context, &iterator, &column, &position)) {
        if (column == TOME_COLUMN_HEADING) {
            tome_scan_row_heading(scan, index);
            continue;
        }
        count++;
        if (column == TOME_COLUMN_BODY && wants_places)
            wants_places = tome_scan_row_place(scan, index, (uint32_t)position);
    }
    if (count > 0)
        tome_scan_row_text(scan, index, count);
    return SQLITE_OK;
}

static int scan_row(struct pass *const pass, const Fts5ExtensionApi *const api,
                    Fts5Context *const context)
{
    const int64_t id = api->xRowid(context);
    if (is_negated(pass, id) || !tome_scan_row_begin(pass->scan, id))
        return SQLITE_OK;
    for (size_t i = 0; i < pass->expression->positive_count; i++) {
        const int result = read_phrase(pass->scan, api, context, i);
        if (result != SQLITE_OK)
            return result;
    }
    pass->error = tome_scan_row_end(pass->scan);
    return SQLITE_OK;
}

static int collect_row(struct pass *const pass, const Fts5ExtensionApi *const api,
                       Fts5Context *const context)
{
    if (pass->scan == NULL) {
        pass->error = add_id(pass->negated, api->xRowid(context));
    } else {
        const int result = scan_row(pass, api, context);
        if (result != SQLITE_OK)
            return result;
    }
    return pass->error == 0 ? SQLITE_OK : SQLITE_ABORT;
}

static void collect_function(const Fts5ExtensionApi *const api, Fts5Context *const context,
                             sqlite3_context *const result, const int value_count,
                             sqlite3_value **const values)
{
    struct pass *const pass = value_count == 1 ? sqlite3_value_pointer(values[0], POINTER_TYPE)
                                               : NULL;
    if (pass == NULL) {
        sqlite3_result_error(result, "tome_collect is only for search", -1);
        return;
    }
    const int code = collect_row(pass, api, context);
    if (code != SQLITE_OK)
        sqlite3_result_error_code(result, code);
}

static void columns_function(const Fts5ExtensionApi *const api, Fts5Context *const context,
                             sqlite3_context *const result, const int value_count,
                             sqlite3_value **const values)
{
    (void)value_count;
    (void)values;
    int columns = 0;
    const int phrase_count = api->xPhraseCount(context);
    for (int i = 0; i < phrase_count; i++) {
        Fts5PhraseIter iterator;
        int column = 0, position = 0;
        const int code = api->xPhraseFirst(context, i, &iterator, &column, &position);
        if (code != SQLITE_OK) {
            sqlite3_result_error_code(result, code);
            return;
        }
        for (; column >= 0; api->xPhraseNext(context, &iterator, &column, &position))
            columns |= 1 << column;
    }
    sqlite3_result_int(result, columns);
}

int tome_fts5_register(sqlite3 *const connection)
{
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(connection, "SELECT fts5(?1)", -1, &statement, NULL) != SQLITE_OK)
        return BH_EUNSUPPORTED;
    sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (api == NULL ||
        api->xCreateFunction(api, "tome_collect", NULL, collect_function, NULL) != SQLITE_OK ||
        api->xCreateFunction(api, "tome_columns", NULL, columns_function, NULL) != SQLITE_OK)
        return BH_EUNSUPPORTED;
    return 0;
}

/* Hands each row that `text` finds to the pass. */
static int run_pass(struct bh_sqlite_session *const session, const struct bh_str text,
                    struct pass *const pass, const int64_t first, const int64_t last,
                    struct bh_error *const reterr)
{
    const bool is_range = first > 0 || last < INT64_MAX;
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session,
                                   is_range ? &TOME_SQL_SEARCH_SCAN_RANGE : &TOME_SQL_SEARCH_SCAN,
                                   &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, text.data, (int)text.size, SQLITE_STATIC);
    sqlite3_bind_pointer(statement, 2, pass, POINTER_TYPE, NULL);
    if (is_range) {
        sqlite3_bind_int64(statement, 3, first);
        sqlite3_bind_int64(statement, 4, last);
    }
    result = tome_search_step(session, statement, reterr);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (pass->error < 0)
        return bh_error_set(reterr, pass->error, "a search failed: %s", bh_error_text(pass->error));
    return result < 0 ? result : 0;
}

int tome_fts5_scan(struct bh_sqlite_session *const session, struct tome_scan *const scan,
                   const struct tome_expression *const expression, const int64_t first,
                   const int64_t last, struct bh_error *const reterr)
{
    struct ids negated = { 0 };
    int result = 0;
    if (expression->negated != 0) {
        struct pass pass = { .expression = expression, .negated = &negated };
        result = run_pass(session, bh_buf_peek(&expression->negated_text), &pass, first, last,
                          reterr);
    }
    if (result == 0) {
        struct pass pass = { .scan = scan, .expression = expression, .negated = &negated };
        tome_scan_begin(scan, expression);
        result = run_pass(session, bh_buf_peek(&expression->text), &pass, first, last, reterr);
    }
    free(negated.items);
    return result;
}
