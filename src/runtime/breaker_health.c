/* The circuit breakers as a part of the full health answer. */
#include <stdio.h>

#include "bulkhead/base/time.h"
#include "bulkhead/overload/breaker.h"
#include "bulkhead/runtime/health.h"

#define NAME_SIZE 64

static void write_breaker(struct bh_json *const json, const struct bh_breaker_status *const breaker)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s/%s", breaker->dependency, breaker->operation);
    bh_json_key(json, bh_str_from(name));
    bh_json_object_begin(json);
    bh_json_kv_string(json, "state", bh_str_from(bh_breaker_state_names[breaker->state]));
    bh_json_kv_int(json, "calls", breaker->calls);
    bh_json_kv_int(json, "failed", breaker->failed);
    bh_json_kv_int(json, "slow", breaker->slow);
    bh_json_kv_int(json, "opened", (int64_t)breaker->opened);
    bh_json_kv_int(json, "rejected", (int64_t)breaker->rejected);
    bh_json_key(json, BH_STR("retry_seconds"));
    bh_json_fixed(json, (double)breaker->retry_us / 1e6, 1);
    bh_json_object_end(json);
}

static enum bh_health_status check_breakers(void *const argument, struct bh_json *const figures)
{
    (void)argument;
    struct bh_breaker_status breakers[BH_BREAKERS_MAXIMUM];
    const size_t count = bh_breaker_list(breakers, BH_BREAKERS_MAXIMUM, bh_time_now_us());
    enum bh_health_status worst = BH_HEALTH_OK;
    for (size_t i = 0; i < count; i++) {
        write_breaker(figures, &breakers[i]);
        if (breakers[i].state != BH_BREAKER_CLOSED)
            worst = BH_HEALTH_DEGRADED;
    }
    return worst;
}

void bh_health_add_breakers(struct bh_health *const health)
{
    bh_health_add(health, "breakers", false, check_breakers, NULL);
}
