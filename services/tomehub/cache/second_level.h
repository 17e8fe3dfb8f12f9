/*
 * Answers shared by several servers through Redis. A name holds the state of the owner's library in
 * which the answer was asked for, so nothing has to be told to go: after a change nobody asks by
 * the old names any more. Redis may be slow, away, emptied or full: a call waits a few milliseconds
 * at most, and then the answer is made. Fiber.
 */
#pragma once

#include "bulkhead/cache/cache.h"
#include "bulkhead/redis/redis.h"

/* A state of an owner's library. The stamp is drawn anew with each generation, so two libraries, or
 * one that was put back from a copy, have no state in common but that of being empty. */
struct tome_library_state {
    int64_t generation, stamp;
};

/* The kept answer in *ret_value, whatever was asked (`key` names the owner too). Returns whether
 * there is one. */
bool tome_second_level_get(struct bh_redis *redis, const struct tome_library_state *state,
                           struct bh_str key, struct bh_cache_value **ret_value);

/* Offers an answer for `ttl_us`. */
void tome_second_level_put(struct bh_redis *redis, const struct tome_library_state *state,
                           struct bh_str key, const struct bh_cache_value *value, uint64_t ttl_us);

/* ---- For tests: what is sent ---- */

/* Appends: form, length of key and answer, key, answer (compressed where that is worth it). */
void tome_second_level_pack(struct bh_buf *buf, struct bh_str key, struct bh_str answer);
/* NULL: not of this key, damaged, or no memory. */
struct bh_cache_value *tome_second_level_unpack(struct bh_str packed, struct bh_str key);
