/*
 * Search on SQLite: one job on one reader connection, within one snapshot, over FTS5.
 */
#pragma once

#include <sqlite3.h>

#include "bulkhead/db/db.h"
#include "library/search_job.h"

/* Registers search's FTS5 functions; a bh_sqlite_connect_hook (argument unused), for every
 * connection. Returns 0 or BH_EUNSUPPORTED (SQLite without FTS5). */
int tome_search_connect(sqlite3 *connection, bool writer, void *argument);

/* Does the whole job. Fiber, or a thread without a loop. */
int tome_search_sqlite(struct bh_db *db, struct tome_search_job *job,
                       struct bh_error *reterr) BH_MUST_CHECK;
