/*
 * The catalogue: what search knows of an owner's visible books, of one generation of the library,
 * in memory: enough to match titles, to filter, to order, to make facets and to tell a hit's book
 * without asking the database. Constant once made (but for kept counts), shared by all loops and
 * worker threads.
 */
#pragma once

#include <stdatomic.h>

#include "bulkhead/db/db.h"
#include "library/visible.h"
#include "library/word_lists.h"

struct tome_catalogue_book {
    struct bh_str title, author, source_type, page_kind, tags, metadata, title_sort;
    int64_t created_at;
    enum tome_language language;
    bool has_labels; /* of pages */
};

#define TOME_CATALOGUE_COUNTS 1024

struct tome_catalogue {
    atomic_uint references; /* private */
    struct bh_arena *arena; /* private: all of it but this */
    int64_t owner_id, generation;
    struct tome_visible visible;
    const struct tome_catalogue_book *books; /* one for each visible book, in the same order */
    /* Words of titles (column BODY) and authors (HEADING); a book is its first chunk. */
    struct tome_word_lists names;
    const uint32_t *places_by_age, *places_by_title; /* place of each book */
    _Atomic uint64_t counts[TOME_CATALOGUE_COUNTS];  /* private */
};

/* Of the rows of search_catalogue.sql, and of search_lengths_of.sql. CPU only: a worker thread's.
 * BH_ENOMEM, BH_ECORRUPT. */
int tome_catalogue_create(int64_t owner_id, int64_t generation, const struct bh_db_rows *books,
                          const struct bh_db_rows *lengths, struct tome_catalogue **ret_catalogue,
                          struct bh_error *reterr) BH_MUST_CHECK;

/* Held as long as it is used. Any thread. */
struct tome_catalogue *tome_catalogue_ref(struct tome_catalogue *catalogue);
void tome_catalogue_unref(struct tome_catalogue *catalogue); /* NULL is fine */

/* Kept counts of what expressions find, by their text: of this catalogue's books alone. */
bool tome_catalogue_counted(struct tome_catalogue *catalogue, struct bh_str expression,
                            int64_t *ret_count);
void tome_catalogue_keep_count(struct tome_catalogue *catalogue, struct bh_str expression,
                               int64_t count);
