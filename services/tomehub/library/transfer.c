#include "library/transfer.h"

#include "library/intake.h"
#include "library/library.h"
#include "tomehub_sql.h"

#define CHUNKS_AT_ONCE 256
#define ARENA_BYTES_MAX ((size_t)64 << 20)

/* Columns of transfer_books.sql, which book_put.sql takes in the same order. */
enum { COLUMN_ID, COLUMN_OWNER, COLUMN_TITLE, COLUMN_AUTHOR, COLUMN_LANGUAGE = 5 };

struct transfer {
    struct bh_db_transaction *source, *target;
    enum tome_index_form form;
    struct tome_analyzer *analyzer;
    struct bh_arena *arena, *batch_arena; /* of the book, of the batch */
    struct tome_transfer_counts done, total;
    tome_transfer_progress *progress;
    void *argument;
    struct bh_str title; /* of the book at hand */
    struct bh_error *reterr;
};

/* All rows of a result, as they are, through a statement that takes the same columns. */
static int put_rows(const struct transfer *const transfer,
                    const struct bh_statement *const statement, const struct bh_db_rows *const rows)
{
    return rows->row_count == 0 ? 0
                                : bh_db_transaction_many(transfer->target, statement, rows->values,
                                                         rows->column_count, rows->row_count, NULL,
                                                         transfer->reterr);
}

/* ---- Counts ---- */

static int count(struct bh_db_transaction *const transaction, struct bh_arena *const arena,
                 struct tome_transfer_counts *const ret_counts, struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_TRANSFER_COUNTS, NULL, 0,
                                               arena, &rows, reterr);
    if (result == 0)
        *ret_counts = (struct tome_transfer_counts){ .books = bh_db_int_at(&rows, 0, 0),
                                                     .chapters = bh_db_int_at(&rows, 0, 1),
                                                     .labels = bh_db_int_at(&rows, 0, 2),
                                                     .chunks = bh_db_int_at(&rows, 0, 3),
                                                     .words = bh_db_int_at(&rows, 0, 4) };
    return result;
}

static bool are_equal(const struct tome_transfer_counts *const a,
                      const struct tome_transfer_counts *const b)
{
    return a->books == b->books && a->chapters == b->chapters && a->labels == b->labels &&
           a->chunks == b->chunks && a->words == b->words;
}

static int check_empty(const struct transfer *const transfer)
{
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transfer->target, &TOME_SQL_TRANSFER_IS_EMPTY, NULL,
                                               0, transfer->arena, &rows, transfer->reterr);
    if (result != 0)
        return result;
    return bh_db_int_at(&rows, 0, 0) != 0
               ? 0
               : bh_error_set(
                     transfer->reterr, BH_ECONFLICT,
                     "the target holds books, jobs or keys already; give an empty database");
}

/* What has arrived is counted by the target itself. */
static int check_arrived(const struct transfer *const transfer)
{
    struct tome_transfer_counts arrived;
    const int result = count(transfer->target, transfer->arena, &arrived, transfer->reterr);
    if (result != 0 || are_equal(&arrived, &transfer->total))
        return result;
    return bh_error_set(transfer->reterr, BH_ECORRUPT,
                        "%lld books with %lld chunks were to arrive, %lld with %lld did: nothing "
                        "is kept; run `tomehub check` on the source",
                        (long long)transfer->total.books, (long long)transfer->total.chunks,
                        (long long)arrived.books, (long long)arrived.chunks);
}

/* ---- Books ---- */

static int index_chunks(const struct transfer *const transfer, const int64_t owner_id,
                        const enum tome_language language, const struct bh_db_rows *const rows)
{
    struct tome_index_chunk chunks[CHUNKS_AT_ONCE];
    struct tome_index_batch *batch BH_CLEANUP(tome_index_batch_destroy_cleanup) = NULL;
    for (size_t i = 0; i < rows->row_count; i++)
        chunks[i] = (struct tome_index_chunk){
            .id = bh_db_int_at(rows, i, 0),
            .heading = bh_db_text_at(rows, i, 3),
            .content = bh_db_text_at(rows, i, TOME_CHUNK_COLUMNS - 1),
        };
    int result = tome_index_prepare(transfer->form, transfer->analyzer, language, chunks,
                                    rows->row_count, &batch, transfer->reterr);
    if (result == 0)
        result = tome_index_add_words(transfer->target, owner_id, batch, NULL, transfer->reterr);
    if (result == 0)
        result = tome_index_add_chunks(transfer->target, batch, transfer->reterr);
    return result;
}

