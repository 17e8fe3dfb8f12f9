/*
 * What the statements of this process cost: every call of db.h (and bh_sqlite_run) is timed and
 * counted by its fingerprint, the text without its constants. Statements that take long are logged,
 * and so are those that one request runs again and again (N+1). Parameters are never looked at.
 *
 * The table has room for 512 fingerprints; what comes later is counted together as "other". The
 * process has one table, whatever its databases. Any thread, unless said otherwise.
 */
#pragma once

#include <stddef.h>

#include "bulkhead/base/macro.h"

struct bh_trace_options {
    uint64_t slow_us;      /* executions of at least this long are logged; 1 s */
    unsigned runs_maximum; /* of one fingerprint in one request before it is logged; 10 */
};

/* Before other threads start; without it the defaults hold. */
void bh_trace_setup(const struct bh_trace_options *options);

/* The most rows that bh_trace_read gives. */
#define BH_TRACE_ROWS_MAX 513

/* A fingerprint's figures since the start of the process. Durations are of the execution alone,
 * the wait for a connection stands apart. Calls that got no connection are executions with an
 * error and without a duration. */
struct bh_trace_row {
    uint64_t fingerprint; /* 0: "other" */
    const char *name;     /* of the first statement with it; lives as long as the process */
    const char *text;     /* normalised, one line, at most 1,003 bytes; lives as long */
    uint64_t executions, errors;
    uint64_t rows; /* given or changed */
    uint64_t executed_us, waited_us;
    uint64_t mean_us, p95_us, maximum_us; /* p95: off by 6% at most */
    uint64_t slow;                        /* logged as such */
    uint64_t repeated_requests;           /* requests that ran it more than runs_maximum times */
    uint64_t repeated_maximum;            /* runs in the worst of them */
    uint64_t saved;                       /* runs that a cache made unnecessary */
    unsigned entry;                       /* private */
};

/* For caches: counts a run of the statement first called `name` that was not needed. Nothing is
 * counted before it has run. */
struct bh_trace_saved {
    const char *name;
    _Atomic unsigned place; /* private; 0 at first */
};
void bh_trace_saved(struct bh_trace_saved *saved);

/* Fills the rows of all that has run. Returns their number. */
size_t bh_trace_read(struct bh_trace_row ret_rows[BH_TRACE_ROWS_MAX]);

/* Executions that took from `begin_us` to less than `end_us`; the bounds are the same at any time,
 * so what came in between two readings is the difference of the two. */
struct bh_trace_durations {
    uint64_t begin_us, end_us, executions;
};

#define BH_TRACE_DURATIONS_MAX 201

/* Fills how long the executions of a row of bh_trace_read took, as of now, the shortest first,
 * without bounds that nothing fell between. Returns their number. */
size_t bh_trace_read_durations(const struct bh_trace_row *row,
                               struct bh_trace_durations ret_durations[BH_TRACE_DURATIONS_MAX]);
