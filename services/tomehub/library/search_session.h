/*
 * What search keeps with an SQLite connection: an analyzer, the owner's visible books, and counts
 * of words. Everything is of one generation of one owner's library; the first search after a change
 * takes the visible books anew. Connection's thread.
 */
#pragma once

#include "bulkhead/base/assert.h"
#include "bulkhead/db/sqlite.h"
#include "library/analysis.h"
#include "library/visible.h"
#include "tomehub_sql.h"

struct tome_search_session {
    BH_MAGIC_FIELD;
    struct tome_analyzer *analyzer;
    int64_t owner_id, generation;
    struct tome_visible visible;
    struct tome_counted *counted; /* private */
};

/* The session's, brought up to the owner's generation. In a read transaction. */
int tome_search_session_get(struct bh_sqlite_session *session, int64_t owner_id,
                            struct tome_search_session **ret_search,
                            struct bh_error *reterr) BH_MUST_CHECK;

/* Reads the lengths of a book's chunks. */
int tome_search_session_lengths(struct bh_sqlite_session *session, struct tome_visible_book *book,
                                struct bh_error *reterr) BH_MUST_CHECK;

/* How many chunks an FTS5 query finds (of all books); kept. */
int tome_search_session_count(struct bh_sqlite_session *session, struct tome_search_session *search,
                              struct bh_str expression, int64_t *ret_count,
                              struct bh_error *reterr) BH_MUST_CHECK;

/* The next row: 1; the end: 0; else an error. */
int tome_search_step(struct bh_sqlite_session *session, sqlite3_stmt *statement,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* A text column, borrowed until the next step. */
struct bh_str tome_search_column(sqlite3_stmt *statement, int column);