static int transfer_chunks(struct transfer *const transfer, const int64_t book_id,
                           const int64_t owner_id, const enum tome_language language)
{
    int64_t after = tome_chunk_id_first(book_id) - 1;
    for (size_t count = CHUNKS_AT_ONCE; count == CHUNKS_AT_ONCE;) {
        const struct bh_db_value range[] = { bh_db_int(after),
                                             bh_db_int(tome_chunk_id_last(book_id)),
                                             bh_db_int(CHUNKS_AT_ONCE) };
        struct bh_db_rows rows;
        bh_arena_reset(transfer->batch_arena);
        int result = bh_db_transaction_query(transfer->source, &TOME_SQL_TRANSFER_CHUNKS, range,
                                             BH_COUNT_OF(range), transfer->batch_arena, &rows,
                                             transfer->reterr);
        if (result == 0)
            result = put_rows(transfer, &TOME_SQL_CHUNK_INSERT, &rows);
        if (result == 0 && rows.row_count > 0)
            result = index_chunks(transfer, owner_id, language, &rows);
        if (result != 0)
            return result;
        count = rows.row_count;
        transfer->done.chunks += (int64_t)count;
        transfer->progress(transfer->argument, &transfer->done, &transfer->total, transfer->title);
        if (count > 0)
            after = bh_db_int_at(&rows, count - 1, 0);
    }
    return 0;
}

static int transfer_parts(const struct transfer *const transfer, const int64_t book_id)
{
    const struct {
        const struct bh_statement *read, *put;
    } parts[] = { { &TOME_SQL_TRANSFER_CHAPTERS, &TOME_SQL_CHAPTER_INSERT },
                  { &TOME_SQL_TRANSFER_LABELS, &TOME_SQL_PAGE_LABEL_INSERT },
                  { &TOME_SQL_TRANSFER_CONCEPTS, &TOME_SQL_CONCEPT_INSERT },
                  { &TOME_SQL_TRANSFER_RELATIONS, &TOME_SQL_RELATION_INSERT } };
    const struct bh_db_value book = bh_db_int(book_id);
    int result = 0;
    for (size_t i = 0; i < BH_COUNT_OF(parts) && result == 0; i++) {
        struct bh_db_rows rows;
        bh_arena_reset(transfer->batch_arena);
        result = bh_db_transaction_query(transfer->source, parts[i].read, &book, 1,
                                         transfer->batch_arena, &rows, transfer->reterr);
        if (result == 0)
            result = put_rows(transfer, parts[i].put, &rows);
    }
    return result;
}

/* The next book behind `*after`, which moves. */
static int transfer_book(struct transfer *const transfer, int64_t *const after,
                         bool *const ret_done)
{
    const struct bh_db_value parameters[] = { bh_db_int(*after), bh_db_int(1) };
    struct bh_db_rows rows;
    bh_arena_reset(transfer->arena);
    int result = bh_db_transaction_query(transfer->source, &TOME_SQL_TRANSFER_BOOKS, parameters,
                                         BH_COUNT_OF(parameters), transfer->arena, &rows,
                                         transfer->reterr);
    *ret_done = result == 0 && rows.row_count == 0;
    if (result != 0 || *ret_done)
        return result;
    const int64_t id = bh_db_int_at(&rows, 0, COLUMN_ID);
    const int64_t owner_id = bh_db_int_at(&rows, 0, COLUMN_OWNER);
    transfer->title = bh_db_text_at(&rows, 0, COLUMN_TITLE);
    result = put_rows(transfer, &TOME_SQL_BOOK_PUT, &rows);
    if (result == 0)
        result = tome_index_set_book(transfer->target, transfer->analyzer, owner_id, id,
                                     transfer->title, bh_db_text_at(&rows, 0, COLUMN_AUTHOR),
                                     transfer->reterr);
    if (result == 0)
        result = transfer_parts(transfer, id);
    if (result == 0)
        result = transfer_chunks(transfer, id, owner_id,
                                 tome_language_from_code(bh_db_text_at(&rows, 0, COLUMN_LANGUAGE)));
    transfer->done.books++;
    *after = id;
    return result;
}

