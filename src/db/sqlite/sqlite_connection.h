/*
 * Opening a SQLite file the way this runtime wants it, and keeping its write-ahead log short.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

#include "bulkhead/base/error.h"

/* KiB of pages that one of so many readers keeps: more of them keep no more together. */
unsigned bh_sqlite_connection_reader_cache(unsigned readers);

/* Has each connection take the room for its pages, `cache_kib` at most, as one block when it is
 * opened. For the process, before its first connection; later, SQLite refuses it, and what was said
 * first stays. */
void bh_sqlite_connection_set_block(unsigned cache_kib);

/* Opens `path` (made if absent) with our pragmas and limits; writers switch it to WAL. A reader
 * keeps `cache_kib` of pages, a writer its own measure. Errors name the path and the cure. The
 * connection belongs to one thread at a time. */
int bh_sqlite_connection_open(const char *path, bool writer, unsigned cache_kib,
                              sqlite3 **ret_connection, struct bh_error *reterr) BH_MUST_CHECK;

/* Copies what readers no longer need from the log into the file, without waiting for anybody. */
void bh_sqlite_connection_checkpoint(sqlite3 *connection);

/* The same, then cuts the log to nothing. Waits for readers as long as the busy handler allows.
 * Returns whether the log is empty now. */
bool bh_sqlite_connection_truncate_log(sqlite3 *connection);
