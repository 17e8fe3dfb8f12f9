/*
 * Who listens on which channel of one database. The driver brings the messages; one that has none
 * of its own (SQLite) leaves it to bh_db_notify. Any thread.
 */
#pragma once

#include "bulkhead/db/listen.h"

struct bh_listeners; /* opaque */

int bh_listeners_create(struct bh_listeners **ret_listeners) BH_MUST_CHECK;
/* Nobody listens any more. NULL is fine. */
void bh_listeners_destroy(struct bh_listeners *listeners);

/* ---- For drivers ---- */

/* A channel on which the server was not asked to send yet; false: none. */
bool bh_listeners_next(struct bh_listeners *listeners, char channel[BH_DB_CHANNEL_BYTES_MAX + 1]);
/* From now on it sends: those who wait for that are told. */
void bh_listeners_begun(struct bh_listeners *listeners, const char *channel);
/* It does not any more, on any channel. */
void bh_listeners_lost(struct bh_listeners *listeners);
void bh_listeners_tell(struct bh_listeners *listeners, const char *channel, struct bh_str message);
