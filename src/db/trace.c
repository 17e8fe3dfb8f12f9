/*
 * The table of fingerprints, and counting a call.
 *
 * A statement is found by the address of its text in a hash table that is read without a lock:
 * places are filled under the mutex, their text last, and never change again. Two texts of one
 * shape lead to one entry. Neither table grows: what finds no room is counted as "other".
 */
#include "db/trace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/db_metrics.h"
#include "db/fingerprint.h"
#include "db/trace_counts.h"
#include "db/trace_request.h"

#define OTHER (BH_TRACE_ENTRIES - 1) /* the last entry */
#define NONE BH_TRACE_ENTRIES        /* nothing is counted */
#define PLACES 2048                  /* a power of two */
#define PROBES_MAX 16
#define NAME_SIZE 64
#define NO_METRIC (-1)

_Static_assert(BH_TRACE_ROWS_MAX == BH_TRACE_ENTRIES, "a row for each entry");

struct entry {
    uint64_t fingerprint;
    char *text;
    char name[NAME_SIZE];
    _Atomic bh_metric duration; /* NO_METRIC: it has not run yet */
};

struct place {
    _Atomic(const char *) text; /* NULL: free */
    unsigned entry;
};

static struct bh_trace_options setup = { .slow_us = BH_SECOND_US, .runs_maximum = 10 };

static struct place places[PLACES];
static struct entry entries[BH_TRACE_ENTRIES] = {
    [OTHER] = { .text = (char[]){ "other" }, .name = "other", .duration = NO_METRIC },
};
static _Atomic unsigned entries_used; /* without OTHER; entries below it never change */
static _Atomic bool is_full;          /* a text found no room: no more are read */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void bh_trace_setup(const struct bh_trace_options *const options)
{
    setup = *options;
}

/* ---- Finding ---- */

static size_t first_place(const char *const text)
{
    return (size_t)((uintptr_t)text * UINT64_C(0x9e3779b97f4a7c15) >> 53);
}
_Static_assert(PLACES == 1 << (64 - 53), "the hash's highest bits are the place");

/* With the mutex held: the entry of this shape. */
static unsigned entry_of(const struct bh_fingerprint *const fingerprint, const char *const name)
{
    const unsigned used = atomic_load_explicit(&entries_used, memory_order_relaxed);
    for (unsigned i = 0; i < used; i++) {
        if (entries[i].fingerprint == fingerprint->id)
            return i;
    }
    char *const text = used < OTHER ? strdup(fingerprint->text) : NULL;
    if (!text)
        return OTHER;
    struct entry *const entry = &entries[used];
    entry->fingerprint = fingerprint->id;
    entry->text = text;
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    atomic_init(&entry->duration, NO_METRIC);
    atomic_store_explicit(&entries_used, used + 1, memory_order_release);
    return used;
}

typedef void fingerprint_reader(const char *text, struct bh_fingerprint *ret_fingerprint);

/* The entry of a text that no reader found without the lock. */
static unsigned learn(const char *const name, const char *const text,
                      fingerprint_reader *const read)
{
    if (atomic_load_explicit(&is_full, memory_order_relaxed))
        return OTHER;
    struct bh_fingerprint fingerprint;
    read(text, &fingerprint);
    unsigned entry = OTHER;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0, at = first_place(text); i < PROBES_MAX; i++, at = (at + 1) % PLACES) {
        const char *const known = atomic_load_explicit(&places[at].text, memory_order_relaxed);
        if (known && known != text)
            continue;
        if (!known) {
            places[at].entry = entry_of(&fingerprint, name);
            atomic_store_explicit(&places[at].text, text, memory_order_release);
        }
        entry = places[at].entry;
        break;
    }
    if (entry == OTHER)
        atomic_store_explicit(&is_full, true, memory_order_relaxed);
    pthread_mutex_unlock(&mutex);
    return entry;
}

static unsigned find(const char *const name, const char *const text)
{
    for (size_t i = 0, at = first_place(text); i < PROBES_MAX; i++, at = (at + 1) % PLACES) {
        const char *const known = atomic_load_explicit(&places[at].text, memory_order_acquire);
        if (BH_LIKELY(known == text))
            return places[at].entry;
        if (!known)
            break;
    }
    return learn(name, text, bh_fingerprint_plain);
}

void bh_trace_register(const struct bh_statement *const statements, const size_t count,
                       const char *(*const text_of)(const struct bh_statement *statement),
                       const bool is_postgres)
{
    for (size_t i = 0; i < count; i++) {
        const char *const text = text_of(&statements[i]);
        if (text)
            (void)learn(statements[i].name, text,
                        is_postgres ? bh_fingerprint_postgres : bh_fingerprint_plain);
    }
}

/* ---- Counting ---- */

void bh_trace_begin(struct bh_trace_span *const ret_span, const char *const name,
                    const char *const text)
{
    *ret_span = (struct bh_trace_span){
        .entry = text ? find(name, text) : NONE,
        .begun_us = bh_time_now_us(),
    };
}

static void log_slow(const struct entry *const entry, const struct bh_trace_run *const run)
{
    bh_log_warning("db",
                   "slow statement \"%s\": %.4g s for %llu rows%s, after %.4g s of waiting for a "
                   "connection: %s",
                   entry->name, (double)run->executed_us / 1e6, (unsigned long long)run->rows,
                   run->has_failed ? " (it failed)" : "", (double)run->waited_us / 1e6,
                   entry->text);
}

