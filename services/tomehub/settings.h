/*
 * TomeHub's settings: the one table from which loading, validation, `.env.example`, the reference
 * page and `tomehub config` come. Read once at start; constant afterwards, any thread.
 */
#pragma once

#include "bulkhead/base/log.h"
#include "bulkhead/base/settings.h"

struct tome_settings {
    const char *host;
    int64_t port;
    const char *database_url, *database_read_url;
    const char *data_dir; /* "": beside the database, see tome_settings_data_dir */
    int64_t loops;        /* 0: one for each core */

    const char *tls_cert_file, *tls_key_file; /* "": plain HTTP */

    const char *auth; /* none, keys, jwt; or "keys,jwt" */
    bool allow_unauthenticated;
    const char *api_key;
    const char *jwt_issuer, *jwt_audience, *jwt_keys;
    uint64_t jwt_leeway_us;

    const char *log_level;
    const char *log_format;
    bool access_log;
    int64_t access_log_sample; /* percent */

    int64_t db_pool_min, db_pool_max;
    int64_t db_pool_read_size, db_pool_write_size; /* read: 0 is the backend's own */
    int64_t db_pool_overflow;
    int64_t db_pool_max_waiters;
    uint64_t db_pool_timeout_us;
    uint64_t db_pool_recycle_us;
    uint64_t db_pool_idle_timeout_us;
    bool db_pool_pre_ping;
    uint64_t db_pool_leak_us;
    uint64_t db_connect_timeout_us;
    uint64_t db_statement_timeout_us;
    uint64_t slow_query_us;
    int64_t query_repeat_limit;

    bool cache_enabled;
    int64_t cache_max_mb;
    uint64_t cache_degraded_age_us;
    uint64_t cache_ttl_search_us, cache_ttl_content_us, cache_ttl_concepts_us, cache_ttl_default_us;

    int64_t max_upload_mb;
    int64_t ingest_workers;
    uint64_t extract_timeout_us;
    int64_t extract_memory_mb;

    uint64_t http_head_timeout_us;
    uint64_t http_idle_timeout_us;
    uint64_t http_request_timeout_us;
    uint64_t http_write_timeout_us;
    int64_t http_body_rate;
    int64_t http_unsent_max_mb;
    int64_t http_connections_max;

    bool admission_enabled;
    int64_t admission_queue;
    uint64_t admission_wait_us;

    bool breakers_enabled;
    int64_t breaker_window;
    int64_t breaker_failure_rate, breaker_slow_rate; /* percent */
    uint64_t breaker_slow_call_us;
    uint64_t breaker_open_us;
    int64_t breaker_probes;

    bool rate_limit_enabled, rate_limit_dry_run;
    const char *rate_limit_global, *rate_limit_search, *rate_limit_ingest, *rate_limit_refused;
    uint64_t rate_limit_redis_wait_us;
    const char *trusted_proxies, *trusted_proxy_header;
    const char *redis_url; /* "": none */
    const char *redis_ca_file;

    int64_t max_concurrent_streams, stream_max_per_client;
    uint64_t stream_wait_us, stream_heartbeat_us;
    int64_t memory_warning, memory_critical; /* percent */
    int64_t memory_limit_mb;                 /* 0: what the system says */
    uint64_t memory_check_interval_us;
    uint64_t memory_restart_delay_us, memory_restart_interval_us;

    bool supervisor;
    uint64_t worker_start_timeout_us, worker_hang_timeout_us; /* hang: 0 is not watched */
    int64_t worker_restart_limit;

    const char *answer_url; /* "": answers are extractive */
    const char *answer_model, *answer_api_key, *answer_proxy, *answer_ca_file;
    uint64_t answer_connect_timeout_us, answer_first_byte_timeout_us;
    uint64_t answer_idle_timeout_us, answer_timeout_us;

    uint64_t shutdown_delay_us;
    uint64_t shutdown_timeout_us;
};

extern const struct bh_setting tome_settings_table[];
extern const size_t tome_settings_count;

/* Reads `.env` in the working directory and the environment. The strings of *ret_settings live
 * until bh_settings_origin_destroy(*ret_origin). */
int tome_settings_load(struct tome_settings *ret_settings, struct bh_settings_origin **ret_origin,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* Whether only this machine can reach the configured HOST: "localhost", 127.0.0.0/8 or ::1. */
bool tome_settings_is_loopback(const struct tome_settings *settings);

/* Whether DATABASE_URL names a PostgreSQL database. */
bool tome_settings_is_postgres(const struct tome_settings *settings);

/* The database's file as an absolute path into `buffer`. BH_EINVAL: DATABASE_URL is not
 * "sqlite:PATH" or too long. */
int tome_settings_database_path(const struct tome_settings *settings, char *buffer, size_t size,
                                struct bh_error *reterr) BH_MUST_CHECK;

/* The folder of uploads in progress as an absolute path: DATA_DIR, else "<database>.uploads",
 * with PostgreSQL "tomehub.uploads" in the working directory. */
int tome_settings_data_dir(const struct tome_settings *settings, char *buffer, size_t size,
                           struct bh_error *reterr) BH_MUST_CHECK;

/* The socket of this server's supervisor as an absolute path: "<database>.control-<PORT>", with
 * PostgreSQL "<folder of uploads>.control-<PORT>". */
int tome_settings_control_path(const struct tome_settings *settings, char *buffer, size_t size,
                               struct bh_error *reterr) BH_MUST_CHECK;

enum bh_log_level tome_settings_log_level(const struct tome_settings *settings);
enum bh_log_format tome_settings_log_format(const struct tome_settings *settings);
