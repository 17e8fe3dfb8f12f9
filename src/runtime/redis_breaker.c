#include "bulkhead/runtime/redis_breaker.h"

#include <stdlib.h>

#include "bulkhead/base/time.h"

struct bh_redis_breaker {
    struct bh_redis_gate gate;
    struct bh_breaker *breaker;
};

static const enum bh_breaker_outcome outcomes[] = {
    [BH_REDIS_WORKED] = BH_BREAKER_SUCCESS,
    [BH_REDIS_FAILED] = BH_BREAKER_FAILURE,
    [BH_REDIS_UNTOLD] = BH_BREAKER_IGNORED,
    [BH_REDIS_AWAY] = BH_BREAKER_REFUSED,
};

static int enter(void *const argument, const uint64_t now_us, uint64_t *const ret_permit,
                 struct bh_error *const reterr)
{
    const struct bh_redis_breaker *const self = argument;
    struct bh_breaker_permit permit;
    const int result = bh_breaker_enter(self->breaker, now_us, &permit, reterr);
    if (result)
        return result;
    *ret_permit = (uint64_t)permit.probe << 32 | permit.generation;
    return 0;
}

static void leave(void *const argument, const uint64_t permit, const enum bh_redis_worked worked,
                  const uint64_t duration_us, const uint64_t now_us)
{
    const struct bh_redis_breaker *const self = argument;
    bh_breaker_leave(self->breaker,
                     (struct bh_breaker_permit){ .generation = (uint32_t)permit,
                                                 .probe = (uint32_t)(permit >> 32) },
                     outcomes[worked], duration_us, now_us);
}

static void server(void *const argument, const bool is_down)
{
    const struct bh_redis_breaker *const self = argument;
    (is_down ? bh_breaker_hold : bh_breaker_free)(self->breaker, bh_time_now_us());
}

int bh_redis_breaker_create(const struct bh_breaker_options *const options,
                            struct bh_redis_breaker **const ret_breaker,
                            struct bh_error *const reterr)
{
    struct bh_redis_breaker *const self = calloc(1, sizeof(*self));
    if (!self)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for Redis' breaker");
    self->gate = (struct bh_redis_gate){ self, enter, leave, server };
    struct bh_breaker_options named = *options;
    named.dependency = "redis";
    named.operation = "command";
    const int result = bh_breaker_create(&named, &self->breaker, reterr);
    if (result) {
        free(self);
        return result;
    }
    *ret_breaker = self;
    return 0;
}

void bh_redis_breaker_destroy(struct bh_redis_breaker *const breaker)
{
    if (!breaker)
        return;
    bh_breaker_destroy(breaker->breaker);
    free(breaker);
}

const struct bh_redis_gate *bh_redis_breaker_gate(const struct bh_redis_breaker *const breaker)
{
    return breaker ? &breaker->gate : NULL;
}
