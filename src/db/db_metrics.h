/* Figures of the databases, the same for every driver. Any thread. */
#pragma once

#include "bulkhead/base/metrics.h"
#include "bulkhead/db/db.h"

/* Why calls got no connection. */
enum bh_db_refused {
    BH_DB_REFUSED_TIMED_OUT,
    BH_DB_REFUSED_CANCELED,
    BH_DB_REFUSED_SHED, /* too many wait, or others come first */
    BH_DB_REFUSED_UNAVAILABLE,
    BH_DB_REFUSED_COUNT
};

struct bh_db_lane_metrics {
    bh_metric connections, active, waiting;        /* gauges */
    bh_metric acquire_wait;                        /* histogram */
    bh_metric leaks, refused[BH_DB_REFUSED_COUNT]; /* counters */
};

/* Takes a lock: look them up once. */
struct bh_db_lane_metrics bh_db_metrics_lane(enum bh_db_lane lane);
/* The same for a pool by its name: "read", "write", "replica". */
struct bh_db_lane_metrics bh_db_metrics_named(const char *name);

/* Durations of a statement. At most 64 names are told apart; the others share one. Takes a lock:
 * look it up once. */
bh_metric bh_db_metrics_statement(const char *name);

/* Counts a failed call. */
void bh_db_metrics_error(int code);

/* Counts a slow statement, and one that a request of the route ran too often. */
void bh_db_metrics_slow(void);
void bh_db_metrics_repeated(struct bh_str route);
