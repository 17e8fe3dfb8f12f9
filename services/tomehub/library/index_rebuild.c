/*
 * The index's version, and making it anew. While it is being made the version's row is missing, so
 * a rebuild that was cut short is noticed at the next start.
 */
#include "bulkhead/base/log.h"
#include "library/index.h"
#include "tomehub_sql.h"

#define BOOKS_AT_ONCE 64
#define CHUNKS_AT_ONCE 64
#define ARENA_BYTES (16U << 20)

static int run(struct bh_db_transaction *const transaction,
               const struct bh_statement *const statement, struct bh_arena *const arena,
               struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    return bh_db_transaction_query(transaction, statement, NULL, 0, arena, &rows, reterr);
}

static int set_version(struct bh_db *const db, struct bh_arena *const arena,
                       struct bh_error *const reterr)
{
    const struct bh_db_value version = bh_db_int(TOME_ANALYSIS_VERSION);
    struct bh_db_rows rows;
    return bh_db_query(db, BH_DB_WRITE, &TOME_SQL_INDEX_STATE_SET, &version, 1, arena, &rows,
                       reterr);
}

int tome_index_check_version(struct bh_db *const db, struct bh_error *const reterr)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    if (bh_arena_create(4096, &arena) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to read the index's version");
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_INDEX_STATE_GET, NULL, 0, arena, &rows,
                                   reterr);
    if (result < 0)
        return result;
    const bool is_known = !bh_db_is_null_at(&rows, 0, 0);
    if (is_known && bh_db_int_at(&rows, 0, 0) == TOME_ANALYSIS_VERSION)
        return 0;
    const bool is_empty = bh_db_int_at(&rows, 0, 1) == 0;
    if (is_empty)
        return set_version(db, arena, reterr);
    return bh_error_set(reterr, BH_ECONFLICT,
                        is_known ? "the search index was made by another version of TomeHub; "
                                   "rebuild it with `tomehub check --rebuild-index`"
                                 : "the search index was not made to its end; "
                                   "rebuild it with `tomehub check --rebuild-index`");
}

/* ---- Rebuild ---- */

struct book {
    int64_t id, owner_id;
    enum tome_language language;
    struct bh_str title, author;
};

static int clear_index(struct bh_db *const db, struct bh_arena *const arena,
                       struct bh_error *const reterr)
{
    static const struct bh_statement *const statements[] = {
        &TOME_SQL_INDEX_STATE_CLEAR, &TOME_SQL_INDEX_CLEAR_CHUNKS,  &TOME_SQL_INDEX_CLEAR_BOOKS,
        &TOME_SQL_INDEX_CLEAR_WORDS, &TOME_SQL_INDEX_CLEAR_LENGTHS, &TOME_SQL_WORD_GENERATIONS_BUMP,
    };
    struct bh_db_transaction *transaction = NULL;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0 && tome_index_form(db) == TOME_INDEX_POSTINGS)
        result = run(transaction, &TOME_SQL_INDEX_CLEAR_MERGING, arena, reterr);
    for (size_t i = 0; i < BH_COUNT_OF(statements) && result == 0; i++)
        result = run(transaction, statements[i], arena, reterr);
    if (result == 0)
        return bh_db_commit(transaction, reterr);
    bh_db_rollback(transaction);
    return result;
}

/* Indexes the chunks behind `*after`, which moves to the last of them. `*ret_done`: there were
 * none. */
