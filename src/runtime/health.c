#include "bulkhead/runtime/health.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/runtime/lifecycle.h"

#define CHECKS_MAX 16
#define ANSWER_MAX 65536
#define ANSWER_STEP 1024
#define HEALTH_MAGIC 0x484c5448u

struct check {
    const char *name;
    bool needed_for_ready;
    bh_health_check *run;
    void *argument;
};

struct bh_health {
    BH_MAGIC_FIELD;
    struct check checks[CHECKS_MAX];
    size_t count;
};

static const char *const status_names[] = {
    [BH_HEALTH_OK] = "ok",
    [BH_HEALTH_DEGRADED] = "degraded",
    [BH_HEALTH_FAILING] = "failing",
};

int bh_health_create(struct bh_health **const ret_health)
{
    struct bh_health *const health = calloc(1, sizeof(*health));
    if (!health)
        return BH_ENOMEM;
    health->magic = HEALTH_MAGIC;
    *ret_health = health;
    return 0;
}

void bh_health_destroy(struct bh_health *const health)
{
    free(health);
}

void bh_health_add(struct bh_health *const health, const char *const name,
                   const bool needed_for_ready, bh_health_check *const check, void *const argument)
{
    bh_magic_check(health, HEALTH_MAGIC);
    bh_assert(health->count < CHECKS_MAX);
    health->checks[health->count++] = (struct check){
        .name = name, .needed_for_ready = needed_for_ready, .run = check, .argument = argument
    };
}

/* Each check gets its own short time, so that one that hangs is seen as failing. */
static enum bh_health_status run_check(const struct check *const check, struct bh_json *const json)
{
    const uint64_t deadline_us = bh_fiber_deadline();
    const uint64_t check_us = bh_time_now_us() + BH_HEALTH_CHECK_US;
    bh_fiber_set_deadline(check_us < deadline_us ? check_us : deadline_us);
    bh_json_kv_object(json, check->name);
    const enum bh_health_status status = check->run(check->argument, json);
    bh_json_kv_string(json, "status", bh_str_from(status_names[status]));
    bh_json_object_end(json);
    bh_fiber_set_deadline(deadline_us);
    return status;
}

/* Load tools such as ab count an answer as failed when its length differs from the first one's;
 * figures grow and shrink, so blanks fill the answer up. */
static void pad(struct bh_buf *const buf)
{
    const size_t fill = ANSWER_STEP - 1 - buf->size % ANSWER_STEP;
    char *const to = bh_buf_reserve(buf, fill + 1);
    if (!to)
        return;
    memset(to, ' ', fill);
    to[fill] = '\n';
    bh_buf_advance(buf, fill + 1);
}

static int respond(struct bh_request *const request, const struct bh_health *const health,
                   const bool only_needed)
{
    bh_magic_check(health, HEALTH_MAGIC);
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_object(&json, "checks");
    enum bh_health_status worst = BH_HEALTH_OK;
    for (size_t i = 0; i < health->count; i++) {
        if (only_needed && !health->checks[i].needed_for_ready)
            continue;
        const enum bh_health_status status = run_check(&health->checks[i], &json);
        if (status > worst)
            worst = status;
    }
    bh_json_object_end(&json);

    const bool leaving = bh_lifecycle_is_leaving();
    const bool unfit = worst == BH_HEALTH_FAILING || (only_needed && leaving);
    bh_json_kv_bool(&json, "draining", leaving);
    bh_json_kv_string(&json, "status", bh_str_from(status_names[worst]));
    bh_json_kv_string(&json, "version", BH_STR(BH_VERSION));
    const uint64_t uptime_us = bh_time_now_us() - bh_lifecycle_started_us();
    bh_json_kv_int(&json, "uptime_seconds", (int64_t)(uptime_us / BH_SECOND_US));
    bh_json_object_end(&json);
    pad(&buf);
    if (unfit)
        bh_response_header(request, "Retry-After", BH_STR("5"));
    return bh_respond_json_take(request, unfit ? 503 : 200, &buf);
}

int bh_health_respond_full(struct bh_request *const request, const struct bh_health *const health)
{
    return respond(request, health, false);
}

int bh_health_respond_ready(struct bh_request *const request, const struct bh_health *const health)
{
    return respond(request, health, true);
}

int bh_health_respond_live(struct bh_request *const request)
{
    return bh_respond(request, 200, "application/json", BH_STR("{\"status\":\"ok\"}\n"));
}
