/*
 * An instance's lock on PostgreSQL: a session-level advisory lock on its number, held by a
 * connection of its own that does nothing else. The server drops the lock when the session ends, so
 * a process that has died is known at once and one that was stopped keeps its jobs.
 *
 * A thread watches the connection. When it breaks, the lock is gone and others may take over the
 * jobs, whose next write is then refused here (jobs carry the number of their attempt); the thread
 * connects again and takes the lock anew. The connection must be to the server itself, not to a
 * pooler that gives sessions to several clients in turn.
 */
#pragma once

#include "bulkhead/db/db.h"

struct tome_instance_session; /* opaque */

/* Connects to `url` and locks a number at random. Not from a fiber. */
int tome_instance_session_create(const char *url, struct tome_instance_session **ret_session,
                                 int64_t *ret_number, struct bh_error *reterr) BH_MUST_CHECK;
/* NULL is fine. */
void tome_instance_session_destroy(struct tome_instance_session *session);

/* Whether some session holds `number`. Where that cannot be told: true. Fiber. */
bool tome_instance_session_is_alive(struct bh_db *db, int64_t number);
