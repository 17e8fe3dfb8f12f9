/* Chunks and pages as readers get them: content by id, many at once, a page's text, a book's run of
 * chunks. Only of books that are ready; every call is a fiber's and names the owner. */
#pragma once

#include "bulkhead/db/db.h"
#include "library/library.h"

struct tome_content {
    int64_t id, book_id;
    struct bh_str title, author, source_type, page_kind; /* of the book */
    struct bh_str tags, metadata;                        /* of the book, JSON as stored */
    struct bh_str chapter, page_label, content;
    int64_t page_number, paragraph;
};

struct tome_contents {
    const struct tome_content *items; /* in the arena, as all strings */
    size_t count;
};

/* Contents asked for in the same turn of a loop are read by one statement. BH_ENOTFOUND. */
int tome_chunks_get(struct bh_db *db, int64_t owner_id, int64_t chunk_id, struct bh_arena *arena,
                    struct tome_content *ret_content, struct bh_error *reterr) BH_MUST_CHECK;

/* Those that are there, in the order asked; one statement however many there are. */
int tome_chunks_get_many(struct bh_db *db, int64_t owner_id, const int64_t *ids, size_t count,
                         struct bh_arena *arena, struct tome_contents *ret_contents,
                         struct bh_error *reterr) BH_MUST_CHECK;

struct tome_book_page {
    struct bh_str page_kind, page_label, chapter, text;
    int64_t page_count;
};

/* A page's whole text (empty for a page without any). BH_ENOTFOUND: no such book or page. */
int tome_chunks_page(struct bh_db *db, int64_t owner_id, int64_t book_id, int64_t page_number,
                     struct bh_arena *arena, struct tome_book_page *ret_page,
                     struct bh_error *reterr) BH_MUST_CHECK;

struct tome_chunk_row {
    int64_t id;
    struct bh_str chapter, content;
    int64_t page_number, page_end, paragraph;
    int64_t overlap; /* bytes at the front of content repeated from the chunk before */
};

/* The chunks of a book behind id `after` (0: from the first), at most `limit`. They are read as
 * they are, also while the book is being deleted: ask for the book again to know. */
int tome_chunks_after(struct bh_db *db, int64_t owner_id, int64_t book_id, int64_t after,
                      int64_t limit, struct bh_arena *arena, const struct tome_chunk_row **ret_rows,
                      size_t *ret_count, struct bh_error *reterr) BH_MUST_CHECK;
