/* The Redis client's metrics, resolved once a process. */
#pragma once

#include "bulkhead/base/metrics.h"

enum bh_redis_outcome {
    BH_REDIS_OK,
    BH_REDIS_ERROR_REPLY,
    BH_REDIS_TIMED_OUT,
    BH_REDIS_UNAVAILABLE,
    BH_REDIS_REFUSED, /* by our own limits or the gate, or the caller left */
    BH_REDIS_OUTCOMES
};

struct bh_redis_metrics {
    bh_metric commands[BH_REDIS_OUTCOMES];
    bh_metric duration, open, down, connected, failed, lost;
};

/* Idempotent. */
void bh_redis_metrics_init(struct bh_redis_metrics *metrics);
