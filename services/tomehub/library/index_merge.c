/*
 * Which books are merged: the next ones by id, enough of them, all of them settled. Ids only rise,
 * but they are given before their rows are seen: under a lock on the table of books no transaction
 * is left that could still bring one of a lower id. So the books' rows rise for ever, and all new
 * ones stand behind them.
 *
 * Locks, in this order: the row of index_merging (one process at a time), then the owner's postings
 * (against removal).
 */
#include "library/index_merge.h"

#include "library/library.h"
#include "tomehub_sql.h"

#define WORDS_AT_ONCE 2000
#define ARENA_BYTES ((size_t)64 << 10)

struct merge {
    struct bh_db *db;
    struct bh_db_transaction *transaction;
    struct bh_arena *arena;
    struct bh_error *reterr;
};

static int run(const struct merge *const merge, const struct bh_statement *const statement,
               const struct bh_db_value *const parameters, const size_t count,
               struct bh_db_rows *const ret_rows)
{
    struct bh_db_rows ignored;
    return bh_db_transaction_query(merge->transaction, statement, parameters, count, merge->arena,
                                   ret_rows != NULL ? ret_rows : &ignored, merge->reterr);
}

/* ---- Beginning ---- */

static int begin_books(const struct merge *const merge, const int64_t first, const int64_t last,
                       bool *const ret_has_begun)
{
    const struct bh_db_value books[] = { bh_db_int(first), bh_db_int(last) };
    struct bh_db_rows rows;
    int result = run(merge, &TOME_SQL_MERGE_LOCK_TIMEOUT, NULL, 0, NULL);
    if (result == 0)
        result = run(merge, &TOME_SQL_MERGE_LOCK_BOOKS, NULL, 0, NULL);
    if (result == 0)
        result = run(merge, &TOME_SQL_MERGE_BEGIN, books, BH_COUNT_OF(books), &rows);
    if (result == 0)
        *ret_has_begun = rows.changes > 0;
    return result;
}

/* ---- Going on ---- */

/* The columns of merge_state.sql. */
struct state {
    struct bh_db_value first_book, last_book, owner_id, word;
};

static int join_words(const struct merge *const merge, const struct state *const state,
                      struct bh_db_value *const ret_last_word, bool *const ret_is_owner_done)
{
    const struct bh_db_value parameters[] = {
        state->owner_id,
        state->word,
        bh_db_int(tome_chunk_id_first(state->first_book.integer)),
        bh_db_int(tome_chunk_id_last(state->last_book.integer)),
        bh_db_int(WORDS_AT_ONCE),
    };
    struct bh_db_rows rows;
    int result = run(merge, &TOME_SQL_POSTINGS_LOCK, &state->owner_id, 1, NULL);
    if (result == 0)
        result = run(merge, &TOME_SQL_MERGE_WORDS, parameters, BH_COUNT_OF(parameters), &rows);
    if (result != 0)
        return result;
    *ret_last_word = *bh_db_at(&rows, 0, 0);
    *ret_is_owner_done = bh_db_int_at(&rows, 0, 1) < WORDS_AT_ONCE;
    return 0;
}

static int go_on(const struct merge *const merge, bool *const ret_more)
{
    struct bh_db_value last_word = bh_db_null();
    struct bh_db_rows rows;
    bool is_owner_done = false;
    int result = run(merge, &TOME_SQL_MERGE_STATE, NULL, 0, &rows);
    *ret_more = result == 0 && rows.row_count > 0;
    if (!*ret_more)
        return result;
    const struct state state = { .first_book = *bh_db_at(&rows, 0, 0),
                                 .last_book = *bh_db_at(&rows, 0, 1),
                                 .owner_id = *bh_db_at(&rows, 0, 2),
                                 .word = *bh_db_at(&rows, 0, 3) };
    result = join_words(merge, &state, &last_word, &is_owner_done);
    if (result != 0)
        return result;
    return is_owner_done ? run(merge, &TOME_SQL_MERGE_OWNER_DONE, NULL, 0, NULL)
                         : run(merge, &TOME_SQL_MERGE_WORD_DONE, &last_word, 1, NULL);
}

/* ---- A step ---- */

static int step(struct merge *const merge, bool *const ret_more)
{
    struct bh_db_rows rows;
    int result = bh_db_query(merge->db, BH_DB_READ, &TOME_SQL_MERGE_LOOK, NULL, 0, merge->arena,
                             &rows, merge->reterr);
    *ret_more = false;
    if (result != 0 || rows.row_count == 0)
        return result;
    const bool is_going_on = bh_db_int_at(&rows, 0, 0) != 0;
    if (!is_going_on && bh_db_is_null_at(&rows, 0, 2))
        return 0;
    result = bh_db_begin(merge->db, BH_DB_WRITE, &merge->transaction, merge->reterr);
    if (result == 0)
        result = is_going_on ? go_on(merge, ret_more)
                             : begin_books(merge, bh_db_int_at(&rows, 0, 1),
                                           bh_db_int_at(&rows, 0, 2), ret_more);
    return tome_transaction_end(merge->transaction, result, merge->reterr);
}

int tome_index_merge(struct bh_db *const db, bool *const ret_more, struct bh_error *const reterr)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    bool more = false;
    if (tome_index_form(db) == TOME_INDEX_POSTINGS) {
        if (bh_arena_create(ARENA_BYTES, &arena) < 0)
            return bh_error_set(reterr, BH_ENOMEM, "no memory to merge the search index");
        struct merge merge = { .db = db, .arena = arena, .reterr = reterr };
        const int result = step(&merge, &more);
        if (result != 0)
            return result;
    }
    *ret_more = more;
    return 0;
}

int tome_index_merge_all(struct bh_db *const db, struct bh_error *const reterr)
{
    int result = 0;
    for (bool more = true; result == 0 && more;)
        result = tome_index_merge(db, &more, reterr);
    return result;
}
