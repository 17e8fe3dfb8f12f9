/*
 * Books as a reader of the library sees them: only those that are ready. How they come and go is in
 * intake.h. Every call is a fiber's and names the owner.
 */
#pragma once

#include "bulkhead/db/db.h"
#include "library/library.h"

struct tome_book {
    int64_t id;
    struct bh_str title, author, source_type, language;
    struct bh_str tags, metadata; /* JSON as stored */
    struct bh_str page_kind;
    int64_t page_count, chunk_count, word_count;
    struct bh_str file_name;
    int64_t byte_size;
    int64_t created_at, updated_at; /* µs since 1970 */
};

struct tome_books {
    const struct tome_book *books; /* in the arena, as all strings */
    size_t count;
};

struct tome_chapter {
    struct bh_str title;
    int64_t page_number;
};

enum tome_books_sort { TOME_BOOKS_TITLE, TOME_BOOKS_NEWEST, TOME_BOOKS_AUTHOR };

/* BH_ENOTFOUND. */
int tome_books_get(struct bh_db *db, int64_t owner_id, int64_t book_id, struct bh_arena *arena,
                   struct tome_book *ret_book, struct bh_error *reterr) BH_MUST_CHECK;

/* In reading order. */
int tome_books_chapters(struct bh_db *db, int64_t owner_id, int64_t book_id, struct bh_arena *arena,
                        const struct tome_chapter **ret_chapters, size_t *ret_count,
                        struct bh_error *reterr) BH_MUST_CHECK;

/* One page of the list, and how many books there are in all. `look_up`: words that title or author
 * must hold, as typed; empty: all books. */
int tome_books_list(struct bh_db *db, int64_t owner_id, struct bh_str look_up,
                    enum tome_books_sort sort, int64_t page, int64_t page_size,
                    struct bh_arena *arena, struct tome_books *ret_books, int64_t *ret_total,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* The next books behind id `after`, at most `limit`, in order of id. */
int tome_books_after(struct bh_db *db, int64_t owner_id, int64_t after, int64_t limit,
                     struct bh_arena *arena, struct tome_books *ret_books,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* What is to change; NULL data: stays. */
struct tome_book_changes {
    struct bh_str title, author, source_type;
    struct bh_str tags, metadata; /* JSON */
};

/* BH_ENOTFOUND. */
int tome_books_update(struct bh_db *db, int64_t owner_id, int64_t book_id,
                      const struct tome_book_changes *changes, struct bh_arena *arena,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* Gone for every reader when it returns; its rows are purged in the background. BH_ENOTFOUND. */
int tome_books_delete(struct bh_db *db, int64_t owner_id, int64_t book_id, struct bh_arena *arena,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* Title or author as it is ordered and looked up: the words' folded forms with one blank between.
 * {NULL, 0} when the arena is exhausted. */
struct bh_str tome_books_fold(struct tome_analyzer *analyzer, struct bh_str text,
                              struct bh_arena *arena);
