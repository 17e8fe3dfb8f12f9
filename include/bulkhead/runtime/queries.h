/* What the statements have cost, as JSON: the body of `GET /api/admin/queries`. */
#pragma once

#include "bulkhead/base/json.h"
#include "bulkhead/db/trace.h"

/* In the order of bh_queries_sorts. All sort the largest first. */
enum bh_queries_sort {
    BH_QUERIES_BY_TOTAL,
    BH_QUERIES_BY_EXECUTIONS,
    BH_QUERIES_BY_MEAN,
    BH_QUERIES_BY_P95,
    BH_QUERIES_BY_WAIT,
    BH_QUERIES_BY_ROWS,
    BH_QUERIES_BY_ERRORS,
    BH_QUERIES_SORTS
};
extern const char *const bh_queries_sorts[BH_QUERIES_SORTS]; /* "total", "executions", … */

/* Writes the figures as members of the open object: sums over all statements, then the first `top`
 * of them; `with_durations`: each with `durations`, a list of [from µs, to µs, executions].
 * BH_ENOMEM: nothing was written. Any thread. */
int bh_queries_write(struct bh_json *json, enum bh_queries_sort sort, size_t top,
                     bool with_durations) BH_MUST_CHECK;
