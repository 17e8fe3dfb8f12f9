/* The metrics of one cache; any thread. */
#pragma once

#include "bulkhead/base/metrics.h"

struct bh_cache_metrics {
    bh_metric hits, stale, misses;
    bh_metric loaded, failed, shared;
    bh_metric evictions, rejections, voided, invalidations;
    bh_metric bytes, maximum, entries;
};

struct bh_cache_metrics bh_cache_metrics_of(const char *name);
