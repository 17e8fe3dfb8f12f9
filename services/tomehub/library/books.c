/* Statements of the books table as readers use it. */
#include "library/books.h"

#include <string.h>

#include "bulkhead/base/time.h"
#include "tomehub_sql.h"

/* The columns stand in this order in every statement that returns books. */
static struct tome_book book_at(const struct bh_db_rows *const rows, const size_t row)
{
    return (struct tome_book){
        .id = bh_db_int_at(rows, row, 0),
        .title = bh_db_text_at(rows, row, 1),
        .author = bh_db_text_at(rows, row, 2),
        .source_type = bh_db_text_at(rows, row, 3),
        .language = bh_db_text_at(rows, row, 4),
        .tags = bh_db_text_at(rows, row, 5),
        .metadata = bh_db_text_at(rows, row, 6),
        .page_kind = bh_db_text_at(rows, row, 7),
        .page_count = bh_db_int_at(rows, row, 8),
        .chunk_count = bh_db_int_at(rows, row, 9),
        .word_count = bh_db_int_at(rows, row, 10),
        .file_name = bh_db_text_at(rows, row, 11),
        .byte_size = bh_db_int_at(rows, row, 12),
        .created_at = bh_db_int_at(rows, row, 13),
        .updated_at = bh_db_int_at(rows, row, 14),
    };
}

static int no_such_book(const int64_t book_id, struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOTFOUND, "there is no book %lld", (long long)book_id);
}

static int books_of(const struct bh_db_rows *const rows, struct bh_arena *const arena,
                    struct tome_books *const ret_books, struct bh_error *const reterr)
{
    struct tome_book *const books = bh_arena_calloc(arena, rows->row_count + 1, sizeof(*books));
    if (books == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows->row_count; row++)
        books[row] = book_at(rows, row);
    *ret_books = (struct tome_books){ .books = books, .count = rows->row_count };
    return 0;
}

int tome_books_get(struct bh_db *const db, const int64_t owner_id, const int64_t book_id,
                   struct bh_arena *const arena, struct tome_book *const ret_book,
                   struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(book_id) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_BOOK_BY_ID, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    if (rows.row_count == 0)
        return no_such_book(book_id, reterr);
    *ret_book = book_at(&rows, 0);
    return 0;
}

int tome_books_chapters(struct bh_db *const db, const int64_t owner_id, const int64_t book_id,
                        struct bh_arena *const arena,
                        const struct tome_chapter **const ret_chapters, size_t *const ret_count,
                        struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(book_id) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_BOOK_CHAPTERS, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    struct tome_chapter *const chapters = bh_arena_calloc(arena, rows.row_count + 1,
                                                          sizeof(*chapters));
    if (chapters == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        chapters[row] = (struct tome_chapter){ .title = bh_db_text_at(&rows, row, 0),
                                               .page_number = bh_db_int_at(&rows, row, 1) };
    *ret_chapters = chapters;
    *ret_count = rows.row_count;
    return 0;
}

/* ---- Lists ---- */

struct bh_str tome_books_fold(struct tome_analyzer *const analyzer, const struct bh_str text,
                              struct bh_arena *const arena)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) folded;
    bh_buf_init(&folded, 4 * text.size + 64);
    tome_analyzer_begin(analyzer, text);
    struct tome_token token;
    while (tome_analyzer_next(analyzer, &token)) {
        if (folded.size > 0)
            bh_buf_append_byte(&folded, ' ');
        bh_buf_append_str(&folded, token.form);
    }
    const char *const copy = bh_buf_error(&folded) == 0
                                 ? bh_arena_strdup(arena, bh_buf_peek(&folded))
                                 : NULL;
    return (struct bh_str){ .data = copy, .size = copy != NULL ? folded.size : 0 };
}

/* Folds with an analyzer of its own, for calls that are too rare to keep one. */
static int fold_alone(const struct bh_str text, struct bh_arena *const arena,
                      struct bh_str *const ret_folded, struct bh_error *const reterr)
{
    struct tome_analyzer *BH_CLEANUP(tome_analyzer_destroy_cleanup) analyzer = NULL;
    if (tome_analyzer_create(&analyzer) != 0)
        return tome_error_memory(reterr);
    const struct bh_str folded = tome_books_fold(analyzer, text, arena);
    if (folded.data == NULL)
        return tome_error_memory(reterr);
    *ret_folded = folded;
    return 0;
}

