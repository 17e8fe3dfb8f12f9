/* Statements that fill a loading book, publish it, and purge one. */
#include "library/intake.h"

#include "bulkhead/base/time.h"
#include "library/books.h"
#include "tomehub_sql.h"

/* ---- Filling ---- */

static int insert_many(struct bh_db_transaction *const transaction,
                       const struct bh_statement *const statement,
                       const struct bh_db_value *const values, const size_t columns,
                       const size_t count, struct bh_error *const reterr)
{
    return count == 0 ? 0
                      : bh_db_transaction_many(transaction, statement, values, columns, count, NULL,
                                               reterr);
}

static int write_rows(struct bh_db_transaction *const transaction,
                      const struct tome_claim *const claim,
                      const struct tome_intake_rows *const rows,
                      struct tome_known_words *const known, struct bh_error *const reterr)
{
    int result = insert_many(transaction, &TOME_SQL_CHUNK_INSERT, rows->chunks, TOME_CHUNK_COLUMNS,
                             rows->chunk_count, reterr);
    if (result == 0)
        result = insert_many(transaction, &TOME_SQL_CHAPTER_INSERT, rows->chapters,
                             TOME_CHAPTER_COLUMNS, rows->chapter_count, reterr);
    if (result == 0)
        result = insert_many(transaction, &TOME_SQL_PAGE_LABEL_INSERT, rows->labels,
                             TOME_LABEL_COLUMNS, rows->label_count, reterr);
    if (result == 0 && rows->index != NULL)
        result = tome_index_add_words(transaction, claim->owner_id, rows->index, known, reterr);
    return result;
}

static int write_language(struct bh_db_transaction *const transaction, const int64_t book_id,
                          const struct bh_str language, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(book_id), bh_db_text(language) };
    return bh_db_transaction_query(transaction, &TOME_SQL_BOOK_LANGUAGE, parameters,
                                   BH_COUNT_OF(parameters), NULL, NULL, reterr);
}

/* A statement on the job, which must still be this attempt's: the process may have been cut off
 * from the database and thought dead. */
static int write_job(struct bh_db_transaction *const transaction,
                     const struct bh_statement *const statement,
                     const struct bh_db_value *const parameters, const size_t count,
                     struct bh_error *const reterr)
{
    int64_t changes = 0;
    const int result = bh_db_transaction_many(transaction, statement, parameters, count, 1,
                                              &changes, reterr);
    return result == 0 && changes == 0
               ? bh_error_set(reterr, BH_ECONFLICT, "another process has taken over job %lld",
                              (long long)parameters[0].integer)
               : result;
}

static int write_progress(struct bh_db_transaction *const transaction,
                          const struct tome_claim *const claim,
                          const struct tome_intake_progress *const progress,
                          struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = {
        bh_db_int(claim->job_id), bh_db_int(progress->percent), bh_db_int(progress->pages),
        bh_db_int(progress->chunks), bh_db_int(claim->attempt)
    };
    return write_job(transaction, &TOME_SQL_JOB_PROGRESS, parameters, BH_COUNT_OF(parameters),
                     reterr);
}

/* ---- Publishing ---- */

/* The replaced book goes in the same step; that it is gone already is fine. */
static int hide_replaced(struct bh_db_transaction *const transaction,
                         const struct tome_claim *const claim, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(claim->owner_id),
                                              bh_db_int(claim->replaces) };
    return claim->replaces == 0
               ? 0
               : bh_db_transaction_query(transaction, &TOME_SQL_BOOK_HIDE, parameters,
                                         BH_COUNT_OF(parameters), NULL, NULL, reterr);
}

static int publish(struct bh_db_transaction *const transaction,
                   const struct tome_claim *const claim,
                   const struct tome_intake_finish *const finish, struct bh_arena *const arena,
                   struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    const struct bh_str title = finish->title.size > 0 ? finish->title : finish->title_default;
    const struct bh_db_value parameters[] = {
        bh_db_int(claim->owner_id),
        bh_db_int(claim->book_id),
        bh_db_text(title),
        bh_db_text(finish->author),
        bh_db_text(finish->page_kind),
        bh_db_int(finish->page_count),
        bh_db_int(finish->chunk_count),
        bh_db_int(finish->word_count),
        bh_db_text(finish->tags),
        bh_db_int(bh_time_wall_us()),
    };
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_PUBLISH, parameters,
                                               BH_COUNT_OF(parameters), arena, ret_rows, reterr);
    if (result == BH_EEXISTS)
        return bh_error_set(reterr, BH_EEXISTS, "meanwhile the same content became a book");
    if (result == 0 && ret_rows->row_count == 0)
        return bh_error_set(reterr, BH_ECONFLICT, "book %lld is not being loaded any more",
                            (long long)claim->book_id);
    return result;
}

