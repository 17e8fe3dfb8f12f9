/* Figures of one pool, labelled with its name. Any thread. */
#pragma once

#include "bulkhead/base/metrics.h"
#include "db/db_metrics.h"
#include "db/pool/pool.h"

/* What is counted for each pool since its start; a line of struct bh_pool_stats each. */
enum bh_pool_count {
    BH_POOL_COUNT_GRANTED,
    BH_POOL_COUNT_CONNECTED,
    BH_POOL_COUNT_WAITED,
    BH_POOL_COUNT_TIMED_OUT,
    BH_POOL_COUNT_CANCELED,
    BH_POOL_COUNT_SHED,
    BH_POOL_COUNT_UNAVAILABLE,
    BH_POOL_COUNT_LEAKS,
    BH_POOL_COUNT_CLOSED, /* the first of the reasons */
    BH_POOL_COUNT_COUNT = BH_POOL_COUNT_CLOSED + BH_POOL_CLOSE_REASON_COUNT
};

#define BH_POOL_NO_METRIC (-1)

struct bh_pool_metrics {
    struct bh_db_lane_metrics lane;
    bh_metric hold, connect;               /* histograms */
    bh_metric down;                        /* gauge */
    bh_metric idle, reuse;                 /* gauges, read at exposition */
    bh_metric counts[BH_POOL_COUNT_COUNT]; /* NO_METRIC: told by a histogram's count */
};

/* Takes a lock: look them up once. `name`: static. */
struct bh_pool_metrics bh_pool_metrics_of(const char *name);

/* How `idle` and `reuse` are read, under the rules of bh_metrics_gauge_callback; NULLs before the
 * pool goes. */
void bh_pool_metrics_read(const struct bh_pool_metrics *metrics, double (*idle)(void *pool),
                          double (*reuse)(void *pool), struct bh_pool *pool);
