/* Puts the parts together in the order in which they need each other, and takes them apart again.
 * */
#include "serve.h"

#include <linux/limits.h>

#include "answers/provider.h"
#include "bulkhead/base/metrics.h"
#include "bulkhead/overload/stream_gate.h"
#include "bulkhead/runtime/lifecycle.h"
#include "bulkhead/runtime/supervisor.h"
#include "auth.h"
#include "handlers/health.h"
#include "client_limits.h"
#include "memory.h"
#include "memory_fit.h"
#include "open.h"
#include "overload.h"
#include "routes.h"
#include "service.h"
#include "tls.h"

static int on_start(void *const service, struct bh_error *const reterr)
{
    const struct tome_service *const self = service;
    int result = bh_auth_start(self->auth, reterr);
    if (result == 0)
        result = tome_ingest_start(self->ingest, reterr);
    return result == 0 ? bh_memory_start(self->memory, reterr) : result;
}

static void on_drain(void *const service)
{
    const struct tome_service *const self = service;
    tome_ingest_drain(self->ingest);
}

static void on_stop(void *const service)
{
    const struct tome_service *const self = service;
    tome_ingest_stop(self->ingest);
    bh_auth_stop(self->auth);
}

/* The guard and what its steps need. */
static int create_guard(struct tome_service *const service, struct bh_error *const reterr)
{
    const struct tome_settings *const settings = service->settings;
    const struct bh_stream_gate_options streams = {
        .maximum = (unsigned)settings->max_concurrent_streams,
        .waiters_maximum = (unsigned)settings->max_concurrent_streams,
        .wait_us = settings->stream_wait_us,
        .client_maximum = (unsigned)settings->stream_max_per_client,
    };
    int result = bh_stream_gate_create(&streams, &service->stream_gate, reterr);
    if (result == 0)
        result = tome_auth_create(settings, service->db, &service->auth, reterr);
    if (result == 0)
        result = tome_overload_admission(settings, &service->admission, reterr);
    if (result == 0)
        result = tome_memory_create(service, &service->memory, reterr);
    if (result == 0)
        result = bh_guard_create(&service->guard, reterr);
    if (result == 0)
        result = tome_client_limits_clients(settings, &service->clients, reterr);
    if (result == 0)
        result = tome_client_limits_create(settings, service->clients, service->redis,
                                           &service->rate_limits, reterr);
    if (result != 0)
        return result;
    bh_guard_set_auth(service->guard, service->auth);
    bh_guard_set_admission(service->guard, service->admission);
    bh_guard_set_rate_limits(service->guard, service->rate_limits);
    bh_guard_set_memory(service->guard, service->memory);
    bh_guard_set_stream_gate(service->guard, service->stream_gate, service->clients);
    return 0;
}

static struct bh_lifecycle_options options_of(const struct tome_settings *const settings,
                                              const struct bh_router *const router,
                                              struct tome_service *const service)
{
    struct bh_lifecycle_options options = { .host = settings->host,
                                            .port = (unsigned)settings->port,
                                            .loops = (unsigned)settings->loops,
                                            .shutdown_delay_us = settings->shutdown_delay_us,
                                            .shutdown_timeout_us = settings->shutdown_timeout_us,
                                            .router = router,
                                            .service = service,
                                            .on_start = on_start,
                                            .on_drain = on_drain,
                                            .on_stop = on_stop };
    bh_http_options_default(&options.http);
    options.http.head_timeout_us = settings->http_head_timeout_us;
    options.http.idle_timeout_us = settings->http_idle_timeout_us;
    options.http.request_timeout_us = settings->http_request_timeout_us;
    options.http.write_timeout_us = settings->http_write_timeout_us;
    options.http.unsent_maximum = (size_t)settings->http_unsent_max_mb << 20;
    options.http.heartbeat_us = settings->stream_heartbeat_us;
    options.http.body_bytes_per_second = (uint64_t)settings->http_body_rate;
    options.http.connections_maximum = (unsigned)settings->http_connections_max;
    options.http.guard = bh_guard_run;
    options.http.guard_argument = service->guard;
    options.http.room = bh_guard_room;
    options.http.tls = service->tls;
    options.http.access_log = settings->access_log;
    options.http.access_log_percent = (unsigned)settings->access_log_sample;
    return options;
}

