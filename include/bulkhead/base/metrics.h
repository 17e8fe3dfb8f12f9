/*
 * Metrics. A module declares its families in its own x_metrics.def:
 *
 *     BH_METRIC(requests, COUNTER, "api_requests_total", "Requests answered.",
 *               "method", "endpoint", "status")
 *     BH_METRIC(in_flight, GAUGE, "http_requests_in_flight", "Requests being handled.")
 *
 * and includes it once through BH_METRICS_DEFINE to get an array of families. A family's children
 * (one for each set of label values) are looked up or made once, off the hot path, and then held as
 * a small index: an update touches only memory of the calling thread (relaxed, single writer), so
 * it costs a few nanoseconds and no two threads share a line. Reading sums over threads.
 *
 * Limits: 64 threads, 4,096 slots (a histogram takes one for each bucket, sum and count), four labels.
 * A child past the limit lands in one shared "other" child and a metric counts it.
 * Label values are patterns and enumerations, never raw input.
 */
#pragma once

#include "bulkhead/base/buf.h"

enum bh_metric_type { BH_METRIC_COUNTER, BH_METRIC_GAUGE, BH_METRIC_HISTOGRAM };

#define BH_METRIC_LABELS_MAX 4

struct bh_metric_family {
    enum bh_metric_type type;
    const char *name; /* as exposed: counters end in _total, times in _seconds */
    const char *help;
    const char *labels[BH_METRIC_LABELS_MAX]; /* names; NULL behind the last */
    int id;                                   /* private: given at registration */
};

/* `struct bh_metric_family <prefix>_metrics[]` and enum constants come from the .def file:
 *
 *     #define BH_METRIC(id, type, name, help, ...) HTTP_METRIC_##id,
 *     enum { … #include "http_metrics.def" … };
 *     #define BH_METRIC(id, type, name, help, ...) BH_METRIC_FAMILY(type, name, help, __VA_ARGS__),
 */
#define BH_METRIC_FAMILY(metric_type, metric_name, metric_help, ...)                               \
    {                                                                                              \
        .type = BH_METRIC_##metric_type, .name = (metric_name), .help = (metric_help), .labels = { \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

typedef int bh_metric; /* a child's handle; valid for the life of the process */

/* Makes families known; idempotent by name. Before traffic; any thread. */
void bh_metrics_register(struct bh_metric_family *families, size_t count);

/* The child with these label values (`count` terminated strings, copied). Takes a lock. */
bh_metric bh_metrics_child(const struct bh_metric_family *family, const char *const *values,
                           size_t count);

/* Counters and gauges; gauges may fall. Any thread, no lock. */
void bh_metrics_add(bh_metric metric, int64_t amount);

/* Histograms of seconds: 100 µs to 60 s in fixed buckets. Any thread, no lock. */
void bh_metrics_observe_us(bh_metric metric, uint64_t duration_us);

/* A gauge read at exposition: `read(arg)` is called then, from the exposing thread. */
void bh_metrics_gauge_callback(const struct bh_metric_family *family, double (*read)(void *arg),
                               void *arg);

/* Sum over threads of a counter or gauge; for tests and health pages. */
int64_t bh_metrics_value(bh_metric metric);

/* Prometheus text format 0.0.4, or OpenMetrics 1.0.0, appended to `buf`. Any thread. */
void bh_metrics_expose(struct bh_buf *buf, bool openmetrics);
