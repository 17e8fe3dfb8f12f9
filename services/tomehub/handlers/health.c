/* Health and metrics: the runtime's answers, with the service's own checks. */
#include "handlers/health.h"

#include "bulkhead/base/time.h"
#include "bulkhead/runtime/database_health.h"
#include "bulkhead/runtime/memory.h"
#include "bulkhead/runtime/metrics_endpoint.h"
#include "bulkhead/runtime/streams.h"
#include "handlers/handlers.h"
#include "service.h"

int tome_handle_health(struct bh_request *const request)
{
    return bh_health_respond_full(request, tome_service_of(request)->health);
}

int tome_handle_live(struct bh_request *const request)
{
    return bh_health_respond_live(request);
}

int tome_handle_ready(struct bh_request *const request)
{
    return bh_health_respond_ready(request, tome_service_of(request)->health);
}

int tome_handle_health_database(struct bh_request *const request)
{
    return bh_database_health_respond(request, tome_service_of(request)->db);
}

int tome_handle_health_streams(struct bh_request *const request)
{
    return bh_streams_health_respond(request, tome_service_of(request)->stream_gate);
}

int tome_handle_health_memory(struct bh_request *const request)
{
    return bh_memory_respond(request, tome_service_of(request)->memory);
}

int tome_handle_health_restart(struct bh_request *const request)
{
    return bh_memory_restart_respond(request, tome_service_of(request)->memory);
}

int tome_handle_metrics(struct bh_request *const request)
{
    return bh_metrics_respond(request);
}

/* ---- Checks ---- */

/* Asks for the figures of the queue: one small read that also proves that the database answers. */
static int count_jobs(const struct tome_service *const service,
                      struct tome_job_counts *const ret_counts, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(4096, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory");
    return tome_jobs_count(service->db, arena, ret_counts, reterr);
}

static enum bh_health_status check_database(void *const argument, struct bh_json *const figures)
{
    const struct tome_service *const service = argument;
    const uint64_t begun_us = bh_time_now_us();
    struct tome_job_counts counts;
    struct bh_error error;
    const int result = count_jobs(service, &counts, &error);
    bh_json_kv_string(figures, "backend", bh_str_from(bh_db_backend(service->db)));
    bh_json_key(figures, BH_STR("answered_ms"));
    bh_json_fixed(figures, (double)(bh_time_now_us() - begun_us) / 1e3, 3);
    if (result == 0)
        return BH_HEALTH_OK;
    bh_json_kv_string(figures, "error", bh_str_from(error.message));
    return BH_HEALTH_FAILING;
}

static enum bh_health_status check_ingest(void *const argument, struct bh_json *const figures)
{
    const struct tome_service *const service = argument;
    struct tome_ingest_figures ingest;
    struct tome_job_counts counts;
    struct bh_error error;
    tome_ingest_figures(service->ingest, &ingest);
    bh_json_kv_int(figures, "workers", ingest.workers);
    bh_json_kv_int(figures, "busy", ingest.busy);
    bh_json_kv_int(figures, "done_since_start", (int64_t)ingest.done);
    bh_json_kv_int(figures, "failed_since_start", (int64_t)ingest.failed);
    if (count_jobs(service, &counts, &error) != 0)
        return BH_HEALTH_DEGRADED;
    const int64_t age_us = counts.oldest_at != 0 ? bh_time_wall_us() - counts.oldest_at : 0;
    bh_json_kv_int(figures, "queued", counts.queued);
    bh_json_kv_int(figures, "running", counts.running);
    bh_json_kv_int(figures, "oldest_seconds", age_us > 0 ? age_us / (int64_t)BH_SECOND_US : 0);
    return BH_HEALTH_OK;
}

void tome_health_add_checks(struct bh_health *const health, struct tome_service *const service,
                            const char *const data_path)
{
    bh_health_add(health, "database", true, check_database, service);
    bh_health_add(health, "ingest", false, check_ingest, service);
    bh_health_add_disk_space(health, data_path);
    bh_memory_add_check(service->memory, health);
    bh_health_add_breakers(health);
}
