/*
 * Tells whether anything was committed to the file, without asking SQLite: the header of the log's
 * index stands in memory that all processes on the file share, and every commit changes it
 * (sqlite.org/walformat.html, "The WAL-Index File Format"). Created and destroyed by one thread;
 * reading: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/base/error.h"

struct bh_sqlite_watch; /* opaque */

/* Keeps a connection to the file in `path`, which is open elsewhere in this process. */
int bh_sqlite_watch_create(const char *path, struct bh_sqlite_watch **ret_watch,
                           struct bh_error *reterr) BH_MUST_CHECK;
void bh_sqlite_watch_destroy(struct bh_sqlite_watch *watch); /* NULL is fine */

/* A number that is another one after every commit. False: one is being written this moment. */
bool bh_sqlite_watch_read(const struct bh_sqlite_watch *watch, uint64_t *ret_mark);
