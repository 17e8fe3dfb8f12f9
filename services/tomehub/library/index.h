/*
 * The index: which words stand in which chunks. Kept in tables of its own (see README.md), changed
 * in the caller's transactions, so that index and chunks never disagree.
 *
 * Work is split so that the writer is held briefly: prepare (CPU only) on a worker thread, then add
 * or remove in a short transaction.
 */
#pragma once

#include "bulkhead/db/db.h"
#include "library/analysis.h"
#include "library/known_words.h"

#define TOME_ORDINAL_BITS 20 /* chunk id = book id << 20 | ordinal */

/* Where a word may stand in a chunk: among the body's forms, among the stems that differ from them,
 * in the chapter's heading (forms and stems). */
enum { TOME_COLUMN_BODY, TOME_COLUMN_STEMS, TOME_COLUMN_HEADING, TOME_COLUMN_COUNT };

struct tome_index_chunk {
    int64_t id;
    struct bh_str heading; /* the chapter's title, or empty */
    struct bh_str content;
};

struct tome_index_batch; /* opaque: the words of a batch, ready to be written */

/* Whether a form is fit to be compared with when a word is misspelt. */
bool tome_index_is_vocabulary(struct bh_str form);

/* In which form a database keeps the index. */
enum tome_index_form {
    TOME_INDEX_FTS5,    /* SQLite's full-text tables */
    TOME_INDEX_POSTINGS /* a table of our own, see index_postings.h */
};
enum tome_index_form tome_index_form(const struct bh_db *db);

/* Analyses consecutive chunks of one book (1 to 4,096 of them, ids rising). CPU only: call it on a
 * worker thread, with an analyzer of that thread. The batch owns all its memory. BH_ENOMEM. */
int tome_index_prepare(enum tome_index_form form, struct tome_analyzer *analyzer,
                       enum tome_language language, const struct tome_index_chunk *chunks,
                       size_t chunk_count, struct tome_index_batch **ret_batch,
                       struct bh_error *reterr) BH_MUST_CHECK;
/* NULL is fine. */
void tome_index_batch_destroy(struct tome_index_batch *batch);
BH_DEFINE_CLEANUP(struct tome_index_batch, tome_index_batch_destroy)

/* Writes a batch in the transaction that inserts its chunks, in two steps.
 * First the words for spelling and the chunks' lengths. `known` (may be NULL) spares words that the
 * vocabulary holds already; clear it if the transaction is not committed. Fiber. */
int tome_index_add_words(struct bh_db_transaction *transaction, int64_t owner_id,
                         const struct tome_index_batch *batch, struct tome_known_words *known,
                         struct bh_error *reterr) BH_MUST_CHECK;
/* Then what full-text search looks up: after all else in the transaction and for all its batches in
 * a row. SQLite lets FTS5 gather rows in memory only as long as no other statement comes between.
 * Fiber. */
int tome_index_add_chunks(struct bh_db_transaction *transaction,
                          const struct tome_index_batch *batch,
                          struct bh_error *reterr) BH_MUST_CHECK;

/* Takes chunks out, in the transaction that deletes them: `batch` is prepared from the same
 * contents. The chunks need not be batched as they were when added, but all of the book must go.
 * Fiber. */
int tome_index_remove(struct bh_db_transaction *transaction, int64_t owner_id,
                      const struct tome_index_batch *batch, struct bh_error *reterr) BH_MUST_CHECK;

/* Words of a book's title and author: call when a book row is inserted and when either changes
 * (replaces what was there). Cheap. Fiber. */
int tome_index_set_book(struct bh_db_transaction *transaction, struct tome_analyzer *analyzer,
                        int64_t owner_id, int64_t book_id, struct bh_str title,
                        struct bh_str author, struct bh_error *reterr) BH_MUST_CHECK;

/* Forgets them: call when the book row is deleted. Fiber. */
int tome_index_remove_book(struct bh_db_transaction *transaction, int64_t owner_id, int64_t book_id,
                           struct bh_error *reterr) BH_MUST_CHECK;

/* Whether the index was made by this program's analysis. BH_ECONFLICT: it was not; the message says
 * how to rebuild. Fiber. */
int tome_index_check_version(struct bh_db *db, struct bh_error *reterr) BH_MUST_CHECK;

/* Makes the whole index anew from the chunks, in short transactions; searches see the old
 * or a partial index meanwhile. Fiber. */
int tome_index_rebuild(struct bh_db *db, struct bh_error *reterr) BH_MUST_CHECK;
