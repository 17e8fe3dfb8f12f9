/* Whether a database has changed, and what a replica may still answer: for those who keep what they
 * read. */
#pragma once

#include <stdbool.h>

#include "bulkhead/db/db.h"

/* A number that is another one as soon as anything was committed, by whatever process: while it is
 * the same, what was read since it was taken still holds. Costs nanoseconds. False: cannot be told
 * (PostgreSQL, or a commit is half done). Any thread. */
bool bh_db_change_mark(struct bh_db *db, uint64_t *ret_mark);

/* Somebody has seen a state of the database, by a statement that needs the primary: no read of this
 * process that begins from now on gives an older one. Until the replica is known to have it, the
 * primary answers; without a replica there is nothing to do. Any thread. */
void bh_db_note_seen(struct bh_db *db);
