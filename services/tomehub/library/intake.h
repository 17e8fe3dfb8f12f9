/*
 * How a book's rows come and go while nobody sees it: batches of chunks into a 'loading' book, the
 * one step that makes it visible, and the removal of what is left of books that failed, were
 * replaced or deleted. Each call is one short write transaction. Fiber.
 */
#pragma once

#include "bulkhead/db/db.h"
#include "concepts/concepts.h"
#include "library/jobs.h"

#define TOME_CHUNK_COLUMNS 11
#define TOME_CHAPTER_COLUMNS 4
#define TOME_LABEL_COLUMNS 3

/* Rows of one batch as the statements chunk_insert, chapter_insert and page_label_insert take them;
 * all may be empty. */
struct tome_intake_rows {
    const struct bh_db_value *chunks, *chapters, *labels;
    size_t chunk_count, chapter_count, label_count;
    const struct tome_index_batch *index; /* of the chunks; NULL when there are none */
};

struct tome_intake_progress {
    int64_t percent, pages, chunks;
};

/* What the book is in the end. Title, author and tags (JSON) are used where the client gave none.
 * */
struct tome_intake_finish {
    struct bh_str title, author, tags;
    struct bh_str title_default; /* where neither client nor file has a title */
    struct bh_str page_kind;
    int64_t page_count, chunk_count, word_count;
    struct tome_concept_rows concepts;
};

/* One batch for one job's book. Everything is borrowed until the write returns. */
struct tome_intake {
    const struct tome_claim *claim;
    struct bh_str language; /* its code, with the first batch; {NULL, 0} afterwards */
    struct tome_intake_rows rows;
    struct tome_intake_progress progress; /* written down, unless this is the last batch */
    /* NULL, or this is the last batch and the book becomes visible in the same step, in place of
     * the one it replaces, and the job is done. */
    const struct tome_intake_finish *finish;
};

/* Adds batches, of different books, in one transaction: all of them or none. When one of them is at
 * fault, *ret_failed is its index and the others may be written without it; else it is `count`.
 * BH_EEXISTS: meanwhile the same content became a book. BH_ECONFLICT: the book is not being loaded
 * any more. `known` (may be NULL): see index.h; this clears it where needed. */
int tome_intake_write(struct bh_db *db, struct tome_analyzer *analyzer,
                      struct tome_known_words *known, const struct tome_intake *const *batches,
                      size_t count, struct bh_arena *arena, size_t *ret_failed,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* ---- Purge ---- */

struct tome_purge_book {
    int64_t id, owner_id;
    struct bh_str language; /* its chunks' words were stemmed by it */
};

/* The next book that waits for its purge. BH_ENOTFOUND: none (no message). */
int tome_purge_next(struct bh_db *db, struct bh_arena *arena, struct tome_purge_book *ret_book,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* The first of the book's chunks, at most `limit`, as the index needs them. */
int tome_purge_read(struct bh_db *db, int64_t book_id, size_t limit, struct bh_arena *arena,
                    const struct tome_index_chunk **ret_chunks, size_t *ret_count,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* Removes these chunks; `index` is prepared from them. BH_ECONFLICT: another process has just
 * removed some of them; read again. */
int tome_purge_chunks(struct bh_db *db, const struct tome_purge_book *book,
                      const struct tome_index_chunk *chunks, size_t count,
                      const struct tome_index_batch *index, struct bh_error *reterr) BH_MUST_CHECK;

/* Removes what else belongs to the book, its chunks being gone; `with_book`: the book too. */
int tome_purge_rest(struct bh_db *db, const struct tome_purge_book *book, bool with_book,
                    struct bh_error *reterr) BH_MUST_CHECK;
