#include "library/search_sqlite.h"

#include <unicode/utf8.h>

#include "bulkhead/base/json.h"
#include "library/search_facets.h"
#include "library/search_fts5.h"
#include "library/search_session.h"

#define IDS_BYTES_MAX (32U << 20)
#define FILTER_BYTES_MAX (16U << 20)

/* A run's context. */
struct sqlite_search {
    struct bh_sqlite_session *session;
    struct tome_search_session *kept;
};

static struct bh_sqlite_session *session_of(const struct tome_search_run *const run)
{
    return ((const struct sqlite_search *)run->context)->session;
}

static struct tome_search_session *kept_of(const struct tome_search_run *const run)
{
    return ((const struct sqlite_search *)run->context)->kept;
}

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
}

static int read_lengths(void *const argument, struct tome_visible_book *const book)
{
    const struct sqlite_search *const search = argument;
    return tome_search_session_lengths(search->session, book, NULL);
}

/* ---- Books ---- */

static int begin_plan(struct tome_search_run *const run, struct bh_error *const reterr)
{
    (void)run;
    (void)reterr;
    return 0; /* everything is at hand */
}

static int match_books(struct tome_search_run *const run, const size_t leaf,
                       struct bh_error *const reterr)
{
    struct tome_expression expression BH_CLEANUP(tome_expression_fini_cleanup);
    tome_expression_init(&expression);
    tome_expression_leaf(&expression, &run->plan, leaf, true);
    if (bh_buf_error(&expression.text) != 0)
        return no_memory(reterr);
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session_of(run), &TOME_SQL_SEARCH_BOOK_MATCH, &statement,
                                   reterr);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, expression.text.data, (int)expression.text.size, SQLITE_STATIC);
    size_t at = 0;
    while ((result = tome_search_step(session_of(run), statement, reterr)) == 1) {
        struct tome_scan_book *const book = tome_search_run_book_at(
            run, &at, sqlite3_column_int64(statement, 0));
        const int columns = sqlite3_column_int(statement, 1);
        if (book != NULL)
            tome_search_run_mark_book(run, leaf, book, (columns & 1) != 0, (columns & 2) != 0);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result < 0 ? result : 0;
}

static int match_fields(struct tome_search_run *const run, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session_of(run), &TOME_SQL_SEARCH_BOOK_FIELDS, &statement,
                                   reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, run->request->owner_id);
    size_t at = 0;
    while ((result = tome_search_step(session_of(run), statement, reterr)) == 1) {
        struct tome_scan_book *const book = tome_search_run_book_at(
            run, &at, sqlite3_column_int64(statement, 0));
        if (book != NULL)
            tome_search_run_match_fields(run, book, tome_search_column(statement, 1),
                                         tome_search_column(statement, 2));
    }
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static void write_strings(struct bh_buf *const buf, const struct bh_str *const values,
                          const size_t count)
{
    struct bh_json json;
    bh_json_init(&json, buf);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        bh_json_string(&json, values[i]);
    bh_json_array_end(&json);
}

static void write_ids(struct bh_buf *const buf, const int64_t *const values, const size_t count)
{
    struct bh_json json;
    bh_json_init(&json, buf);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        bh_json_int(&json, values[i]);
    bh_json_array_end(&json);
}

static int bind_filters(const struct tome_search_run *const run, sqlite3_stmt *const statement,
                        struct bh_error *const reterr)
{
    const struct tome_search_filters *const filters = &run->request->filters;
    const struct {
        const struct bh_str *values;
        size_t count;
    } lists[] = { { filters->source_types, filters->source_type_count },
                  { filters->authors, filters->author_count },
                  { filters->tags, filters->tag_count } };
    struct bh_buf buf BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&buf, FILTER_BYTES_MAX);
    sqlite3_bind_int64(statement, 1, run->request->owner_id);
    if (filters->book_id_count > 0) {
        write_ids(&buf, filters->book_ids, filters->book_id_count);
        sqlite3_bind_text(statement, 2, buf.data, (int)buf.size, SQLITE_TRANSIENT);
    }
    for (size_t i = 0; i < BH_COUNT_OF(lists); i++) {
        if (lists[i].count == 0)
            continue;
        bh_buf_clear(&buf);
        write_strings(&buf, lists[i].values, lists[i].count);
        sqlite3_bind_text(statement, (int)i + 3, buf.data, (int)buf.size, SQLITE_TRANSIENT);
    }
    return bh_buf_error(&buf) != 0 ? no_memory(reterr) : 0;
}

static int filter_books(struct tome_search_run *const run, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session_of(run), &TOME_SQL_SEARCH_FILTER, &statement, reterr);
    if (result == 0)
        result = bind_filters(run, statement, reterr);
    if (result < 0)
        return result;
    for (size_t i = 0; i < run->visible->book_count; i++)
        run->scan.books[i].is_excluded = true;
    size_t at = 0;
    while ((result = tome_search_step(session_of(run), statement, reterr)) == 1) {
        struct tome_scan_book *const book = tome_search_run_book_at(
            run, &at, sqlite3_column_int64(statement, 0));
        if (book != NULL)
            book->is_excluded = false;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result < 0 ? result : 0;
}