/* Title and author as they are now: in the index, and folded for order and look-up. */
static int index_book(struct bh_db_transaction *const transaction,
                      struct tome_analyzer *const analyzer, const struct tome_claim *const claim,
                      const struct bh_str title, const struct bh_str author,
                      struct bh_arena *const arena, struct bh_error *const reterr)
{
    const struct bh_str title_sort = tome_books_fold(analyzer, title, arena);
    const struct bh_str author_sort = tome_books_fold(analyzer, author, arena);
    if (title_sort.data == NULL || author_sort.data == NULL)
        return tome_error_memory(reterr);
    const struct bh_db_value parameters[] = { bh_db_int(claim->owner_id), bh_db_int(claim->book_id),
                                              bh_db_text(title_sort), bh_db_text(author_sort) };
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_SET_SORT, parameters,
                                               BH_COUNT_OF(parameters), NULL, NULL, reterr);
    return result != 0 ? result
                       : tome_index_set_book(transaction, analyzer, claim->owner_id, claim->book_id,
                                             title, author, reterr);
}

static int write_concepts(struct bh_db_transaction *const transaction,
                          const struct tome_concept_rows *const rows, struct bh_error *const reterr)
{
    const int result = insert_many(transaction, &TOME_SQL_CONCEPT_INSERT, rows->concepts,
                                   TOME_CONCEPT_COLUMNS, rows->concept_count, reterr);
    return result != 0 ? result
                       : insert_many(transaction, &TOME_SQL_RELATION_INSERT, rows->relations,
                                     TOME_RELATION_COLUMNS, rows->relation_count, reterr);
}

static int finish_job(struct bh_db_transaction *const transaction,
                      struct tome_analyzer *const analyzer, const struct tome_claim *const claim,
                      const struct tome_intake_finish *const finish, struct bh_arena *const arena,
                      struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    int result = hide_replaced(transaction, claim, reterr);
    if (result == 0)
        result = publish(transaction, claim, finish, arena, &rows, reterr);
    if (result != 0)
        return result;
    const struct bh_str title = bh_db_text_at(&rows, 0, 0), author = bh_db_text_at(&rows, 0, 1);
    const struct bh_db_value owner[] = { bh_db_int(claim->owner_id) };
    const struct bh_db_value job[] = {
        bh_db_int(claim->job_id),      bh_db_text(title),
        bh_db_int(finish->page_count), bh_db_int(finish->chunk_count),
        bh_db_int(bh_time_wall_us()),  bh_db_int(claim->attempt)
    };
    result = index_book(transaction, analyzer, claim, title, author, arena, reterr);
    if (result == 0)
        result = write_concepts(transaction, &finish->concepts, reterr);
    if (result == 0)
        result = bh_db_transaction_query(transaction, &TOME_SQL_GENERATION_BUMP, owner, 1, NULL,
                                         NULL, reterr);
    if (result == 0)
        result = write_job(transaction, &TOME_SQL_JOB_DONE, job, BH_COUNT_OF(job), reterr);
    return result;
}

/* All but the chunks' full-text rows. */
static int write_batch(struct bh_db_transaction *const transaction,
                       struct tome_analyzer *const analyzer, struct tome_known_words *const known,
                       const struct tome_intake *const batch, struct bh_arena *const arena,
                       struct bh_error *const reterr)
{
    const struct tome_claim *const claim = batch->claim;
    int result = 0;
    if (batch->language.data != NULL)
        result = write_language(transaction, claim->book_id, batch->language, reterr);
    if (result == 0)
        result = write_rows(transaction, claim, &batch->rows, known, reterr);
    if (result != 0)
        return result;
    return batch->finish != NULL
               ? finish_job(transaction, analyzer, claim, batch->finish, arena, reterr)
               : write_progress(transaction, claim, &batch->progress, reterr);
}