static int rebuild_chunks(struct bh_db *const db, struct tome_analyzer *const analyzer,
                          const struct book *const book, struct bh_arena *const arena,
                          int64_t *const after, bool *const ret_done, struct bh_error *const reterr)
{
    const struct bh_db_value range[] = {
        bh_db_int(*after),
        bh_db_int(((book->id + 1) << TOME_ORDINAL_BITS) - 1),
        bh_db_int(CHUNKS_AT_ONCE),
    };
    struct bh_db_rows rows;
    int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_INDEX_REBUILD_CHUNKS, range,
                             BH_COUNT_OF(range), arena, &rows, reterr);
    if (result < 0)
        return result;
    *ret_done = rows.row_count == 0;
    if (*ret_done)
        return 0;
    struct tome_index_chunk chunks[CHUNKS_AT_ONCE];
    for (size_t i = 0; i < rows.row_count; i++)
        chunks[i] = (struct tome_index_chunk){ .id = bh_db_int_at(&rows, i, 0),
                                               .heading = bh_db_text_at(&rows, i, 1),
                                               .content = bh_db_text_at(&rows, i, 2) };
    *after = bh_db_int_at(&rows, rows.row_count - 1, 0);

    struct tome_index_batch *batch BH_CLEANUP(tome_index_batch_destroy_cleanup) = NULL;
    result = tome_index_prepare(tome_index_form(db), analyzer, book->language, chunks,
                                rows.row_count, &batch, reterr);
    if (result < 0)
        return result;
    struct bh_db_transaction *transaction = NULL;
    result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = tome_index_add_words(transaction, book->owner_id, batch, NULL, reterr);
    if (result == 0)
        result = tome_index_add_chunks(transaction, batch, reterr);
    if (result == 0)
        return bh_db_commit(transaction, reterr);
    bh_db_rollback(transaction);
    return result;
}

static int rebuild_book(struct bh_db *const db, struct tome_analyzer *const analyzer,
                        const struct book *const book, struct bh_arena *const arena,
                        struct bh_error *const reterr)
{
    struct bh_db_transaction *transaction = NULL;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = tome_index_set_book(transaction, analyzer, book->owner_id, book->id, book->title,
                                     book->author, reterr);
    if (result == 0)
        result = bh_db_commit(transaction, reterr);
    else
        bh_db_rollback(transaction);
    int64_t after = (book->id << TOME_ORDINAL_BITS) - 1;
    bool is_done = false;
    while (result == 0 && !is_done) {
        bh_arena_reset(arena);
        result = rebuild_chunks(db, analyzer, book, arena, &after, &is_done, reterr);
    }
    return result;
}

/* The next books behind `*after`, which moves. */
static int rebuild_books(struct bh_db *const db, struct tome_analyzer *const analyzer,
                         struct bh_arena *const books_arena, struct bh_arena *const chunks_arena,
                         int64_t *const after, bool *const ret_done, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(*after), bh_db_int(BOOKS_AT_ONCE) };
    struct bh_db_rows rows;
    int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_INDEX_REBUILD_BOOKS, parameters,
                             BH_COUNT_OF(parameters), books_arena, &rows, reterr);
    if (result < 0)
        return result;
    *ret_done = rows.row_count == 0;
    for (size_t i = 0; i < rows.row_count && result == 0; i++) {
        const struct book book = {
            .id = bh_db_int_at(&rows, i, 0),
            .owner_id = bh_db_int_at(&rows, i, 1),
            .language = tome_language_from_code(bh_db_text_at(&rows, i, 2)),
            .title = bh_db_text_at(&rows, i, 3),
            .author = bh_db_text_at(&rows, i, 4),
        };
        result = rebuild_book(db, analyzer, &book, chunks_arena, reterr);
        *after = book.id;
    }
    return result;
}

int tome_index_rebuild(struct bh_db *const db, struct bh_error *const reterr)
{
    struct tome_analyzer *analyzer BH_CLEANUP(tome_analyzer_destroy_cleanup) = NULL;
    struct bh_arena *books_arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    struct bh_arena *chunks_arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    if (tome_analyzer_create(&analyzer) < 0 || bh_arena_create(ARENA_BYTES, &books_arena) < 0 ||
        bh_arena_create(ARENA_BYTES, &chunks_arena) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to rebuild the search index");

    bh_log_info("index", "rebuilding the search index; searches find less until it is done");
    int result = clear_index(db, books_arena, reterr);
    int64_t after = 0;
    bool is_done = false;
    while (result == 0 && !is_done) {
        bh_arena_reset(books_arena);
        result = rebuild_books(db, analyzer, books_arena, chunks_arena, &after, &is_done, reterr);
    }
    if (result == 0) /* counts that searches kept meanwhile are those of a partial index */
        result = bh_db_query(db, BH_DB_WRITE, &TOME_SQL_GENERATIONS_BUMP, NULL, 0, NULL, NULL,
                             reterr);
    if (result == 0)
        result = set_version(db, books_arena, reterr);
    if (result == 0)
        bh_log_info("index", "the search index is rebuilt");
    return result;
}
