#include "db/trace_request.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "db/db_metrics.h"

#define FINGERPRINTS_MAX 16
#define ROUTES_MAX 64
#define LOG_INTERVAL_US (60 * BH_SECOND_US)

struct counts {
    unsigned used;
    struct {
        unsigned entry;
        unsigned runs;
    } slots[FINGERPRINTS_MAX];
};

/* Routes that have logged, by the address of their pattern, which lives as long as the router.
 * Past ROUTES_MAX they share the last place. */
static struct {
    pthread_mutex_t mutex;
    struct {
        const char *pattern;
        uint64_t next_us;
    } routes[ROUTES_MAX];
} shared = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* The running fiber's counts. NULL: it has no request, or there is no memory. */
static struct counts *own_counts(void)
{
    if (!bh_log_context_get() || !bh_fiber_current())
        return NULL;
    struct counts *counts = bh_fiber_local();
    if (counts)
        return counts;
    counts = malloc(sizeof(*counts));
    if (!counts)
        return NULL;
    counts->used = 0;
    bh_fiber_set_local(counts, free);
    return counts;
}

unsigned bh_trace_request_count(const unsigned entry)
{
    struct counts *const counts = own_counts();
    if (!counts)
        return 0;
    for (unsigned i = 0; i < counts->used; i++) {
        if (counts->slots[i].entry == entry)
            return ++counts->slots[i].runs;
    }
    if (counts->used == FINGERPRINTS_MAX)
        return 0;
    counts->slots[counts->used].entry = entry;
    counts->slots[counts->used++].runs = 1;
    return 1;
}

bool bh_trace_request_may_log(void)
{
    const struct bh_log_context *const context = bh_log_context_get();
    bh_db_metrics_repeated(context->route);
    const uint64_t now_us = bh_time_now_us();
    pthread_mutex_lock(&shared.mutex);
    size_t at = 0;
    while (at + 1 < ROUTES_MAX && shared.routes[at].pattern &&
           shared.routes[at].pattern != context->route.data)
        at++;
    const bool is_due = now_us >= shared.routes[at].next_us;
    if (is_due) {
        shared.routes[at].pattern = context->route.data;
        shared.routes[at].next_us = now_us + LOG_INTERVAL_US;
    }
    pthread_mutex_unlock(&shared.mutex);
    return is_due;
}
