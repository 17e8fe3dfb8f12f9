#include "db/trace_counts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"

#define SETS_MAX 64
#define SHARED_SET SETS_MAX
#define DURATION_MAX_US UINT64_C(1000000000000) /* 11 days: keeps sums away from overflow */

/* As struct bh_trace_totals, each a cell: the order of the enumerators. */
enum cell {
    CELL_EXECUTIONS,
    CELL_ERRORS,
    CELL_ROWS,
    CELL_SLOW,
    CELL_EXECUTED_US,
    CELL_WAITED_US,
    CELL_MAXIMUM_US,
    CELL_REPEATED_REQUESTS,
    CELL_REPEATED_MAXIMUM,
    CELL_SAVED,
    CELL_BUCKETS,
    CELLS = CELL_BUCKETS + BH_TRACE_BUCKETS
};

struct counts {
    _Atomic uint64_t cells[CELLS];
};

/* Of one thread. Its counts are made when a statement runs there for the first time. */
struct set {
    _Atomic(struct counts *) counts[BH_TRACE_ENTRIES];
};

static struct set sets[SETS_MAX + 1];
static struct {
    pthread_mutex_t mutex;
    bool is_taken[SETS_MAX];
} shared = { .mutex = PTHREAD_MUTEX_INITIALIZER };
static _Atomic size_t sets_used; /* sets from here on were never written */
static _Thread_local struct set *own_set;
static pthread_key_t thread_exit_key;
static pthread_once_t thread_exit_once = PTHREAD_ONCE_INIT;

/* ---- Sets ---- */

static void give_back_set(void *const set)
{
    own_set = NULL;
    pthread_mutex_lock(&shared.mutex);
    shared.is_taken[(struct set *)set - sets] = false;
    pthread_mutex_unlock(&shared.mutex);
}

static void create_key(void)
{
    bh_assert(pthread_key_create(&thread_exit_key, give_back_set) == 0);
}

/* With the mutex held. The shared set when all are taken, or when this thread's end could not be
 * noticed. */
static size_t find_set(void)
{
    for (size_t i = 0; i < SETS_MAX; i++) {
        if (!shared.is_taken[i])
            return pthread_setspecific(thread_exit_key, &sets[i]) == 0 ? i : SHARED_SET;
    }
    return SHARED_SET;
}

static struct set *take_set(void)
{
    pthread_once(&thread_exit_once, create_key);
    pthread_mutex_lock(&shared.mutex);
    const size_t index = find_set();
    if (index != SHARED_SET)
        shared.is_taken[index] = true;
    if (index >= atomic_load_explicit(&sets_used, memory_order_relaxed))
        atomic_store_explicit(&sets_used, index + 1, memory_order_relaxed);
    pthread_mutex_unlock(&shared.mutex);
    own_set = &sets[index];
    return own_set;
}

/* This thread's counts of the entry. NULL: no memory. */
static struct counts *own_counts(const unsigned entry)
{
    bh_assert(entry < BH_TRACE_ENTRIES);
    struct set *const set = BH_LIKELY(own_set != NULL) ? own_set : take_set();
    struct counts *counts = atomic_load_explicit(&set->counts[entry], memory_order_acquire);
    if (BH_LIKELY(counts != NULL))
        return counts;
    struct counts *const made = calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    if (atomic_compare_exchange_strong(&set->counts[entry], &counts, made))
        return made;
    free(made); /* another thread of the shared set was first */
    return counts;
}

/* ---- Counting ---- */

static void add(struct counts *const counts, const size_t cell, const uint64_t amount)
{
    _Atomic uint64_t *const value = &counts->cells[cell];
    if (BH_UNLIKELY(own_set == &sets[SHARED_SET]))
        atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
    else
        atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                              memory_order_relaxed);
}

static void raise_to(struct counts *const counts, const size_t cell, const uint64_t value)
{
    uint64_t before = atomic_load_explicit(&counts->cells[cell], memory_order_relaxed);
    while (before < value) {
        if (atomic_compare_exchange_weak(&counts->cells[cell], &before, value))
            return;
    }
}

static unsigned bucket_of(const uint64_t duration_us)
{
    if (duration_us < 8)
        return (unsigned)duration_us;
    const unsigned log = 63 - (unsigned)__builtin_clzll(duration_us); /* 3 and up */
    const unsigned bucket = (log - 2) * 8 + (unsigned)(duration_us >> (log - 3) & 7);
    return bucket < BH_TRACE_BUCKETS ? bucket : BH_TRACE_BUCKETS - 1;
}

