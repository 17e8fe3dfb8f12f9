/*
 * The circuit breaker around a Redis server's commands: "redis", class "command".
 *
 * Commands without an answer in time open it. Whether the server can be reached is the client's to
 * know: while it cannot, the client holds the breaker open and refuses by its own rules, so that
 * both are back at the same time.
 */
#pragma once

#include "bulkhead/overload/breaker.h"
#include "bulkhead/redis/gate.h"

struct bh_redis_breaker; /* opaque; any thread */

/* `options`: as for bh_breaker_create, names are set here. */
int bh_redis_breaker_create(const struct bh_breaker_options *options,
                            struct bh_redis_breaker **ret_breaker,
                            struct bh_error *reterr) BH_MUST_CHECK;
/* The client must be destroyed. NULL is fine. */
void bh_redis_breaker_destroy(struct bh_redis_breaker *breaker);

/* For struct bh_redis_options; lives as long as `breaker`. NULL gives NULL. */
const struct bh_redis_gate *bh_redis_breaker_gate(const struct bh_redis_breaker *breaker);
