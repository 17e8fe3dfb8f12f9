/*
 * What search keeps with an SQLite connection: an analyzer, and for each of the owners who searched
 * last their visible books and counts of words, all of one generation of the owner's library; the
 * first search after a change takes the visible books anew. Connection's thread.
 */
#pragma once

#include "bulkhead/base/assert.h"
#include "bulkhead/db/sqlite.h"
#include "library/analysis.h"
#include "library/visible.h"
#include "tomehub_sql.h"

/* Owners who are kept; a further one takes the place of whoever has not searched for longest. */
#define TOME_SEARCH_OWNERS_MAX 16

struct tome_search_session {
    struct tome_analyzer *analyzer; /* the connection's */
    int64_t owner_id, generation;   /* owner 0: free */
    struct tome_visible visible;
    struct tome_counted *counted; /* private */
    uint64_t used_at;             /* private: rises with each use */
};

/* The owner's, brought up to the owner's generation. In a read transaction. */
int tome_search_session_get(struct bh_sqlite_session *session, int64_t owner_id,
                            struct tome_search_session **ret_search,
                            struct bh_error *reterr) BH_MUST_CHECK;

/* Reads the lengths of a book's chunks. */
int tome_search_session_lengths(struct bh_sqlite_session *session, struct tome_visible_book *book,
                                struct bh_error *reterr) BH_MUST_CHECK;

/* How many of the owner's chunks an FTS5 query finds; kept. While nobody else has books, those of
 * books that are being loaded or purged count, too: exact enough for a weight, and faster. */
int tome_search_session_count(struct bh_sqlite_session *session, struct tome_search_session *search,
                              struct bh_str expression, int64_t *ret_count,
                              struct bh_error *reterr) BH_MUST_CHECK;

/* The next row: 1; the end: 0; else an error. */
int tome_search_step(struct bh_sqlite_session *session, sqlite3_stmt *statement,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* A text column, borrowed until the next step. */
struct bh_str tome_search_column(sqlite3_stmt *statement, int column);
