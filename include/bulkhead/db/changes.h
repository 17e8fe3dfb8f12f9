/* Whether a database has changed, without asking it: for those who keep what they read. */
#pragma once

#include <stdbool.h>

#include "bulkhead/db/db.h"

/* A number that is another one as soon as anything was committed, by whatever process: while it is
 * the same, what was read since it was taken still holds. Costs nanoseconds. False: cannot be told
 * (PostgreSQL, or a commit is half done). Any thread. */
bool bh_db_change_mark(struct bh_db *db, uint64_t *ret_mark);
