#include "bulkhead/runtime/database_health.h"

#include "bulkhead/base/json.h"

#define ANSWER_MAX 16384

static void add(struct bh_db_statistics *const sum, const struct bh_db_statistics *const lane)
{
    sum->size += lane->size;
    sum->total += lane->total;
    sum->in_use += lane->in_use;
    sum->overflow += lane->overflow;
    sum->waiting += lane->waiting;
    sum->is_down |= lane->is_down;
    sum->is_paused |= lane->is_paused;
    sum->granted += lane->granted;
    sum->waited += lane->waited;
    sum->timed_out += lane->timed_out;
    sum->refused += lane->refused;
    sum->connected += lane->connected;
}

static void write_figures(struct bh_json *const json, const struct bh_db_statistics *const lane)
{
    bh_json_kv_int(json, "pool_size", lane->size);
    bh_json_kv_int(json, "checked_out_connections", lane->in_use);
    bh_json_kv_int(json, "overflow", lane->overflow);
    bh_json_kv_int(json, "total", lane->total);
    bh_json_kv_int(json, "waiting", lane->waiting);
    bh_json_kv_int(json, "acquired", (int64_t)lane->granted);
    bh_json_kv_int(json, "waits", (int64_t)lane->waited);
    bh_json_kv_int(json, "timed_out", (int64_t)lane->timed_out);
    bh_json_kv_int(json, "refused", (int64_t)lane->refused);
    bh_json_kv_int(json, "connected", (int64_t)lane->connected);
    bh_json_key(json, BH_STR("reuse"));
    bh_json_fixed(json, bh_db_reuse_ratio(lane->granted, lane->connected), 6);
    bh_json_kv_bool(json, "paused", lane->is_paused);
}

int bh_database_health_respond(struct bh_request *const request, struct bh_db *const db)
{
    static const char *const names[] = { [BH_DB_READ] = "read", [BH_DB_WRITE] = "write" };
    struct bh_db_statistics lanes[BH_COUNT_OF(names)], sum = { 0 };
    for (size_t i = 0; i < BH_COUNT_OF(names); i++) {
        bh_db_statistics(db, (enum bh_db_lane)i, &lanes[i]);
        add(&sum, &lanes[i]);
    }
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "status", sum.is_down ? BH_STR("failing") : BH_STR("ok"));
    bh_json_kv_string(&json, "backend", bh_str_from(bh_db_backend(db)));
    write_figures(&json, &sum);
    bh_json_kv_object(&json, "lanes");
    for (size_t i = 0; i < BH_COUNT_OF(names); i++) {
        bh_json_kv_object(&json, names[i]);
        write_figures(&json, &lanes[i]);
        bh_json_object_end(&json);
    }
    bh_json_object_end(&json);
    bh_json_object_end(&json);
    bh_buf_append_byte(&buf, '\n');
    if (sum.is_down)
        bh_response_header(request, "Retry-After", BH_STR("5"));
    return bh_respond_json_take(request, sum.is_down ? 503 : 200, &buf);
}
