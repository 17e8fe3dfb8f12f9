/*
 * How a book's rows come and go while nobody sees it: batches of chunks into a 'loading' book, the
 * one step that makes it visible, and the removal of what is left of books that failed, were
 * replaced or deleted. Each call is one short write transaction. Fiber.
 */
#pragma once

#include "bulkhead/db/db.h"
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
};

/* Adds a batch to the job's book and writes down how far it is. `language`: its code, with the
 * first batch; {NULL, 0} afterwards. `finish`: NULL, or this is the last batch and the book becomes
 * visible in the same step, in place of the one it replaces, and the job is done. BH_EEXISTS:
 * meanwhile the same content became a book. */
int tome_intake_write(struct bh_db *db, struct tome_analyzer *analyzer,
                      const struct tome_claim *claim, struct bh_str language,
                      const struct tome_intake_rows *rows,
                      const struct tome_intake_progress *progress,
                      const struct tome_intake_finish *finish, struct bh_arena *arena,
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
