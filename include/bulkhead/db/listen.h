/*
 * Short messages among the processes of one database, to save them from asking again and again:
 * "jobs are waiting", "book 7 has changed". On PostgreSQL by LISTEN and NOTIFY, on one connection
 * for each process that listens, beside the pools; on SQLite within the process, so that a service
 * has one code path.
 *
 * A message tells where to look, never what is there: whoever is not connected misses it. So each
 * listener is told, without a message, when something may have been missed.
 */
#pragma once

#include "bulkhead/db/db.h"

#define BH_DB_CHANNEL_BYTES_MAX 63
#define BH_DB_MESSAGE_BYTES_MAX 7999

struct bh_db_listener; /* opaque */

/* `message` (UTF-8, until the return): in the order of notification on one connection, also what
 * this process has sent. Without a message (`data` NULL): it listens from now on, for the first
 * time or again; what came before may have been missed. On any thread, one call at a time: it must
 * not wait, nor call the functions below. */
typedef void bh_db_heard(void *argument, struct bh_str message);

/* `channel`: a-z, 0-9 and _, beginning with a letter. Returns before the server was asked; the call
 * of `heard` without a message tells when that is done, and it is tried until then. Any thread.
 * BH_EINVAL, BH_ENOMEM. */
int bh_db_listen(struct bh_db *db, const char *channel, bh_db_heard *heard, void *argument,
                 struct bh_db_listener **ret_listener, struct bh_error *reterr) BH_MUST_CHECK;

/* `heard` will not be called again once this returns. Before bh_db_close. NULL is fine. Any thread.
 */
void bh_db_unlisten(struct bh_db_listener *listener);

/* Tells all who listen on `channel`; on PostgreSQL that is a write, with its errors, in a
 * transaction of its own: call it when what it tells of is committed. `message` may be empty.
 * BH_EINVAL: too long, or no text. Fiber, or a thread without a loop. */
int bh_db_notify(struct bh_db *db, const char *channel, struct bh_str message,
                 struct bh_error *reterr) BH_MUST_CHECK;
