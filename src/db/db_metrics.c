#include "db/db_metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/error.h"

#define BH_METRICS_FILE "db/db_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define ROUTE_SIZE 128
#define STATEMENTS_MAX 64 /* a histogram takes 20 of the process' 4,096 slots */

static const int error_codes[] = {
#define X(name, value, text) name,
    BH_ERROR_TABLE(X)
#undef X
};

static const char *const refusals[BH_DB_REFUSED_COUNT] = {
    [BH_DB_REFUSED_TIMED_OUT] = "timed_out",
    [BH_DB_REFUSED_CANCELED] = "canceled",
    [BH_DB_REFUSED_SHED] = "shed",
    [BH_DB_REFUSED_UNAVAILABLE] = "unavailable",
};

static bh_metric errors[BH_COUNT_OF(error_codes)];
static bh_metric slow;

static struct {
    pthread_mutex_t mutex;
    const char *names[STATEMENTS_MAX]; /* static text of the statements */
    size_t count;
} shared = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (size_t i = 0; i < BH_COUNT_OF(error_codes); i++) {
        const char *const name = bh_error_name(error_codes[i]);
        errors[i] = bh_metrics_child(&metric_families[METRIC_errors], &name, 1);
    }
    slow = bh_metrics_child(&metric_families[METRIC_slow], NULL, 0);
}

struct bh_db_lane_metrics bh_db_metrics_lane(const enum bh_db_lane lane)
{
    return bh_db_metrics_named(lane == BH_DB_WRITE ? "write" : "read");
}

struct bh_db_lane_metrics bh_db_metrics_named(const char *const name)
{
    pthread_once(&once, register_metrics);
    struct bh_db_lane_metrics metrics = {
        .connections = bh_metrics_child(&metric_families[METRIC_connections], &name, 1),
        .active = bh_metrics_child(&metric_families[METRIC_active], &name, 1),
        .waiting = bh_metrics_child(&metric_families[METRIC_waiting], &name, 1),
        .acquire_wait = bh_metrics_child(&metric_families[METRIC_acquire_wait], &name, 1),
        .leaks = bh_metrics_child(&metric_families[METRIC_leaks], &name, 1),
    };
    for (size_t i = 0; i < BH_DB_REFUSED_COUNT; i++) {
        const char *const values[] = { name, refusals[i] };
        metrics.refused[i] = bh_metrics_child(&metric_families[METRIC_refused], values, 2);
    }
    return metrics;
}

/* Whether `name` is one of those told apart. */
static bool admit(const char *const name)
{
    pthread_mutex_lock(&shared.mutex);
    size_t at = 0;
    while (at < shared.count && strcmp(shared.names[at], name) != 0)
        at++;
    const bool is_admitted = at < STATEMENTS_MAX;
    if (at == shared.count && is_admitted)
        shared.names[shared.count++] = name;
    pthread_mutex_unlock(&shared.mutex);
    return is_admitted;
}

bh_metric bh_db_metrics_statement(const char *const name)
{
    pthread_once(&once, register_metrics);
    const char *const value = admit(name) ? name : "other";
    return bh_metrics_child(&metric_families[METRIC_query_duration], &value, 1);
}

void bh_db_metrics_error(const int code)
{
    pthread_once(&once, register_metrics);
    for (size_t i = 0; i < BH_COUNT_OF(error_codes); i++) {
        if (error_codes[i] == code)
            bh_metrics_add(errors[i], 1);
    }
}

void bh_db_metrics_slow(void)
{
    pthread_once(&once, register_metrics);
    bh_metrics_add(slow, 1);
}

void bh_db_metrics_repeated(const struct bh_str route)
{
    pthread_once(&once, register_metrics);
    char text[ROUTE_SIZE];
    snprintf(text, sizeof(text), "%.*s", BH_STR_ARGS(route));
    const char *const value = text;
    bh_metrics_add(bh_metrics_child(&metric_families[METRIC_repeated], &value, 1), 1);
}
