#include "cli/profile_table.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/db/trace.h"

#define SQL_BEGINS_AT 28 /* column of the table */

/* ---- Reading ---- */

static int64_t integer_of(const json_t *const object, const char *const name)
{
    return json_integer_value(json_object_get(object, name));
}

static double number_of(const json_t *const object, const char *const name)
{
    return json_number_value(json_object_get(object, name));
}

/* Never NULL. */
static const char *text_of(const json_t *const object, const char *const name)
{
    const char *const text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static struct tome_profile_row row_of(const json_t *const query)
{
    return (struct tome_profile_row){
        .fingerprint = text_of(query, "fingerprint"),
        .name = text_of(query, "name"),
        .sql = text_of(query, "sql"),
        .executions = integer_of(query, "executions"),
        .rows = integer_of(query, "rows"),
        .errors = integer_of(query, "errors"),
        .slow = integer_of(query, "slow"),
        .repeated_requests = integer_of(query, "repeated_requests"),
        .repeated_maximum = integer_of(query, "repeated_maximum"),
        .total_seconds = number_of(query, "total_seconds"),
        .wait_seconds = number_of(query, "wait_seconds"),
    };
}

static const json_t *query_with(const json_t *const queries, const char *const fingerprint)
{
    size_t index;
    const json_t *query;
    json_array_foreach((json_t *)(uintptr_t)queries, index, query)
    {
        if (strcmp(text_of(query, "fingerprint"), fingerprint) == 0)
            return query;
    }
    return NULL;
}

/* ---- Durations ---- */

/* How many executions fell into the bucket that begins there. */
static int64_t executions_at(const json_t *const durations, const json_int_t begin_us)
{
    size_t index;
    const json_t *bucket;
    json_array_foreach((json_t *)(uintptr_t)durations, index, bucket)
    {
        if (json_integer_value(json_array_get(bucket, 0)) == begin_us)
            return json_integer_value(json_array_get(bucket, 2));
    }
    return 0;
}

/* Executions of the window by how long they took, the shortest first. */
struct durations {
    struct {
        int64_t begin_us, end_us, executions;
    } buckets[BH_TRACE_DURATIONS_MAX];
    size_t count;
    int64_t executions;
};

/* In its place by duration; a further one than any server sends is left out. */
static void add_bucket(struct durations *const sum, const int64_t begin_us, const int64_t end_us,
                       const int64_t executions)
{
    size_t at = sum->count;
    while (at > 0 && sum->buckets[at - 1].begin_us >= begin_us)
        at--;
    const bool is_known = at < sum->count && sum->buckets[at].begin_us == begin_us;
    if (executions <= 0 || (!is_known && sum->count == BH_TRACE_DURATIONS_MAX))
        return;
    sum->executions += executions;
    if (is_known) {
        sum->buckets[at].executions += executions;
        return;
    }
    memmove(&sum->buckets[at + 1], &sum->buckets[at], (sum->count - at) * sizeof(sum->buckets[0]));
    sum->buckets[at].begin_us = begin_us;
    sum->buckets[at].end_us = end_us;
    sum->buckets[at].executions = executions;
    sum->count++;
}

static void add_window(struct durations *const sum, const json_t *const query,
                       const json_t *const query_before)
{
    const json_t *const before = json_object_get(query_before, "durations");
    const json_t *const after = json_object_get(query, "durations");
    size_t index;
    const json_t *bucket;
    json_array_foreach((json_t *)(uintptr_t)after, index, bucket)
    {
        const json_int_t begin_us = json_integer_value(json_array_get(bucket, 0));
        add_bucket(sum, begin_us, json_integer_value(json_array_get(bucket, 1)),
                   json_integer_value(json_array_get(bucket, 2)) - executions_at(before, begin_us));
    }
}

/* Within the bucket as if its executions were spread evenly. */
static double p95_seconds(const struct durations *const durations)
{
    double left = 0.95 * (double)durations->executions;
    for (size_t i = 0; i < durations->count; i++) {
        const double here = (double)durations->buckets[i].executions;
        const double begin_us = (double)durations->buckets[i].begin_us;
        const double width_us = (double)durations->buckets[i].end_us - begin_us;
        if (left <= here)
            return (begin_us + width_us * left / here) / 1e6;
        left -= here;
    }
    return 0;
}

/* ---- The window ---- */

/* What came to the row since `before`. */
static void subtract(struct tome_profile_row *const row, const json_t *const before)
{
    const json_t *const query = query_with(before, row->fingerprint);
    if (query == NULL)
        return;
    const struct tome_profile_row earlier = row_of(query);
    row->executions -= earlier.executions;
    row->rows -= earlier.rows;
    row->errors -= earlier.errors;
    row->slow -= earlier.slow;
    row->repeated_requests -= earlier.repeated_requests;
    row->total_seconds -= earlier.total_seconds;
    row->wait_seconds -= earlier.wait_seconds;
}

static void measure(struct tome_profile_row *const row, const json_t *const query,
                    const json_t *const queries_before, struct durations *const all)
{
    struct durations own = { .count = 0 };
    const json_t *const before = query_with(queries_before, row->fingerprint);
    add_window(&own, query, before);
    add_window(all, query, before);
    row->p95_seconds = p95_seconds(&own);
}

static int compare(const void *const one, const void *const two)
{
    const struct tome_profile_row *const a = one, *const b = two;
    if (a->total_seconds < b->total_seconds || a->total_seconds > b->total_seconds)
        return a->total_seconds > b->total_seconds ? -1 : 1;
    return strcmp(a->fingerprint, b->fingerprint);
}

int tome_profile_between(const json_t *const before, const json_t *const after,
                         struct tome_profile *const ret_profile, struct bh_error *const reterr)
{
    const json_t *const queries_before = json_object_get(before, "queries");
    const json_t *const queries = json_object_get(after, "queries");
    struct tome_profile profile = { .repeat_limit = integer_of(after, "query_repeat_limit") };
    if (!json_is_array(queries_before) || !json_is_array(queries))
        return bh_error_set(reterr, BH_ESYNTAX, "what answers there is not this service");
    profile.seconds = number_of(after, "uptime_seconds") - number_of(before, "uptime_seconds");
    if (profile.seconds < 0)
        return bh_error_set(reterr, BH_ECONFLICT, "the server was started anew meanwhile");
    profile.rows = calloc(json_array_size(queries) + 1, sizeof(*profile.rows));
    if (profile.rows == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory");
    struct durations all = { .count = 0 };
    size_t index;
    const json_t *query;
    json_array_foreach((json_t *)(uintptr_t)queries, index, query)
    {
        struct tome_profile_row *const row = &profile.rows[profile.count];
        *row = row_of(query);
        subtract(row, queries_before);
        measure(row, query, queries_before, &all);
        profile.executions += row->executions;
        profile.total_seconds += row->total_seconds;
        profile.count += row->executions > 0;
    }
    profile.p95_seconds = p95_seconds(&all);
    qsort(profile.rows, profile.count, sizeof(*profile.rows), compare);
    *ret_profile = profile;
    return 0;
}

void tome_profile_fini(struct tome_profile *const profile)
{
    free(profile->rows);
    profile->rows = NULL;
}

/* ---- For people ---- */

/* As much of `sql` as fits into `columns`, one for each code point. */
static struct bh_str cut(const char *const sql, const size_t columns, bool *const ret_is_cut)
{
    const struct bh_str whole = bh_str_from(sql);
    size_t size = 0;
    for (size_t used = 0; size < whole.size; used++) {
        if (used == columns) {
            *ret_is_cut = true;
            return (struct bh_str){ sql, size };
        }
        do
            size++;
        while (size < whole.size && ((unsigned char)sql[size] & 0xc0) == 0x80);
    }
    *ret_is_cut = false;
    return whole;
}

static void print_row(const struct tome_profile_row *const row, const size_t columns,
                      struct bh_buf *const text)
{
    const size_t room = columns > SQL_BEGINS_AT + 2 ? columns - SQL_BEGINS_AT - 1 : 1;
    bool is_cut;
    const struct bh_str sql = cut(row->sql, columns > 0 ? room : SIZE_MAX, &is_cut);
    bh_buf_printf(text, "%6lld  %8.3f  %8.6f  %.*s%s\n", (long long)row->executions,
                  row->total_seconds, row->total_seconds / (double)row->executions,
                  BH_STR_ARGS(sql), is_cut ? "…" : "");
}

void tome_profile_print(const struct tome_profile *const profile, const size_t top,
                        const size_t columns, struct bh_buf *const text)
{
    bh_buf_printf(text, "%6s  %8s  %8s  SQL\n", "Exec", "Total(s)", "Avg(s)");
    for (size_t i = 0; i < profile->count && i < top; i++)
        print_row(&profile->rows[i], columns, text);
    bh_buf_printf(text,
                  "%zu statement%s, %lld execution%s, %.3f s in the database (95%% of them within "
                  "%.6f s), in %.1f s\n",
                  profile->count, profile->count == 1 ? "" : "s", (long long)profile->executions,
                  profile->executions == 1 ? "" : "s", profile->total_seconds, profile->p95_seconds,
                  profile->seconds);
    for (size_t i = 0; i < profile->count; i++) {
        const struct tome_profile_row *const row = &profile->rows[i];
        if (row->repeated_requests > 0)
            bh_buf_printf(text,
                          "N+1: \"%s\" ran more than %lld times in each of %lld request%s (%lld "
                          "times in the worst since the start)\n",
                          row->name, (long long)profile->repeat_limit,
                          (long long)row->repeated_requests, row->repeated_requests == 1 ? "" : "s",
                          (long long)row->repeated_maximum);
    }
}

/* ---- As JSON ---- */

static void write_seconds(struct bh_json *const json, const char *const name, const double seconds)
{
    bh_json_key(json, bh_str_from(name));
    bh_json_fixed(json, seconds, 6);
}

void tome_profile_json(const struct tome_profile *const profile, const size_t top,
                       struct bh_json *const json)
{
    bh_json_object_begin(json);
    write_seconds(json, "duration_seconds", profile->seconds);
    bh_json_kv_int(json, "statements", (int64_t)profile->count);
    bh_json_kv_int(json, "executions", profile->executions);
    write_seconds(json, "total_seconds", profile->total_seconds);
    write_seconds(json, "p95_seconds", profile->p95_seconds);
    bh_json_kv_array(json, "queries");
    for (size_t i = 0; i < profile->count && i < top; i++) {
        const struct tome_profile_row *const row = &profile->rows[i];
        bh_json_object_begin(json);
        bh_json_kv_string(json, "fingerprint", bh_str_from(row->fingerprint));
        bh_json_kv_string(json, "name", bh_str_from(row->name));
        bh_json_kv_string(json, "sql", bh_str_from(row->sql));
        bh_json_kv_int(json, "executions", row->executions);
        write_seconds(json, "total_seconds", row->total_seconds);
        write_seconds(json, "mean_seconds", row->total_seconds / (double)row->executions);
        write_seconds(json, "p95_seconds", row->p95_seconds);
        write_seconds(json, "wait_seconds", row->wait_seconds);
        bh_json_kv_int(json, "rows", row->rows);
        bh_json_kv_int(json, "errors", row->errors);
        bh_json_kv_int(json, "slow", row->slow);
        bh_json_kv_int(json, "repeated_requests", row->repeated_requests);
        bh_json_object_end(json);
    }
    bh_json_array_end(json);
    bh_json_object_end(json);
}