uint64_t bh_trace_bucket_begin_us(const unsigned bucket)
{
    if (bucket >= BH_TRACE_BUCKETS)
        return DURATION_MAX_US;
    return bucket < 8 ? bucket : (UINT64_C(8) + bucket % 8) << (bucket / 8 - 1);
}

void bh_trace_counts_run(const unsigned entry, const struct bh_trace_run *const run)
{
    struct counts *const counts = own_counts(entry);
    if (!counts)
        return;
    const uint64_t executed_us = run->executed_us < DURATION_MAX_US ? run->executed_us
                                                                    : DURATION_MAX_US;
    add(counts, CELL_EXECUTIONS, 1);
    add(counts, CELL_ROWS, run->rows);
    add(counts, CELL_WAITED_US,
        run->waited_us < DURATION_MAX_US ? run->waited_us : DURATION_MAX_US);
    if (run->has_executed) {
        add(counts, CELL_EXECUTED_US, executed_us);
        add(counts, CELL_BUCKETS + bucket_of(executed_us), 1);
        raise_to(counts, CELL_MAXIMUM_US, executed_us);
    }
    if (BH_UNLIKELY(run->has_failed))
        add(counts, CELL_ERRORS, 1);
    if (BH_UNLIKELY(run->is_slow))
        add(counts, CELL_SLOW, 1);
}

void bh_trace_counts_repeated(const unsigned entry, const unsigned runs, const bool is_first)
{
    struct counts *const counts = own_counts(entry);
    if (!counts)
        return;
    if (is_first)
        add(counts, CELL_REPEATED_REQUESTS, 1);
    raise_to(counts, CELL_REPEATED_MAXIMUM, runs);
}

void bh_trace_counts_saved(const unsigned entry)
{
    struct counts *const counts = own_counts(entry);
    if (counts)
        add(counts, CELL_SAVED, 1);
}

/* ---- Reading ---- */

static uint64_t larger(const uint64_t one, const uint64_t two)
{
    return one > two ? one : two;
}

static void add_counts(struct bh_trace_totals *const totals, struct counts *const counts)
{
    uint64_t values[CELLS];
    for (size_t i = 0; i < CELLS; i++)
        values[i] = atomic_load_explicit(&counts->cells[i], memory_order_relaxed);
    totals->executions += values[CELL_EXECUTIONS];
    totals->errors += values[CELL_ERRORS];
    totals->rows += values[CELL_ROWS];
    totals->slow += values[CELL_SLOW];
    totals->executed_us += values[CELL_EXECUTED_US];
    totals->waited_us += values[CELL_WAITED_US];
    totals->maximum_us = larger(totals->maximum_us, values[CELL_MAXIMUM_US]);
    totals->repeated_requests += values[CELL_REPEATED_REQUESTS];
    totals->repeated_maximum = larger(totals->repeated_maximum, values[CELL_REPEATED_MAXIMUM]);
    totals->saved += values[CELL_SAVED];
    for (size_t i = 0; i < BH_TRACE_BUCKETS; i++)
        totals->buckets[i] += values[CELL_BUCKETS + i];
}

void bh_trace_counts_sum(const unsigned entry, struct bh_trace_totals *const ret_totals)
{
    bh_assert(entry < BH_TRACE_ENTRIES);
    *ret_totals = (struct bh_trace_totals){ 0 };
    const size_t count = atomic_load_explicit(&sets_used, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        struct counts *const counts = atomic_load_explicit(&sets[i].counts[entry],
                                                           memory_order_acquire);
        if (counts)
            add_counts(ret_totals, counts);
    }
}

uint64_t bh_trace_quantile_us(const struct bh_trace_totals *const totals, const double share)
{
    uint64_t runs = 0;
    for (size_t i = 0; i < BH_TRACE_BUCKETS; i++)
        runs += totals->buckets[i];
    const double wanted = share * (double)runs;
    double below = 0;
    for (unsigned i = 0; i < BH_TRACE_BUCKETS; i++) {
        const double here = (double)totals->buckets[i];
        if (here > 0 && below + here >= wanted) {
            /* The last bucket has no end; the longest run is the best guess for it. */
            const uint64_t begin_us = bh_trace_bucket_begin_us(i);
            const uint64_t end_us = i + 1 < BH_TRACE_BUCKETS ? bh_trace_bucket_begin_us(i + 1)
                                                             : larger(begin_us, totals->maximum_us);
            const uint64_t at_us = begin_us + (uint64_t)((double)(end_us - begin_us) *
                                                         (wanted - below) / here);
            return at_us < totals->maximum_us ? at_us : totals->maximum_us;
        }
        below += here;
    }
    return 0;
}
