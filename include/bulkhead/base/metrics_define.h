/*
 * Makes a module's metric families from its .def file. A module's whole metrics code:
 *
 *     #define BH_METRICS_FILE "http/http_metrics.def" // as an include path
 *     #include "bulkhead/base/metrics_define.h"
 *     …
 *     bh_metrics_register(metric_families, METRIC_COUNT);
 *     in_flight = bh_metrics_child(&metric_families[METRIC_in_flight], NULL, 0);
 *
 * Private to the file that includes it (one file of a module does, once): `enum metric_family` with
 * METRIC_<id> for each line of the .def file and METRIC_COUNT, and the array `metric_families`.
 * No include guard: that is what BH_METRICS_FILE is for.
 */
#include "bulkhead/base/metrics.h"

#ifndef BH_METRICS_FILE
#error "define BH_METRICS_FILE before including bulkhead/base/metrics_define.h"
#endif

enum metric_family {
#define BH_METRIC(id, ...) METRIC_##id,
#include BH_METRICS_FILE
#undef BH_METRIC
    METRIC_COUNT
};

static struct bh_metric_family metric_families[METRIC_COUNT] = {
#define BH_METRIC(id, ...) [METRIC_##id] = BH_METRIC_FAMILY(__VA_ARGS__),
#include BH_METRICS_FILE
#undef BH_METRIC
};

#undef BH_METRICS_FILE
