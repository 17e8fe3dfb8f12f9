/*
 * Keeps a cache from giving anything older than the database, whoever wrote to it: this process, a
 * command line, another server.
 *
 * Every commit that changes what an owner's readers see raises the owner's generation, so the
 * commit itself is the invalidation. Before a look-up the cache asks here: on SQLite a number in
 * memory tells that nothing was committed; else the generation is read, by one request for all that
 * ask at that time. What has changed since is invalidated, book by book where the database tells
 * which, before anybody looks up. From then on no replica answers that lacks the change.
 */
#pragma once

#include "bulkhead/cache/cache.h"
#include "bulkhead/db/db.h"
#include "cache/second_level.h"

struct tome_freshness; /* opaque; shared by all loops */

/* Borrows both. */
int tome_freshness_create(struct bh_db *db, struct bh_cache *cache,
                          struct tome_freshness **ret_freshness) BH_MUST_CHECK;
/* NULL is fine. No call may be running. */
void tome_freshness_destroy(struct tome_freshness *freshness);

/* When it returns 0, nothing in the cache with the owner's tags is older than what was committed
 * before the call, nor is what anybody reads from now on. Returns at once where nothing was
 * committed (SQLite), else parks. BH_ELIMIT: too many owners, this one's entries are not to be had;
 * else as bh_db_query. Fiber. */
int tome_freshness_check(struct tome_freshness *freshness, int64_t owner_id,
                         struct bh_error *reterr) BH_MUST_CHECK;

/* The state of the owner's library that the last check found, whoever's it was: nothing in the
 * cache is older. False: there was none. Any thread. */
bool tome_freshness_known(struct tome_freshness *freshness, int64_t owner_id,
                          struct tome_library_state *ret_state);

/* An answer was made, which took so long: by that it is told how far apart the database is asked,
 * where each call would have to. Any thread. */
void tome_freshness_note_load(struct tome_freshness *freshness, uint64_t took_us);

/* What entries depend on. Each carries the owner's tag and one of the others. */
uint64_t tome_tag_owner(int64_t owner_id); /* everything of the owner's */
uint64_t tome_tag_lists(int64_t owner_id); /* what any book's change may change */
uint64_t tome_tag_book(int64_t owner_id, int64_t book_id);