/* Once past the limit: logged; each further run: only its count. */
static void note_repeated(const unsigned entry, const unsigned runs)
{
    const bool is_first = runs == setup.runs_maximum + 1;
    bh_trace_counts_repeated(entry, runs, is_first);
    if (is_first && bh_trace_request_may_log())
        bh_log_warning("db",
                       "statement \"%s\" ran more than %u times in one request (N+1; told once a "
                       "minute for each route): %s",
                       entries[entry].name, setup.runs_maximum, entries[entry].text);
}

/* Made when it runs first: metrics have room for fewer statements than the table. */
static bh_metric duration_of(struct entry *const entry)
{
    bh_metric metric = atomic_load_explicit(&entry->duration, memory_order_acquire);
    if (BH_UNLIKELY(metric == NO_METRIC)) {
        metric = bh_db_metrics_statement(entry->name);
        atomic_store_explicit(&entry->duration, metric, memory_order_release);
    }
    return metric;
}

static uint64_t since(const uint64_t begin_us, const uint64_t end_us)
{
    return end_us > begin_us ? end_us - begin_us : 0;
}

void bh_trace_end(const struct bh_trace_span *const span, const int result)
{
    if (span->entry == NONE)
        return;
    const uint64_t ended_us = span->ended_us ? span->ended_us : bh_time_now_us();
    struct bh_trace_run run = {
        .rows = span->rows,
        .has_failed = result < 0,
        .has_executed = span->granted_us || result >= 0,
    };
    if (span->granted_us) {
        run.waited_us = since(span->begun_us, span->granted_us);
        run.executed_us = since(span->granted_us, ended_us);
    } else if (run.has_executed) {
        run.executed_us = since(span->begun_us, ended_us);
    } else {
        run.waited_us = since(span->begun_us, ended_us);
    }
    run.is_slow = run.has_executed && run.executed_us >= setup.slow_us;
    bh_trace_counts_run(span->entry, &run);
    struct entry *const entry = &entries[span->entry];
    if (run.has_executed)
        bh_metrics_observe_us(duration_of(entry), run.executed_us);
    if (BH_UNLIKELY(run.is_slow)) {
        bh_db_metrics_slow();
        log_slow(entry, &run);
    }
    const unsigned runs = span->entry != OTHER ? bh_trace_request_count(span->entry) : 0;
    if (BH_UNLIKELY(runs > setup.runs_maximum))
        note_repeated(span->entry, runs);
}

void bh_trace_saved(struct bh_trace_saved *const saved)
{
    unsigned place = atomic_load_explicit(&saved->place, memory_order_relaxed);
    const unsigned used = place == 0 ? atomic_load_explicit(&entries_used, memory_order_acquire)
                                     : 0;
    for (unsigned i = 0; i < used && place == 0; i++)
        if (strcmp(entries[i].name, saved->name) == 0)
            place = i + 1;
    if (place == 0)
        return;
    atomic_store_explicit(&saved->place, place, memory_order_relaxed);
    bh_trace_counts_saved(place - 1);
}

/* ---- Reading ---- */

static void fill_row(struct bh_trace_row *const row, const struct entry *const entry,
                     const struct bh_trace_totals *const totals)
{
    uint64_t timed = 0;
    for (size_t i = 0; i < BH_TRACE_BUCKETS; i++)
        timed += totals->buckets[i];
    *row = (struct bh_trace_row){
        .fingerprint = entry->fingerprint,
        .name = entry->name,
        .text = entry->text,
        .executions = totals->executions,
        .errors = totals->errors,
        .rows = totals->rows,
        .executed_us = totals->executed_us,
        .waited_us = totals->waited_us,
        .mean_us = timed > 0 ? totals->executed_us / timed : 0,
        .p95_us = bh_trace_quantile_us(totals, 0.95),
        .maximum_us = totals->maximum_us,
        .slow = totals->slow,
        .repeated_requests = totals->repeated_requests,
        .repeated_maximum = totals->repeated_maximum,
        .saved = totals->saved,
        .entry = (unsigned)(entry - entries),
    };
}

size_t bh_trace_read(struct bh_trace_row ret_rows[BH_TRACE_ROWS_MAX])
{
    const unsigned used = atomic_load_explicit(&entries_used, memory_order_acquire);
    size_t count = 0;
    for (unsigned i = 0; i < BH_TRACE_ENTRIES; i++) {
        if (i >= used && i != OTHER)
            continue;
        struct bh_trace_totals totals;
        bh_trace_counts_sum(i, &totals);
        if (totals.executions > 0)
            fill_row(&ret_rows[count++], &entries[i], &totals);
    }
    return count;
}

size_t bh_trace_read_durations(const struct bh_trace_row *const row,
                               struct bh_trace_durations ret_durations[BH_TRACE_DURATIONS_MAX])
{
    _Static_assert(BH_TRACE_DURATIONS_MAX == BH_TRACE_BUCKETS, "a place for each bucket");
    struct bh_trace_totals totals;
    bh_trace_counts_sum(row->entry, &totals);
    size_t count = 0;
    for (unsigned i = 0; i < BH_TRACE_BUCKETS; i++) {
        if (totals.buckets[i] > 0)
            ret_durations[count++] = (struct bh_trace_durations){
                .begin_us = bh_trace_bucket_begin_us(i),
                .end_us = bh_trace_bucket_begin_us(i + 1),
                .executions = totals.buckets[i],
            };
    }
    return count;
}
