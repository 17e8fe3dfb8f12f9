#include "client/client_metrics.h"

#include <pthread.h>

#include "bulkhead/base/error.h"

#define BH_METRICS_FILE "client/client_metrics.def"
#include "bulkhead/base/metrics_define.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bh_metric answered, timed_out, left, failed, in_flight, head;

static bh_metric requests(const char *const outcome)
{
    return bh_metrics_child(&metric_families[METRIC_requests], &outcome, 1);
}

static void register_metrics(void)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    answered = requests("answered");
    timed_out = requests("timed_out");
    left = requests("left");
    failed = requests("failed");
    in_flight = bh_metrics_child(&metric_families[METRIC_in_flight], NULL, 0);
    head = bh_metrics_child(&metric_families[METRIC_head], NULL, 0);
}

void bh_client_metrics_begin(void)
{
    pthread_once(&once, register_metrics);
    bh_metrics_add(in_flight, 1);
}

void bh_client_metrics_answered(const int result, const uint64_t duration_us)
{
    const bh_metric outcome = result == 0              ? answered
                              : result == BH_ETIMEDOUT ? timed_out
                              : result == BH_ECANCELED ? left
                                                       : failed;
    bh_metrics_add(outcome, 1);
    if (result == 0)
        bh_metrics_observe_us(head, duration_us);
}

void bh_client_metrics_end(void)
{
    bh_metrics_add(in_flight, -1);
}
