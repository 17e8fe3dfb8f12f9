/*
 * What statements have cost, counted without locks: each thread has counts of its own, of which it
 * is the only writer; a reader adds them up. A thread that ends leaves its counts to the next one.
 * Past 64 threads the further ones share one set and pay for atomic additions.
 *
 * Durations also go into a log-linear histogram: eight buckets for each doubling, so a quantile is
 * off by 6% at most. Memory: 1.7 KiB for each statement and thread that runs it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bulkhead/base/macro.h"

/* Buckets: 0 to 7 µs one each, then eight for each doubling to 2^27 µs (134 s), then the rest. */
#define BH_TRACE_BUCKETS (8 + 8 * 24 + 1)

/* One run of a statement. */
struct bh_trace_run {
    uint64_t executed_us;
    uint64_t waited_us;
    uint64_t rows;
    bool has_executed; /* got a connection */
    bool has_failed;
    bool is_slow;
};

/* Sums over threads. */
struct bh_trace_totals {
    uint64_t executions, errors, rows, slow;
    uint64_t executed_us, waited_us, maximum_us;
    uint64_t repeated_requests; /* in which it ran too often */
    uint64_t repeated_maximum;  /* runs in one of them */
    uint64_t saved;             /* runs that a cache made unnecessary */
    uint64_t buckets[BH_TRACE_BUCKETS];
};

/* `entry`: below BH_TRACE_ENTRIES. Any thread. Without memory for the counts nothing is counted. */
#define BH_TRACE_ENTRIES 513
void bh_trace_counts_run(unsigned entry, const struct bh_trace_run *run);

/* A request ran the statement for the `runs`th time; `is_first` past the limit. */
void bh_trace_counts_repeated(unsigned entry, unsigned runs, bool is_first);

/* A cache has made a run unnecessary. */
void bh_trace_counts_saved(unsigned entry);

void bh_trace_counts_sum(unsigned entry, struct bh_trace_totals *ret_totals);

/* The least duration in a bucket; of BH_TRACE_BUCKETS: the longest there is. */
uint64_t bh_trace_bucket_begin_us(unsigned bucket);

/* The duration below which `share` (0 to 1) of the runs stayed; 0 without runs. */
uint64_t bh_trace_quantile_us(const struct bh_trace_totals *totals, double share);
