/*
 * What search knows of an owner's visible books, of one generation of the library: enough to tell
 * from a chunk's id whether it may be shown, and how long it is. Who fills it stands in
 * search_session.h (SQLite: kept with each connection) and catalogue.h (PostgreSQL: shared).
 */
#pragma once

#include "bulkhead/base/error.h"
#include "library/language.h"

struct tome_visible_book {
    int64_t id;
    uint32_t chunk_count;
    uint32_t length_count;  /* of `lengths`; 0: not read yet */
    const uint8_t *lengths; /* by ordinal, see score.h */
};

struct tome_visible {
    struct tome_visible_book *books; /* by id */
    size_t book_count;
    int64_t chunk_count;                          /* of these books */
    double average_length;                        /* of their chunks, words */
    int64_t language_chunks[TOME_LANGUAGE_COUNT]; /* of these books */
};

/* The index of book `id`, or -1. */
int64_t tome_visible_find(const struct tome_visible *visible, int64_t id);
