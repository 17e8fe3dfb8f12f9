#include "cache/cache_metrics.h"

#include <pthread.h>

#define BH_METRICS_FILE "cache/cache_metrics.def"
#include "bulkhead/base/metrics_define.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
}

static bh_metric child(const enum metric_family family, const char *const name,
                       const char *const result)
{
    const char *const values[] = { name, result };
    return bh_metrics_child(&metric_families[family], values, result != NULL ? 2 : 1);
}

struct bh_cache_metrics bh_cache_metrics_of(const char *const name)
{
    pthread_once(&once, register_metrics);
    return (struct bh_cache_metrics){
        .hits = child(METRIC_requests, name, "hit"),
        .stale = child(METRIC_requests, name, "stale"),
        .misses = child(METRIC_requests, name, "miss"),
        .loaded = child(METRIC_loads, name, "loaded"),
        .failed = child(METRIC_loads, name, "failed"),
        .shared = child(METRIC_loads, name, "shared"),
        .evictions = child(METRIC_evictions, name, NULL),
        .rejections = child(METRIC_rejections, name, NULL),
        .voided = child(METRIC_voided, name, NULL),
        .invalidations = child(METRIC_invalidations, name, NULL),
        .bytes = child(METRIC_bytes, name, NULL),
        .maximum = child(METRIC_maximum, name, NULL),
        .entries = child(METRIC_entries, name, NULL),
    };
}