int tome_intake_write(struct bh_db *const db, struct tome_analyzer *const analyzer,
                      struct tome_known_words *const known,
                      const struct tome_intake *const *const batches, const size_t count,
                      struct bh_arena *const arena, size_t *const ret_failed,
                      struct bh_error *const reterr)
{
    struct bh_db_transaction *transaction = NULL;
    *ret_failed = count;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = write_batch(transaction, analyzer, known, batches[i], arena, reterr);
        if (result != 0)
            *ret_failed = i;
    }
    for (size_t i = 0; i < count && result == 0; i++) {
        if (batches[i]->rows.index != NULL)
            result = tome_index_add_chunks(transaction, batches[i]->rows.index, reterr);
        if (result != 0)
            *ret_failed = i;
    }
    result = tome_transaction_end(transaction, result, reterr);
    if (result != 0 && known != NULL)
        tome_known_words_clear(known);
    return result;
}

/* ---- Purge ---- */

int tome_purge_next(struct bh_db *const db, struct bh_arena *const arena,
                    struct tome_purge_book *const ret_book, struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_PURGE_NEXT, NULL, 0, arena, &rows,
                                   reterr);
    if (result != 0)
        return result;
    if (rows.row_count == 0)
        return BH_ENOTFOUND;
    *ret_book = (struct tome_purge_book){ .id = bh_db_int_at(&rows, 0, 0),
                                          .owner_id = bh_db_int_at(&rows, 0, 1),
                                          .language = bh_db_text_at(&rows, 0, 2) };
    return 0;
}

int tome_purge_read(struct bh_db *const db, const int64_t book_id, const size_t limit,
                    struct bh_arena *const arena, const struct tome_index_chunk **const ret_chunks,
                    size_t *const ret_count, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(tome_chunk_id_first(book_id)),
                                              bh_db_int(tome_chunk_id_last(book_id)),
                                              bh_db_int((int64_t)limit) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_PURGE_CHUNKS, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    struct tome_index_chunk *const chunks = bh_arena_calloc(arena, rows.row_count + 1,
                                                            sizeof(*chunks));
    if (chunks == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        chunks[row] = (struct tome_index_chunk){ .id = bh_db_int_at(&rows, row, 0),
                                                 .heading = bh_db_text_at(&rows, row, 1),
                                                 .content = bh_db_text_at(&rows, row, 2) };
    *ret_chunks = chunks;
    *ret_count = rows.row_count;
    return 0;
}

int tome_purge_chunks(struct bh_db *const db, const struct tome_purge_book *const book,
                      const struct tome_index_chunk *const chunks, const size_t count,
                      const struct tome_index_batch *const index, struct bh_error *const reterr)
{
    const struct bh_db_value range[] = { bh_db_int(chunks[0].id), bh_db_int(chunks[count - 1].id) };
    struct bh_db_transaction *transaction = NULL;
    int64_t deleted = 0;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = bh_db_transaction_many(transaction, &TOME_SQL_CHUNKS_DELETE, range,
                                        BH_COUNT_OF(range), 1, &deleted, reterr);
    if (result == 0 && deleted != (int64_t)count)
        result = bh_error_set(reterr, BH_ECONFLICT, "another process purges book %lld",
                              (long long)book->id);
    if (result == 0)
        result = tome_index_remove(transaction, book->owner_id, index, reterr);
    return tome_transaction_end(transaction, result, reterr);
}

int tome_purge_rest(struct bh_db *const db, const struct tome_purge_book *const book,
                    const bool with_book, struct bh_error *const reterr)
{
    const struct bh_statement *const statements[] = {
        &TOME_SQL_CHAPTERS_DELETE, &TOME_SQL_PAGE_LABELS_DELETE, &TOME_SQL_CONCEPTS_DELETE,
        &TOME_SQL_RELATIONS_DELETE, &TOME_SQL_BOOK_DELETE
    };
    const size_t count = with_book ? 5 : 4;
    const struct bh_db_value parameters[] = { bh_db_int(book->id) };
    struct bh_db_transaction *transaction = NULL;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0 && with_book)
        result = tome_index_remove_book(transaction, book->owner_id, book->id, reterr);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = bh_db_transaction_query(transaction, statements[i], parameters, 1, NULL, NULL,
                                         reterr);
    return tome_transaction_end(transaction, result, reterr);
}
