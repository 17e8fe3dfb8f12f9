/*
 * What only SQLite has: work that needs the connection itself (a search plan in C over FTS5).
 */
#pragma once

#include <sqlite3.h>

#include "bulkhead/db/db.h"

struct bh_sqlite_session; /* opaque: one connection on its thread */

/* Called once on each new connection, on its thread: registers functions, sets pragmas.
 * Set before bh_db_open through bh_sqlite_set_connect_hook. Returns 0 or an error. */
typedef int bh_sqlite_connect_hook(sqlite3 *connection, bool writer, void *argument);
void bh_sqlite_set_connect_hook(bh_sqlite_connect_hook *hook, void *argument);

/* Runs `function` on a connection of `lane`, on that connection's thread; parks the fiber
 * meanwhile. `name`: a literal, under which the whole run is counted as one statement.
 * A cancelled fiber interrupts it (SQLITE_INTERRUPT). On WRITE the caller begins and ends its own
 * transaction inside. Returns what `function` returned. */
typedef int bh_sqlite_function(struct bh_sqlite_session *session, void *argument,
                               struct bh_error *reterr);
int bh_sqlite_run(struct bh_db *db, enum bh_db_lane lane, const char *name,
                  bh_sqlite_function *function, void *argument,
                  struct bh_error *reterr) BH_MUST_CHECK;

/* 0, or BH_ECANCELED or BH_ETIMEDOUT when nobody wants the running function's result any more: ask
 * between steps of long work of your own (SQLite's own steps are interrupted by themselves). */
int bh_sqlite_check(const struct bh_sqlite_session *session);

/* Tells how many rows the running function gave, for the statistics. */
void bh_sqlite_set_rows(struct bh_sqlite_session *session, uint64_t rows);

/* Every connection gives back its page cache and what else it can spare, as soon as it is idle. A
 * database of another kind is left alone. Any thread. */
void bh_sqlite_shrink(struct bh_db *db);

sqlite3 *bh_sqlite_handle(struct bh_sqlite_session *session);

/* The prepared statement of this connection, reset and without bindings; cached, so `statement`
 * lives as long as the database. Outside of the table given to bh_db_open: 16 different ones at
 * most, the driver's own four among them. */
int bh_sqlite_prepare(struct bh_sqlite_session *session, const struct bh_statement *statement,
                      sqlite3_stmt **ret_statement, struct bh_error *reterr) BH_MUST_CHECK;

/* A slot of the session for the hook's owner (a cache kept with the connection); freed by `destroy`
 * at close. */
void bh_sqlite_session_set_data(struct bh_sqlite_session *session, void *data,
                                void (*destroy)(void *data));
void *bh_sqlite_session_data(const struct bh_sqlite_session *session);

/* Maps an SQLite result code to a BH_E code with the connection's message. */
int bh_sqlite_error(sqlite3 *connection, int result, const char *what, struct bh_error *reterr);