static int order_books(struct tome_search_run *const run, struct bh_error *const reterr)
{
    const struct bh_statement *const order = run->request->sort == TOME_SORT_NEWEST
                                                 ? &TOME_SQL_SEARCH_ORDER_NEWEST
                                                 : &TOME_SQL_SEARCH_ORDER_TITLE;
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session_of(run), order, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, run->request->owner_id);
    uint32_t place = 0;
    while ((result = tome_search_step(session_of(run), statement, reterr)) == 1) {
        const int64_t at = tome_visible_find(run->visible, sqlite3_column_int64(statement, 0));
        if (at >= 0)
            run->book_order[at] = place++;
    }
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

/* ---- Chunks ---- */

static int count_chunks(struct tome_search_run *const run,
                        const struct tome_expression *const expression, int64_t *const ret_count,
                        struct bh_error *const reterr)
{
    return tome_search_session_count(session_of(run), kept_of(run), bh_buf_peek(&expression->text),
                                     ret_count, reterr);
}

static int scan_chunks(struct tome_search_run *const run,
                       const struct tome_expression *const expression, const int64_t first,
                       const int64_t last, struct bh_error *const reterr)
{
    return tome_fts5_scan(session_of(run), &run->scan, expression, first, last, reterr);
}

/* ---- Words ---- */

static int find_words(struct tome_search_run *const run, const struct bh_str form,
                      const unsigned most, tome_search_word *const take, void *const argument,
                      struct bh_error *const reterr)
{
    (void)most;
    int32_t first_size = 0;
    U8_FWD_1((const uint8_t *)form.data, first_size, (int32_t)form.size);
    char behind[4];
    memcpy(behind, form.data, (size_t)first_size);
    behind[first_size - 1]++; /* the least text behind all that begin with the letter */

    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session_of(run), &TOME_SQL_SEARCH_WORDS, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, run->request->owner_id);
    sqlite3_bind_text(statement, 2, form.data, first_size, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, behind, first_size, SQLITE_STATIC);
    while ((result = tome_search_step(session_of(run), statement, reterr)) == 1 &&
           take(argument, tome_search_column(statement, 0))) {
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result < 0 ? result : 0;
}

static int expect_words(struct tome_search_run *const run, const struct bh_str *const words,
                        const size_t count, struct bh_error *const reterr)
{
    (void)run;
    (void)words;
    (void)count;
    (void)reterr;
    return 0;
}

/* Whether a visible book holds what `expression` finds. */
static int check_visible(struct tome_search_run *const run, const struct bh_str expression,
                         bool *const ret_is_visible, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session_of(run), &TOME_SQL_SEARCH_ROWS, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, expression.data, (int)expression.size, SQLITE_STATIC);
    bool is_visible = false;
    while (!is_visible && (result = tome_search_step(session_of(run), statement, reterr)) == 1) {
        const int64_t book_id = sqlite3_column_int64(statement, 0) >> TOME_ORDINAL_BITS;
        is_visible = tome_visible_find(run->visible, book_id) >= 0;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    *ret_is_visible = is_visible;
    return result < 0 ? result : 0;
}

static int count_word(struct tome_search_run *const run, const struct bh_str word,
                      const int64_t least, int64_t *const ret_count, struct bh_error *const reterr)
{
    struct bh_buf expression BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&expression, 1024);
    bh_buf_printf(&expression, "body:\"%.*s\"", BH_STR_ARGS(word));
    if (bh_buf_error(&expression) != 0)
        return no_memory(reterr);
    int64_t count = 0;
    bool is_visible = false;
    int result = tome_search_session_count(session_of(run), kept_of(run), bh_buf_peek(&expression),
                                           &count, reterr);
    if (result == 0 && count > least)
        result = check_visible(run, bh_buf_peek(&expression), &is_visible, reterr);
    *ret_count = is_visible ? count : 0;
    return result;
}

static const struct tome_search_source source = {
    .begin = begin_plan,
    .match_books = match_books,
    .match_fields = match_fields,
    .filter_books = filter_books,
    .order_books = order_books,
    .count = count_chunks,
    .scan = scan_chunks,
    .words = find_words,
    .expect_words = expect_words,
    .count_word = count_word,
};

/* ---- Rows of the answer ---- */

