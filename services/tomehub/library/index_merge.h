/*
 * Joining rows of postings. Books are added with a row for each word and batch; once there are many
 * books that nobody changes any more but by removing them, the rows of a word in these books become
 * as few as fit (lists put one behind another are a list), so that a search reads few rows and the
 * table is small. Searches find the same before, between and after.
 *
 * It is done in short transactions, which note how far they came: processes share the work, and
 * when one is killed any other goes on. On SQLite there is nothing to do.
 */
#pragma once

#include "bulkhead/db/db.h"

/* One step, if there is one to do. `*ret_more`: call again; not so, too, when writers were in the
 * way or another process is at it. Fiber, or a thread without a loop. */
int tome_index_merge(struct bh_db *db, bool *ret_more, struct bh_error *reterr) BH_MUST_CHECK;

/* All steps there are, after many books have come at once. Who fails leaves the rest to servers. */
int tome_index_merge_all(struct bh_db *db, struct bh_error *reterr) BH_MUST_CHECK;
