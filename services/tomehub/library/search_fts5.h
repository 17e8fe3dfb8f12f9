/*
 * FTS5 as a source of rows: a function in the WHERE clause that hands each row to a scan and is
 * never true, so that nothing goes through SQL row by row. Connection's thread.
 */
#pragma once

#include "bulkhead/db/sqlite.h"
#include "library/search_scan.h"

/* Makes the functions known to the connection. 0 or BH_EUNSUPPORTED. */
int tome_fts5_register(sqlite3 *connection);

/* A pass of `scan` over chunks first to last that `expression` finds. */
int tome_fts5_scan(struct bh_sqlite_session *session, struct tome_scan *scan,
                   const struct tome_expression *expression, int64_t first, int64_t last,
                   struct bh_error *reterr) BH_MUST_CHECK;
