/* What the monitor knows, as answers. */
#include <stdio.h>

#include "runtime/memory_internal.h"

#define ANSWER_MAX 2048
#define RETRY_SECONDS 20 /* 10 to so many more: who was refused together does not come together */

struct snapshot {
    struct bh_memory_figures figures;
    enum bh_memory_level level;
    double average;
    int64_t wall_us;
};

static struct snapshot look(struct bh_memory *const memory)
{
    bh_magic_check(memory, BH_MEMORY_MAGIC);
    pthread_mutex_lock(&memory->shared.mutex);
    struct snapshot seen = { .figures = memory->shared.figures,
                             .level = memory->shared.level,
                             .wall_us = memory->shared.wall_us };
    const uint64_t count = memory->shared.readings < BH_MEMORY_RECENT ? memory->shared.readings
                                                                      : BH_MEMORY_RECENT;
    for (uint64_t i = 0; i < count; i++)
        seen.average += memory->shared.recent[i] / (double)count;
    pthread_mutex_unlock(&memory->shared.mutex);
    return seen;
}

static void write_fixed(struct bh_json *const json, const char *const key, const double value)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_fixed(json, value, 1);
}

static double share(const uint64_t part, const uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void write_figures(struct bh_json *const json, const struct bh_memory_figures *const seen)
{
    const uint64_t total = seen->machine_total_bytes;
    const uint64_t available = seen->machine_available_bytes;
    write_fixed(json, "process_rss_mb", (double)seen->process_bytes / BH_MEMORY_MB);
    write_fixed(json, "process_percent", share(seen->process_bytes, seen->limit_bytes));
    write_fixed(json, "system_total_mb", (double)total / BH_MEMORY_MB);
    write_fixed(json, "system_used_mb", (double)(total - available) / BH_MEMORY_MB);
    write_fixed(json, "system_available_mb", (double)available / BH_MEMORY_MB);
    write_fixed(json, "system_percent", share(total - available, total));
    write_fixed(json, "limit_mb", (double)seen->limit_bytes / BH_MEMORY_MB);
    bh_json_kv_string(json, "limit_source", bh_str_from(seen->limit_source));
    bh_json_key(json, BH_STR("pressure_some_avg10"));
    bh_json_fixed(json, seen->pressure_some_avg10, 2);
}

int bh_memory_respond(struct bh_request *const request, struct bh_memory *const memory)
{
    const struct snapshot seen = look(memory);
    char time[BH_TIME_TEXT_SIZE];
    bh_time_text(seen.wall_us, time);
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "status", BH_STR("ok"));
    bh_json_kv_object(&json, "memory");
    write_figures(&json, &seen.figures);
    bh_json_kv_string(&json, "timestamp", bh_str_from(time));
    bh_json_object_end(&json);
    bh_json_kv_string(&json, "health", bh_str_from(bh_memory_level_names[seen.level]));
    bh_json_object_end(&json);
    bh_buf_append_byte(&buf, '\n');
    return bh_respond_json_take(request, 200, &buf);
}

int bh_memory_restart_respond(struct bh_request *const request, struct bh_memory *const memory)
{
    const struct snapshot seen = look(memory);
    const bool requested = atomic_load(&memory->restart_requested);
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "status", requested ? BH_STR("restarting") : BH_STR("ok"));
    bh_json_kv_object(&json, "memory");
    write_fixed(&json, "current_percent", bh_memory_percent(&seen.figures));
    write_fixed(&json, "recent_average", seen.average);
    bh_json_kv_bool(&json, "restart_requested", requested);
    bh_json_kv_int(&json, "critical_threshold", memory->options.critical_percent);
    bh_json_kv_int(&json, "warning_threshold", memory->options.warning_percent);
    bh_json_object_end(&json);
    bh_json_object_end(&json);
    bh_buf_append_byte(&buf, '\n');
    return bh_respond_json_take(request, 200, &buf);
}

int bh_memory_refuse(struct bh_request *const request)
{
    char seconds[12];
    snprintf(seconds, sizeof(seconds), "%u",
             RETRY_SECONDS / 2 + (unsigned)(bh_time_now_us() % RETRY_SECONDS));
    bh_response_header(request, "Retry-After", bh_str_from(seconds));
    return bh_respond(request, 503, "application/json",
                      BH_STR("{\"error\":\"Server is short of memory, please retry\"}"));
}

static enum bh_health_status check(void *const argument, struct bh_json *const figures)
{
    struct bh_memory *const memory = argument;
    const struct snapshot seen = look(memory);
    write_figures(figures, &seen.figures);
    bh_json_kv_string(figures, "level", bh_str_from(bh_memory_level_names[seen.level]));
    if (bh_memory_is_critical(memory))
        return BH_HEALTH_FAILING;
    return seen.level == BH_MEMORY_OK ? BH_HEALTH_OK : BH_HEALTH_DEGRADED;
}

void bh_memory_add_check(struct bh_memory *const memory, struct bh_health *const health)
{
    bh_health_add(health, "memory", true, check, memory);
}