/* Columns of search_details.sql; search_titles.sql has only the title. */
static struct tome_search_row row_of(sqlite3_stmt *const statement, const bool with_details)
{
    if (!with_details)
        return (struct tome_search_row){ .title = tome_search_column(statement, 0) };
    return (struct tome_search_row){
        .title = tome_search_column(statement, 1),
        .author = tome_search_column(statement, 2),
        .source_type = tome_search_column(statement, 3),
        .page_kind = tome_search_column(statement, 4),
        .language = tome_language_from_code(tome_search_column(statement, 5)),
        .tags = tome_search_column(statement, 6),
        .metadata = tome_search_column(statement, 7),
        .chapter = tome_search_column(statement, 8),
        .page_number = sqlite3_column_int64(statement, 9),
        .page_breaks = tome_search_column(statement, 10),
        .paragraph = sqlite3_column_int64(statement, 11),
        .content = tome_search_column(statement, 12),
        .labels = tome_search_column(statement, 13),
    };
}

static int read_rows(struct tome_search_job *const job, struct tome_search_run *const run,
                     struct bh_error *const reterr)
{
    const bool with_details = tome_search_job_wants_details(job);
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(
        session_of(run), with_details ? &TOME_SQL_SEARCH_DETAILS : &TOME_SQL_SEARCH_TITLES,
        &statement, reterr);
    if (result < 0 || job->count == 0)
        return result;
    struct bh_buf ids BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&ids, IDS_BYTES_MAX);
    tome_search_job_ids(job, &ids);
    if (bh_buf_error(&ids) != 0)
        return no_memory(reterr);
    sqlite3_bind_text(statement, 1, ids.data, (int)ids.size, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, job->request->owner_id);
    size_t i = 0;
    while (i < job->count && (result = tome_search_step(session_of(run), statement, reterr)) == 1) {
        const struct tome_search_row row = row_of(statement, with_details);
        result = tome_search_job_row(job, run, i, &row, reterr);
        if (result < 0)
            break;
        i++;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (result < 0)
        return result;
    return i < job->count ? tome_search_job_lost(job, i, reterr) : 0;
}

static int read_facets(struct tome_search_job *const job, struct tome_search_run *const run,
                       struct bh_error *const reterr)
{
    struct tome_facets *facets = NULL;
    sqlite3_stmt *statement = NULL;
    int result = tome_facets_begin(run, &facets, reterr);
    if (result == 0)
        result = bh_sqlite_prepare(session_of(run), &TOME_SQL_SEARCH_FACET, &statement, reterr);
    for (size_t i = 0; i < run->visible->book_count && result >= 0; i++) {
        if (run->scan.books[i].hit_count == 0)
            continue;
        sqlite3_bind_int64(statement, 1, run->visible->books[i].id);
        sqlite3_bind_int64(statement, 2, run->request->owner_id);
        result = tome_search_step(session_of(run), statement, reterr);
        if (result == 1)
            result = tome_facets_add(
                facets, run, i, tome_search_column(statement, 0), tome_search_column(statement, 1),
                tome_search_column(statement, 2), tome_search_column(statement, 3), reterr);
        sqlite3_reset(statement);
    }
    if (result < 0)
        return result;
    tome_facets_end(facets, &job->answer.chunks);
    return 0;
}

/* ---- The job ---- */

static int begin(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    sqlite3 *const connection = bh_sqlite_handle(session);
    const int result = sqlite3_exec(connection, "BEGIN", NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : bh_sqlite_error(connection, result, "search", reterr);
}

/* Nothing was written: the end of the snapshot cannot lose anything. */
static void end(struct bh_sqlite_session *const session)
{
    sqlite3_exec(bh_sqlite_handle(session), "ROLLBACK", NULL, NULL, NULL);
}

static int search_in_snapshot(struct tome_search_job *const job, struct sqlite_search *const search,
                              struct bh_error *const reterr)
{
    struct tome_search_run run = {
        .source = &source,
        .context = search,
        .visible = &search->kept->visible,
        .analyzer = search->kept->analyzer,
        .read_lengths = read_lengths,
    };
    tome_search_job_begin(job, &run);
    int result = tome_search_job_pick(job, &run, reterr);
    if (result == 0)
        result = read_rows(job, &run, reterr);
    if (result == 0 && job->request->facets && !job->by_book)
        result = read_facets(job, &run, reterr);
    if (result == 0)
        tome_search_job_finish(job);
    tome_search_run_fini(&run);
    return result;
}

static int search_on_connection(struct bh_sqlite_session *const session, void *const argument,
                                struct bh_error *const reterr)
{
    struct tome_search_job *const job = argument;
    struct sqlite_search search = { .session = session };
    int result = begin(session, reterr);
    if (result < 0)
        return result;
    result = tome_search_session_get(session, job->request->owner_id, &search.kept, reterr);
    if (result == 0)
        result = search_in_snapshot(job, &search, reterr);
    bh_sqlite_set_rows(session, job->count);
    end(session);
    return result;
}

int tome_search_sqlite(struct bh_db *const db, struct tome_search_job *const job,
                       struct bh_error *const reterr)
{
    return bh_sqlite_run(db, BH_DB_READ, job->by_book ? "search_books" : "search",
                         search_on_connection, job, reterr);
}

int tome_search_connect(sqlite3 *const connection, const bool writer, void *const argument)
{
    (void)writer;
    (void)argument;
    return tome_fts5_register(connection);
}