int tome_books_list(struct bh_db *const db, const int64_t owner_id, const struct bh_str look_up,
                    const enum tome_books_sort sort, const int64_t page, const int64_t page_size,
                    struct bh_arena *const arena, struct tome_books *const ret_books,
                    int64_t *const ret_total, struct bh_error *const reterr)
{
    const struct bh_statement *const statements[] = {
        [TOME_BOOKS_TITLE] = &TOME_SQL_BOOKS_BY_TITLE,
        [TOME_BOOKS_NEWEST] = &TOME_SQL_BOOKS_BY_NEWEST,
        [TOME_BOOKS_AUTHOR] = &TOME_SQL_BOOKS_BY_AUTHOR,
    };
    struct bh_str folded = BH_STR("");
    int result = look_up.size > 0 ? fold_alone(look_up, arena, &folded, reterr) : 0;
    if (result != 0)
        return result;
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_text(folded),
                                              bh_db_int(page_size),
                                              bh_db_int((page - 1) * page_size) };
    struct bh_db_transaction *snapshot = NULL;
    struct bh_db_rows rows, count;
    result = bh_db_begin(db, BH_DB_READ, &snapshot, reterr);
    if (result == 0)
        result = bh_db_transaction_query(snapshot, &TOME_SQL_BOOKS_COUNT, parameters, 2, arena,
                                         &count, reterr);
    if (result == 0)
        result = bh_db_transaction_query(snapshot, statements[sort], parameters,
                                         BH_COUNT_OF(parameters), arena, &rows, reterr);
    bh_db_rollback(snapshot);
    if (result == 0)
        result = books_of(&rows, arena, ret_books, reterr);
    if (result == 0)
        *ret_total = bh_db_int_at(&count, 0, 0);
    return result;
}

int tome_books_after(struct bh_db *const db, const int64_t owner_id, const int64_t after,
                     const int64_t limit, struct bh_arena *const arena,
                     struct tome_books *const ret_books, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(after),
                                              bh_db_int(limit) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_BOOKS_AFTER, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    return result != 0 ? result : books_of(&rows, arena, ret_books, reterr);
}

/* ---- Changes ---- */

static struct bh_db_value text_or_null(const struct bh_str text)
{
    return text.data != NULL ? bh_db_text(text) : bh_db_null();
}

/* The parts of an update that share its transaction. */
static int update_in(struct bh_db_transaction *const transaction,
                     struct tome_analyzer *const analyzer, const int64_t owner_id,
                     const int64_t book_id, const struct bh_db_value *const parameters,
                     const size_t parameter_count, struct bh_arena *const arena,
                     struct bh_error *const reterr)
{
    struct bh_db_rows rows, none;
    int result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_UPDATE, parameters,
                                         parameter_count, arena, &rows, reterr);
    if (result == 0 && rows.row_count == 0)
        result = no_such_book(book_id, reterr);
    if (result == 0)
        result = tome_index_set_book(transaction, analyzer, owner_id, book_id,
                                     bh_db_text_at(&rows, 0, 0), bh_db_text_at(&rows, 0, 1),
                                     reterr);
    if (result == 0)
        result = bh_db_transaction_query(transaction, &TOME_SQL_GENERATION_BUMP, parameters, 1,
                                         arena, &none, reterr);
    return result;
}

int tome_books_update(struct bh_db *const db, const int64_t owner_id, const int64_t book_id,
                      const struct tome_book_changes *const changes, struct bh_arena *const arena,
                      struct bh_error *const reterr)
{
    struct tome_analyzer *BH_CLEANUP(tome_analyzer_destroy_cleanup) analyzer = NULL;
    if (tome_analyzer_create(&analyzer) != 0)
        return tome_error_memory(reterr);
    const bool has_title = changes->title.data != NULL, has_author = changes->author.data != NULL;
    const struct bh_str title_sort = has_title ? tome_books_fold(analyzer, changes->title, arena)
                                               : BH_STR_NONE;
    const struct bh_str author_sort = has_author ? tome_books_fold(analyzer, changes->author, arena)
                                                 : BH_STR_NONE;
    if ((has_title && title_sort.data == NULL) || (has_author && author_sort.data == NULL))
        return tome_error_memory(reterr);
    const struct bh_db_value parameters[] = {
        bh_db_int(owner_id),
        bh_db_int(book_id),
        text_or_null(changes->title),
        text_or_null(changes->author),
        text_or_null(changes->source_type),
        text_or_null(changes->tags),
        text_or_null(changes->metadata),
        text_or_null(title_sort),
        text_or_null(author_sort),
        bh_db_int(bh_time_wall_us()),
    };
    struct bh_db_transaction *transaction = NULL;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = update_in(transaction, analyzer, owner_id, book_id, parameters,
                           BH_COUNT_OF(parameters), arena, reterr);
    return tome_transaction_end(transaction, result, reterr);
}

int tome_books_delete(struct bh_db *const db, const int64_t owner_id, const int64_t book_id,
                      struct bh_arena *const arena, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(book_id) };
    struct bh_db_transaction *transaction = NULL;
    struct bh_db_rows rows;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_HIDE, parameters,
                                         BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result == 0 && rows.changes == 0)
        result = no_such_book(book_id, reterr);
    if (result == 0)
        result = bh_db_transaction_query(transaction, &TOME_SQL_GENERATION_BUMP, parameters, 1,
                                         arena, &rows, reterr);
    return tome_transaction_end(transaction, result, reterr);
}
