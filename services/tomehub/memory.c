#include "memory.h"

#include "bulkhead/db/sqlite.h"
#include "bulkhead/overload/admission.h"
#include "bulkhead/overload/stream_gate.h"
#include "cache/cache.h"

#define SQLITE_REPEAT_US (30 * BH_SECOND_US)
#define CACHE_CRITICAL_DIVISOR 16
#define ADMISSION_PERCENT 50

static void set_cache(const struct tome_service *const service, const size_t divisor)
{
    struct bh_cache *const cache = tome_cache_peek(service->cache);
    if (cache)
        bh_cache_set_maximum_bytes(cache,
                                   ((size_t)service->settings->cache_max_mb << 20) / divisor);
}

static bool halve_cache(void *const argument)
{
    set_cache(argument, 2);
    return true;
}

static void restore_cache(void *const argument)
{
    set_cache(argument, 1);
}

static bool empty_cache(void *const argument)
{
    set_cache(argument, CACHE_CRITICAL_DIVISOR);
    return true;
}

static void refill_cache(void *const argument)
{
    set_cache(argument, 2);
}

static bool lower_limits(void *const argument)
{
    const struct tome_service *const service = argument;
    if (service->admission)
        bh_admission_scale(service->admission, ADMISSION_PERCENT);
    return true;
}

static void raise_limits(void *const argument)
{
    const struct tome_service *const service = argument;
    if (service->admission)
        bh_admission_scale(service->admission, 100);
}

/* Half as many streams at a time; those under way go on. */
static bool halve_streams(void *const argument)
{
    const struct tome_service *const service = argument;
    const unsigned most = (unsigned)service->settings->max_concurrent_streams;
    bh_stream_gate_resize(service->stream_gate, most > 1 ? most / 2 : 1);
    return true;
}

static void restore_streams(void *const argument)
{
    const struct tome_service *const service = argument;
    bh_stream_gate_resize(service->stream_gate,
                          (unsigned)service->settings->max_concurrent_streams);
}

static bool shrink_sqlite(void *const argument)
{
    const struct tome_service *const service = argument;
    bh_sqlite_shrink(service->db);
    return true;
}

static bool hold_ingest(void *const argument)
{
    const struct tome_service *const service = argument;
    tome_ingest_hold(service->ingest, true);
    return true;
}

static void release_ingest(void *const argument)
{
    const struct tome_service *const service = argument;
    tome_ingest_hold(service->ingest, false);
}

static void add_steps(struct tome_service *const service, struct bh_memory *const memory)
{
    const struct bh_memory_action steps[] = {
        { .name = "cache",
          .level = BH_MEMORY_WARNING,
          .apply = halve_cache,
          .undo = restore_cache },
        { .name = "limits",
          .level = BH_MEMORY_WARNING,
          .apply = lower_limits,
          .undo = raise_limits },
        { .name = "streams",
          .level = BH_MEMORY_WARNING,
          .apply = halve_streams,
          .undo = restore_streams },
        { .name = "sqlite",
          .level = BH_MEMORY_WARNING,
          .repeat_us = SQLITE_REPEAT_US,
          .apply = shrink_sqlite },
        { .name = "rest of the cache",
          .level = BH_MEMORY_CRITICAL,
          .apply = empty_cache,
          .undo = refill_cache },
        { .name = "ingest",
          .level = BH_MEMORY_CRITICAL,
          .apply = hold_ingest,
          .undo = release_ingest },
    };
    for (size_t i = 0; i < BH_COUNT_OF(steps); i++) {
        struct bh_memory_action step = steps[i];
        step.argument = service;
        bh_memory_add(memory, &step);
    }
}

int tome_memory_create(struct tome_service *const service, struct bh_memory **const ret_memory,
                       struct bh_error *const reterr)
{
    const struct tome_settings *const settings = service->settings;
    const struct bh_memory_options options = {
        .warning_percent = (unsigned)settings->memory_warning,
        .critical_percent = (unsigned)settings->memory_critical,
        .interval_us = settings->memory_check_interval_us,
        .restart_delay_us = settings->memory_restart_delay_us,
        .restart_interval_us = settings->memory_restart_interval_us,
        .limit_bytes = (uint64_t)settings->memory_limit_mb << 20,
        .root = "",
    };
    if (options.warning_percent >= options.critical_percent)
        return bh_error_set(reterr, BH_EINVAL,
                            "MEMORY_WARNING_THRESHOLD=%u must be below "
                            "MEMORY_CRITICAL_THRESHOLD=%u",
                            options.warning_percent, options.critical_percent);
    struct bh_memory *memory = NULL;
    const int result = bh_memory_create(&options, &memory, reterr);
    if (result)
        return result;
    add_steps(service, memory);
    *ret_memory = memory;
    return 0;
}
