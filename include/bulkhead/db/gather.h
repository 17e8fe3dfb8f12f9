/*
 * Rows by key, gathered: what fibers of one loop look up in the same turn becomes one statement.
 *
 * A row by its key costs a database little beside what every statement costs it, and its caller; so
 * the more callers there are, the less each lookup takes. Who is alone in a turn runs a statement
 * for one. Nobody waits for others to come.
 */
#pragma once

#include "bulkhead/db/db.h"

#define BH_DB_GATHER_KEYS 32 /* in a statement, at most */

/* Two statements for the same rows. Constant for the life of the process. */
struct bh_db_lookup {
    const struct bh_statement *one; /* $1 scope, $2 key: one row or none */
    /* $1 scope, $2 a text, the keys as a JSON array, some more than once: a row at least for each
     * that is there, in any order; its first column is the key. */
    const struct bh_statement *some;
};

/* The row of `key` within `scope` (an owner, say), on the READ lane; *ret_rows has one row or none.
 * Only calls of the same scope and standing share a statement; each waits within its own deadline
 * and is cancelled by itself. When a shared statement fails for a reason of the caller who ran it
 * (it left, its time was over, its arena is full), the others run theirs alone; else they get its
 * error. Errors as of bh_db_query. */
int bh_db_look_up(struct bh_db *db, const struct bh_db_lookup *lookup, int64_t scope, int64_t key,
                  struct bh_arena *arena, struct bh_db_rows *ret_rows,
                  struct bh_error *reterr) BH_MUST_CHECK;
