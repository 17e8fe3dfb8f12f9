/*
 * The rate limits that several servers share, in Redis: one script takes from all of a request's
 * limits or from none.
 *
 * It is never waited for long: an answer that takes longer than `wait_us`, or a failure, makes
 * every request do without it for a second; then one request tries again. So a store that is dead
 * or stuck costs one request a second that time, and the others nothing.
 */
#pragma once

#include "bulkhead/overload/limiter.h"
#include "bulkhead/redis/redis.h"

struct bh_rate_store; /* opaque; any loop */

#define BH_RATE_STORE_LIMITS_MAX 2

/* What is asked of one limit, and what the store said. */
struct bh_rate_store_limit {
    const char *name;
    const struct bh_limiter_quota *quota;
    struct bh_limiter_verdict verdict; /* filled */
};

/* `redis` is borrowed. BH_ENOMEM. */
int bh_rate_store_create(struct bh_redis *redis, uint64_t wait_us,
                         struct bh_rate_store **ret_store) BH_MUST_CHECK;
/* NULL is fine. */
void bh_rate_store_destroy(struct bh_rate_store *store);

/* Takes 1 from each of the key's limits, or, if one of them has nothing left, from none. 0, or an
 * error: nobody knows, decide otherwise. BH_EBUSY: it was not asked, having failed less than a
 * second ago. Others: that of bh_redis_command. From a fiber. */
int bh_rate_store_take(struct bh_rate_store *store, struct bh_str key,
                       struct bh_rate_store_limit *limits, unsigned count,
                       struct bh_error *reterr) BH_MUST_CHECK;
