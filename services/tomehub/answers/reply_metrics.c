#include "answers/reply_metrics.h"

#include <pthread.h>

#define BH_METRICS_FILE "answers/reply_metrics.def"
#include "bulkhead/base/metrics_define.h"

enum source { SOURCE_EXTRACTIVE, SOURCE_GENERATED, SOURCE_DEGRADED, SOURCE_COUNT };
enum verdict { VERDICT_PASS, VERDICT_DECLINE, VERDICT_FAILED, VERDICT_COUNT };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bh_metric answers[SOURCE_COUNT][VERDICT_COUNT], duration;

static void register_metrics(void)
{
    static const char *const sources[] = { "extractive", "generated", "degraded" };
    static const char *const verdicts[] = { "pass", "decline", "failed" };
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (int i = 0; i < SOURCE_COUNT; i++)
        for (int j = 0; j < VERDICT_COUNT; j++) {
            const char *const labels[] = { sources[i], verdicts[j] };
            answers[i][j] = bh_metrics_child(&metric_families[METRIC_answers], labels, 2);
        }
    duration = bh_metrics_child(&metric_families[METRIC_duration], NULL, 0);
}

void tome_reply_count(const struct tome_reply *const reply, const int result)
{
    const enum source source = reply->is_degraded    ? SOURCE_DEGRADED
                               : reply->is_generated ? SOURCE_GENERATED
                                                     : SOURCE_EXTRACTIVE;
    const enum verdict verdict = result != 0                           ? VERDICT_FAILED
                                 : reply->verdict == TOME_VERDICT_PASS ? VERDICT_PASS
                                                                       : VERDICT_DECLINE;
    pthread_once(&once, register_metrics);
    bh_metrics_add(answers[source][verdict], 1);
    if (result == 0)
        bh_metrics_observe_us(duration, reply->answer_us);
}