/* ---- All of it ---- */

static int transfer_owners(const struct transfer *const transfer)
{
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transfer->source, &TOME_SQL_TRANSFER_OWNERS, NULL, 0,
                                               transfer->arena, &rows, transfer->reterr);
    return result != 0 ? result : put_rows(transfer, &TOME_SQL_OWNER_PUT, &rows);
}

/* Whoever has a key has it there, too. */
static int transfer_keys(const struct transfer *const transfer)
{
    struct bh_db_rows rows, ignored;
    int result = bh_db_transaction_query(transfer->source, &TOME_SQL_TRANSFER_KEYS, NULL, 0,
                                         transfer->arena, &rows, transfer->reterr);
    if (result == 0)
        result = put_rows(transfer, &TOME_SQL_KEY_PUT, &rows);
    return result != 0
               ? result
               : bh_db_transaction_query(transfer->target, &TOME_SQL_KEY_CHANGES_CATCH_UP, NULL, 0,
                                         transfer->arena, &ignored, transfer->reterr);
}

/* Ids that were given are not given again, also of books that are gone. */
static int transfer_last_book(const struct transfer *const transfer)
{
    struct bh_db_rows rows, ignored;
    const int result = bh_db_transaction_query(transfer->source, &TOME_SQL_TRANSFER_LAST_BOOK, NULL,
                                               0, transfer->arena, &rows, transfer->reterr);
    if (result != 0 || rows.row_count == 0)
        return result;
    const struct bh_db_value last = *bh_db_at(&rows, 0, 0);
    return bh_db_transaction_query(transfer->target, &TOME_SQL_BOOK_IDS_FROM, &last, 1,
                                   transfer->arena, &ignored, transfer->reterr);
}

static int transfer_all(struct transfer *const transfer)
{
    const struct bh_db_value version = bh_db_int(TOME_ANALYSIS_VERSION);
    struct bh_db_rows ignored;
    int result = check_empty(transfer);
    if (result == 0)
        result = count(transfer->source, transfer->arena, &transfer->total, transfer->reterr);
    if (result == 0)
        result = transfer_owners(transfer);
    if (result == 0)
        result = transfer_keys(transfer);
    int64_t after = 0;
    for (bool is_done = false; result == 0 && !is_done;)
        result = transfer_book(transfer, &after, &is_done);
    if (result == 0)
        result = transfer_last_book(transfer);
    if (result == 0)
        result = bh_db_transaction_query(transfer->target, &TOME_SQL_INDEX_STATE_SET, &version, 1,
                                         transfer->arena, &ignored, transfer->reterr);
    return result == 0 ? check_arrived(transfer) : result;
}

int tome_transfer(struct bh_db *const from, struct bh_db *const to,
                  tome_transfer_progress *const progress, void *const argument,
                  struct tome_transfer_counts *const ret_counts, struct bh_error *const reterr)
{
    struct tome_analyzer *analyzer BH_CLEANUP(tome_analyzer_destroy_cleanup) = NULL;
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    struct bh_arena *batch_arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    if (tome_analyzer_create(&analyzer) < 0 || bh_arena_create(ARENA_BYTES_MAX, &arena) < 0 ||
        bh_arena_create(ARENA_BYTES_MAX, &batch_arena) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to move a library");
    struct transfer transfer = { .form = tome_index_form(to),
                                 .analyzer = analyzer,
                                 .arena = arena,
                                 .batch_arena = batch_arena,
                                 .progress = progress,
                                 .argument = argument,
                                 .reterr = reterr };
    int result = bh_db_begin(from, BH_DB_READ, &transfer.source, reterr);
    if (result == 0)
        result = bh_db_begin(to, BH_DB_WRITE, &transfer.target, reterr);
    if (result == 0)
        result = transfer_all(&transfer);
    result = tome_transaction_end(transfer.target, result, reterr);
    bh_db_rollback(transfer.source); /* it has only read */
    if (result == 0)
        *ret_counts = transfer.total;
    return result;
}
