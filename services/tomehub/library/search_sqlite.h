/*
 * What search needs of an SQLite connection.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

/* Registers search's FTS5 function; a bh_sqlite_connect_hook (argument unused), for every
 * connection. Returns 0 or BH_EUNSUPPORTED (SQLite without FTS5). */
int tome_search_connect(sqlite3 *connection, bool writer, void *argument);