int tome_serve_create_ingest(const struct tome_settings *const settings, struct bh_db *const db,
                             struct tome_ingest **const ret_ingest, struct bh_error *const reterr)
{
    const bool is_postgres = tome_settings_is_postgres(settings);
    char database_path[PATH_MAX], data_dir[PATH_MAX];
    int result = is_postgres ? 0
                             : tome_settings_database_path(settings, database_path,
                                                           sizeof(database_path), reterr);
    if (result == 0)
        result = tome_settings_data_dir(settings, data_dir, sizeof(data_dir), reterr);
    if (result != 0)
        return result;
    const struct tome_ingest_options options = {
        .db = db,
        .database_path = is_postgres ? NULL : database_path,
        .database_url = settings->database_url,
        .data_dir = data_dir,
        .workers = (unsigned)settings->ingest_workers,
        .upload_maximum = (uint64_t)settings->max_upload_mb << 20,
        .extract_timeout_us = settings->extract_timeout_us,
        .extract_memory = (uint64_t)settings->extract_memory_mb << 20,
    };
    return tome_ingest_create(&options, ret_ingest, reterr);
}

/* With settings that fit. */
static int serve(const struct tome_settings *const settings, const enum tome_serve_role role,
                 struct bh_error *const reterr)
{
    struct tome_service service = { .settings = settings };
    struct bh_router *router = NULL;
    struct bh_database_breakers *breakers = NULL;
    struct bh_redis_breaker *redis_breaker = NULL;
    char data_dir[PATH_MAX];
    int result = tome_auth_check_settings(settings, reterr);
    if (result == 0)
        result = tome_tls_create(settings, &service.tls, reterr);
    if (result == 0)
        result = tome_settings_data_dir(settings, data_dir, sizeof(data_dir), reterr);
    if (result == 0)
        result = tome_overload_database_breakers(settings, &breakers, reterr);
    if (result == 0)
        result = tome_open_gated(settings, breakers ? bh_database_breakers_gate(breakers) : NULL,
                                 &service.db, reterr);
    if (result == 0)
        result = tome_searcher_create(service.db, &service.searcher, reterr);
    if (result == 0)
        result = tome_provider_create(settings, &service.provider, reterr);
    if (result == 0)
        result = tome_overload_redis_breaker(settings, &redis_breaker, reterr);
    if (result == 0)
        result = tome_open_redis(settings, bh_redis_breaker_gate(redis_breaker), &service.redis,
                                 reterr);
    if (result == 0)
        result = tome_cache_create(settings, service.db, breakers, service.redis, &service.cache,
                                   reterr);
    if (result == 0)
        result = tome_serve_create_ingest(settings, service.db, &service.ingest, reterr);
    if (result == 0 && bh_health_create(&service.health) != 0)
        result = bh_error_set(reterr, BH_ENOMEM, "no memory for the health registry");
    if (result == 0)
        result = create_guard(&service, reterr);
    if (result == 0)
        result = tome_routes_create(settings, &router, reterr);
    if (result == 0) {
        bh_metrics_register_process();
        tome_health_add_checks(service.health, &service, data_dir);
        struct bh_lifecycle_options options = options_of(settings, router, &service);
        if (role == TOME_SERVE_WORKER) {
            options.supervisor_fd = BH_SUPERVISOR_CHANNEL_FD;
            options.http.listener_fd = BH_SUPERVISOR_LISTENER_FD;
        }
        result = bh_lifecycle_run(&options, reterr);
    }
    bh_router_destroy(router);
    bh_memory_destroy(service.memory);
    bh_guard_destroy(service.guard);
    bh_rate_limits_destroy(service.rate_limits);
    bh_stream_gate_destroy(service.stream_gate);
    bh_clients_destroy(service.clients);
    bh_admission_destroy(service.admission);
    bh_auth_destroy(service.auth);
    bh_health_destroy(service.health);
    tome_ingest_destroy(service.ingest);
    tome_provider_destroy(service.provider);
    tome_cache_destroy(service.cache);
    tome_searcher_destroy(service.searcher);
    bh_db_close(service.db);
    bh_database_breakers_destroy(breakers);
    bh_redis_destroy(service.redis);
    bh_redis_breaker_destroy(redis_breaker);
    bh_tls_destroy(service.tls);
    return result;
}

int tome_serve(const struct tome_settings *const settings, const enum tome_serve_role role,
               struct bh_error *const reterr)
{
    struct tome_settings fitting = *settings;
    const int result = tome_memory_fit(&fitting, reterr);
    return result == 0 ? serve(&fitting, role, reterr) : result;
}
