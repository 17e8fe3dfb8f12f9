/*
 * Turns among processes that write to one file.
 *
 * SQLite's write lock is polled: whoever asks at the right moment gets it, and a process that
 * writes without pause starves the others. So a process takes the turn (a lock on the file
 * PATH-turn) before it asks for the write lock and gives it back as soon as it has that. The holder
 * of the turn is thereby the next to write; the one that writes now must wait for the turn before
 * it can write again. The kernel takes the lock from a process that dies.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

/* Opens (and makes, if absent) the file of the database `path`. */
int bh_sqlite_turn_open(const char *path, int *ret_file, struct bh_error *reterr) BH_MUST_CHECK;
void bh_sqlite_turn_close(int file);

/* Whether the turn is ours now. Never waits. */
bool bh_sqlite_turn_try(int file);
void bh_sqlite_turn_give(int file);
