#include "redis/redis_metrics.h"

#define BH_METRICS_FILE "redis/redis_metrics.def"
#include "bulkhead/base/metrics_define.h"

static bh_metric plain(const enum metric_family family)
{
    return bh_metrics_child(&metric_families[family], NULL, 0);
}

static bh_metric labelled(const enum metric_family family, const char *const value)
{
    return bh_metrics_child(&metric_families[family], &value, 1);
}

void bh_redis_metrics_init(struct bh_redis_metrics *const metrics)
{
    static const char *const outcomes[BH_REDIS_OUTCOMES] = {
        [BH_REDIS_OK] = "ok",
        [BH_REDIS_ERROR_REPLY] = "error",
        [BH_REDIS_TIMED_OUT] = "timeout",
        [BH_REDIS_UNAVAILABLE] = "unavailable",
        [BH_REDIS_REFUSED] = "refused",
    };
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (int i = 0; i < BH_REDIS_OUTCOMES; i++)
        metrics->commands[i] = labelled(METRIC_commands, outcomes[i]);
    metrics->duration = plain(METRIC_duration);
    metrics->open = plain(METRIC_open);
    metrics->down = plain(METRIC_down);
    metrics->connected = labelled(METRIC_connects, "connected");
    metrics->failed = labelled(METRIC_connects, "failed");
    metrics->lost = plain(METRIC_lost);
}
