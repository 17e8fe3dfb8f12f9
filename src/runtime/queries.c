#include "bulkhead/runtime/queries.h"

#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/time.h"
#include "bulkhead/runtime/lifecycle.h"

const char *const bh_queries_sorts[BH_QUERIES_SORTS] = {
    [BH_QUERIES_BY_TOTAL] = "total",  [BH_QUERIES_BY_EXECUTIONS] = "executions",
    [BH_QUERIES_BY_MEAN] = "mean",    [BH_QUERIES_BY_P95] = "p95",
    [BH_QUERIES_BY_WAIT] = "wait",    [BH_QUERIES_BY_ROWS] = "rows",
    [BH_QUERIES_BY_ERRORS] = "errors"
};

static uint64_t weight_of(const struct bh_trace_row *const row, const enum bh_queries_sort sort)
{
    switch (sort) {
    case BH_QUERIES_BY_EXECUTIONS:
        return row->executions;
    case BH_QUERIES_BY_MEAN:
        return row->mean_us;
    case BH_QUERIES_BY_P95:
        return row->p95_us;
    case BH_QUERIES_BY_WAIT:
        return row->waited_us;
    case BH_QUERIES_BY_ROWS:
        return row->rows;
    case BH_QUERIES_BY_ERRORS:
        return row->errors;
    case BH_QUERIES_BY_TOTAL:
    case BH_QUERIES_SORTS:
        break;
    }
    return row->executed_us;
}

/* Equal ones by their fingerprint, so that an order is the same each time. */
static int compare(const void *const one, const void *const two, void *const argument)
{
    const enum bh_queries_sort sort = *(const enum bh_queries_sort *)argument;
    const struct bh_trace_row *const a = one, *const b = two;
    const uint64_t weight_a = weight_of(a, sort), weight_b = weight_of(b, sort);
    if (weight_a != weight_b)
        return weight_a > weight_b ? -1 : 1;
    return (a->fingerprint > b->fingerprint) - (a->fingerprint < b->fingerprint);
}

static void write_seconds(struct bh_json *const json, const char *const name,
                          const uint64_t duration_us)
{
    bh_json_key(json, bh_str_from(name));
    bh_json_fixed(json, (double)duration_us / 1e6, 6);
}

static void write_durations(struct bh_json *const json, const struct bh_trace_row *const row)
{
    struct bh_trace_durations durations[BH_TRACE_DURATIONS_MAX];
    const size_t count = bh_trace_read_durations(row, durations);
    bh_json_kv_array(json, "durations");
    for (size_t i = 0; i < count; i++) {
        bh_json_array_begin(json);
        bh_json_int(json, (int64_t)durations[i].begin_us);
        bh_json_int(json, (int64_t)durations[i].end_us);
        bh_json_int(json, (int64_t)durations[i].executions);
        bh_json_array_end(json);
    }
    bh_json_array_end(json);
}

static void write_row(struct bh_json *const json, const struct bh_trace_row *const row,
                      const bool with_durations)
{
    char fingerprint[17];
    snprintf(fingerprint, sizeof(fingerprint), "%016llx", (unsigned long long)row->fingerprint);
    bh_json_object_begin(json);
    bh_json_kv_string(json, "fingerprint", bh_str_from(fingerprint));
    bh_json_kv_string(json, "name", bh_str_from(row->name));
    bh_json_kv_string(json, "sql", bh_str_from(row->text));
    bh_json_kv_int(json, "executions", (int64_t)row->executions);
    write_seconds(json, "total_seconds", row->executed_us);
    write_seconds(json, "mean_seconds", row->mean_us);
    write_seconds(json, "p95_seconds", row->p95_us);
    write_seconds(json, "maximum_seconds", row->maximum_us);
    write_seconds(json, "wait_seconds", row->waited_us);
    bh_json_kv_int(json, "rows", (int64_t)row->rows);
    bh_json_kv_int(json, "errors", (int64_t)row->errors);
    bh_json_kv_int(json, "slow", (int64_t)row->slow);
    bh_json_kv_int(json, "repeated_requests", (int64_t)row->repeated_requests);
    bh_json_kv_int(json, "repeated_maximum", (int64_t)row->repeated_maximum);
    bh_json_kv_int(json, "cache_hits", (int64_t)row->saved);
    if (with_durations)
        write_durations(json, row);
    bh_json_object_end(json);
}

int bh_queries_write(struct bh_json *const json, enum bh_queries_sort sort, const size_t top,
                     const bool with_durations)
{
    struct bh_trace_row *const rows = malloc(BH_TRACE_ROWS_MAX * sizeof(*rows));
    if (!rows)
        return BH_ENOMEM;
    const size_t count = bh_trace_read(rows);
    qsort_r(rows, count, sizeof(*rows), compare, &sort);
    uint64_t executions = 0, executed_us = 0;
    for (size_t i = 0; i < count; i++) {
        executions += rows[i].executions;
        executed_us += rows[i].executed_us;
    }
    const uint64_t uptime_us = bh_time_now_us() - bh_lifecycle_started_us();
    write_seconds(json, "uptime_seconds", uptime_us);
    bh_json_kv_int(json, "statements", (int64_t)count);
    bh_json_kv_int(json, "executions", (int64_t)executions);
    write_seconds(json, "total_seconds", executed_us);
    bh_json_kv_array(json, "queries");
    for (size_t i = 0; i < count && i < top; i++)
        write_row(json, &rows[i], with_durations);
    bh_json_array_end(json);
    free(rows);
    return 0;
}
