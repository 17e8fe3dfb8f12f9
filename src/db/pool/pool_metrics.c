#include "db/pool/pool_metrics.h"

#define BH_METRICS_FILE "db/pool/pool_metrics.def"
#include "bulkhead/base/metrics_define.h"

static bh_metric child(const enum metric_family family, const char *const lane,
                       const char *const reason)
{
    const char *const values[] = { lane, reason };
    return bh_metrics_child(&metric_families[family], values, reason ? 2 : 1);
}

struct bh_pool_metrics bh_pool_metrics_of(const char *const name)
{
    static const char *const reasons[] = {
#define X(id, label, text) [BH_POOL_CLOSED_##id] = (label),
        BH_POOL_CLOSE_REASONS(X)
#undef X
    };
    bh_metrics_register(metric_families, METRIC_COUNT);
    struct bh_pool_metrics metrics = {
        .lane = bh_db_metrics_named(name),
        .hold = child(METRIC_hold, name, NULL),
        .connect = child(METRIC_connect, name, NULL),
        .down = child(METRIC_down, name, NULL),
        .idle = child(METRIC_idle, name, NULL),
        .reuse = child(METRIC_reuse, name, NULL),
    };
    for (unsigned i = 0; i < BH_POOL_COUNT_COUNT; i++)
        metrics.counts[i] = BH_POOL_NO_METRIC;
    const bh_metric *const refused = metrics.lane.refused;
    metrics.counts[BH_POOL_COUNT_TIMED_OUT] = refused[BH_DB_REFUSED_TIMED_OUT];
    metrics.counts[BH_POOL_COUNT_CANCELED] = refused[BH_DB_REFUSED_CANCELED];
    metrics.counts[BH_POOL_COUNT_SHED] = refused[BH_DB_REFUSED_SHED];
    metrics.counts[BH_POOL_COUNT_UNAVAILABLE] = refused[BH_DB_REFUSED_UNAVAILABLE];
    metrics.counts[BH_POOL_COUNT_LEAKS] = metrics.lane.leaks;
    for (unsigned i = 0; i < BH_POOL_CLOSE_REASON_COUNT; i++)
        metrics.counts[BH_POOL_COUNT_CLOSED + i] = child(METRIC_closed, name, reasons[i]);
    return metrics;
}

void bh_pool_metrics_read(const struct bh_pool_metrics *const metrics,
                          double (*const idle)(void *pool), double (*const reuse)(void *pool),
                          struct bh_pool *const pool)
{
    bh_metrics_child_callback(&metric_families[METRIC_idle], metrics->idle, idle, pool);
    bh_metrics_child_callback(&metric_families[METRIC_reuse], metrics->reuse, reuse, pool);
}
