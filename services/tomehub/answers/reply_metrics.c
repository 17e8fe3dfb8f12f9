#include "answers/reply_metrics.h"

#include <pthread.h>

#define BH_METRICS_FILE "answers/reply_metrics.def"
#include "bulkhead/base/metrics_define.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bh_metric passed, declined, failed, duration;

static bh_metric answers(const char *const verdict)
{
    return bh_metrics_child(&metric_families[METRIC_answers], &verdict, 1);
}

static void register_metrics(void)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    passed = answers("pass");
    declined = answers("decline");
    failed = answers("failed");
    duration = bh_metrics_child(&metric_families[METRIC_duration], NULL, 0);
}

void tome_reply_count(const struct tome_reply *const reply, const int result)
{
    pthread_once(&once, register_metrics);
    bh_metrics_add(result != 0                           ? failed
                   : reply->verdict == TOME_VERDICT_PASS ? passed
                                                         : declined,
                   1);
    if (result == 0)
        bh_metrics_observe_us(duration, reply->answer_us);
}
