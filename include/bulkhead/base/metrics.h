/*
 * Metrics. A module declares its families in its own x_metrics.def:
 *
 *     BH_METRIC(requests, COUNTER, "api_requests_total", "Requests answered.",
 *               "method", "endpoint", "status")
 *     BH_METRIC(in_flight, GAUGE, "http_requests_in_flight", "Requests being handled.")
 *
 * and turns them into an array of families with bulkhead/base/metrics_define.h. A family's children
 * (one for each set of label values) are looked up or made once, off the hot path, and then held as
 * a small index: an update touches only memory of the calling thread (relaxed, single writer), so
 * it costs a few nanoseconds and no two threads share a line. Reading sums over threads; the counts
 * of a thread that ended stay.
 *
 * Limits: 64 threads at a time (more share one block and pay for an atomic addition), 256 families,
 * four labels, 4,096 slots; a histogram takes 20, anything else one. A child past the limit, or
 * with more than 1,024 bytes of labels, lands in its family's "other" child, and
 * metrics_children_refused_total counts it. Label values are patterns and enumerations, never raw
 * input.
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

/* One line of a .def file as an element of an array (metrics_define.h does this). */
#define BH_METRIC_FAMILY(metric_type, metric_name, metric_help, ...)                               \
    {                                                                                              \
        .type = BH_METRIC_##metric_type, .name = (metric_name), .help = (metric_help), .labels = { \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

typedef int bh_metric; /* a child's handle; valid for the life of the process */

/* Makes families known; idempotent by name. `families` is borrowed for the life of the process.
 * A malformed name, a counter not ending in _total or two families of one name that differ stop the
 * process. Before traffic; any thread. */
void bh_metrics_register(struct bh_metric_family *families, size_t count);

/* The process' own: process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds,
 * process_start_time_seconds, bulkhead_build_info{version}. Idempotent; once at start. */
void bh_metrics_register_process(void);

/* The child with these label values (`count` terminated strings, copied). Takes a lock; any thread.
 * A family without labels has one child (NULL, 0), exposed from registration on. */
bh_metric bh_metrics_child(const struct bh_metric_family *family, const char *const *values,
                           size_t count);

/* Counters (which never fall) and gauges (which may). Any thread, no lock. */
void bh_metrics_add(bh_metric metric, int64_t amount);

/* Histograms of seconds: 100 µs to 60 s in fixed buckets. Any thread, no lock. */
void bh_metrics_observe_us(bh_metric metric, uint64_t duration_us);

/* A gauge, or counter, without labels that is read at exposition: `read(argument)` is called then,
 * from the exposing thread, with the metrics' lock held: it must not call into this module. NULL
 * takes the callback away; when the call returns, it is not running and will not be called. */
void bh_metrics_gauge_callback(const struct bh_metric_family *family,
                               double (*read)(void *argument), void *argument);

/* The same for one child, `metric`, of a family with labels. NULL takes it away if it is
 * `argument`'s: of two that read for one child the later stays. No effect on "other". */
void bh_metrics_child_callback(const struct bh_metric_family *family, bh_metric metric,
                               double (*read)(void *argument), void *argument);

/* Sum over threads of a counter or gauge; for tests and health pages. Any thread, no lock. */
int64_t bh_metrics_value(bh_metric metric);

/* Appends Prometheus text format 0.0.4 (text/plain; version=0.0.4; charset=utf-8) or OpenMetrics
 * 1.0.0 (application/openmetrics-text; version=1.0.0; charset=utf-8). Any thread. */
void bh_metrics_expose(struct bh_buf *buf, bool openmetrics);
