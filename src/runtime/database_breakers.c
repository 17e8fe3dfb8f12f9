#include "bulkhead/runtime/database_breakers.h"

#include <stdlib.h>

#include "bulkhead/base/time.h"

#define LANES 2

struct bh_database_breakers {
    struct bh_db_gate gate;
    struct bh_breaker *breakers[LANES];
};

static const enum bh_breaker_outcome outcomes[] = {
    [BH_DB_WORKED] = BH_BREAKER_SUCCESS,
    [BH_DB_FAILED] = BH_BREAKER_FAILURE,
    [BH_DB_UNTOLD] = BH_BREAKER_IGNORED,
    [BH_DB_REFUSED] = BH_BREAKER_REFUSED,
};

static int enter(void *const argument, const enum bh_db_lane lane, const uint64_t now_us,
                 uint64_t *const ret_permit, struct bh_error *const reterr)
{
    const struct bh_database_breakers *const self = argument;
    struct bh_breaker_permit permit;
    const int result = bh_breaker_enter(self->breakers[lane], now_us, &permit, reterr);
    if (result)
        return result;
    *ret_permit = (uint64_t)permit.probe << 32 | permit.generation;
    return 0;
}

static void leave(void *const argument, const enum bh_db_lane lane, const uint64_t permit,
                  const enum bh_db_outcome outcome, const uint64_t longest_us,
                  const uint64_t now_us)
{
    const struct bh_database_breakers *const self = argument;
    bh_breaker_leave(self->breakers[lane],
                     (struct bh_breaker_permit){ .generation = (uint32_t)permit,
                                                 .probe = (uint32_t)(permit >> 32) },
                     outcomes[outcome], longest_us, now_us);
}

static void host(void *const argument, const enum bh_db_lane lane, const bool is_down)
{
    const struct bh_database_breakers *const self = argument;
    (is_down ? bh_breaker_hold : bh_breaker_free)(self->breakers[lane], bh_time_now_us());
}

int bh_database_breakers_create(const struct bh_breaker_options *const options,
                                struct bh_database_breakers **const ret_breakers,
                                struct bh_error *const reterr)
{
    static const char *const names[LANES] = { [BH_DB_READ] = "read", [BH_DB_WRITE] = "write" };
    struct bh_database_breakers *const self = calloc(1, sizeof(*self));
    if (!self)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the database's breakers");
    self->gate = (struct bh_db_gate){ self, enter, leave, host };
    struct bh_breaker_options one = *options;
    one.dependency = "database";
    int result = 0;
    for (int lane = 0; lane < LANES && result == 0; lane++) {
        one.operation = names[lane];
        result = bh_breaker_create(&one, &self->breakers[lane], reterr);
    }
    if (result) {
        bh_database_breakers_destroy(self);
        return result;
    }
    *ret_breakers = self;
    return 0;
}

void bh_database_breakers_destroy(struct bh_database_breakers *const breakers)
{
    if (!breakers)
        return;
    for (int lane = 0; lane < LANES; lane++)
        bh_breaker_destroy(breakers->breakers[lane]);
    free(breakers);
}

const struct bh_db_gate *
bh_database_breakers_gate(const struct bh_database_breakers *const breakers)
{
    return &breakers->gate;
}

bool bh_database_breakers_is_down(const struct bh_database_breakers *const breakers,
                                  const enum bh_db_lane lane)
{
    return breakers && bh_breaker_is_held(breakers->breakers[lane]);
}
