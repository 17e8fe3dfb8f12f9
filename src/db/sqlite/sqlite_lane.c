#include "db/sqlite/sqlite_lane.h"

#include <stdlib.h>

#include "bulkhead/base/thread.h"
#include "db/sqlite/sqlite_lane_internal.h"

/* ---- Waiting for one another ---- */

void bh_sqlite_condition_init(pthread_cond_t *const condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool bh_sqlite_condition_wait(pthread_cond_t *const condition, pthread_mutex_t *const mutex,
                              const uint64_t until_us)
{
    if (until_us == BH_NEVER_US)
        return pthread_cond_wait(condition, mutex) == 0;
    const struct timespec until = { .tv_sec = (time_t)(until_us / BH_SECOND_US),
                                    .tv_nsec = (long)(until_us % BH_SECOND_US) * 1000 };
    return pthread_cond_timedwait(condition, mutex, &until) == 0;
}

/* ---- Life ---- */

static int start_threads(struct bh_sqlite_lane *const lane)
{
    while (lane->thread_count < lane->options.threads) {
        struct bh_sqlite_thread *const thread = &lane->threads[lane->thread_count];
        thread->lane = lane;
        thread->state = BH_SQLITE_THREAD_STARTING;
        bh_list_init(&thread->node);
        bh_sqlite_condition_init(&thread->wake);
        pthread_mutex_lock(&lane->shared.mutex);
        const bool is_started = bh_thread_start(bh_sqlite_thread_main, thread, &thread->thread) ==
                                0;
        lane->shared.starting += is_started;
        pthread_mutex_unlock(&lane->shared.mutex);
        if (!is_started) {
            pthread_cond_destroy(&thread->wake);
            break;
        }
        lane->thread_count++;
    }
    return lane->thread_count == lane->options.threads ? 0 : BH_ENOMEM;
}

int bh_sqlite_lane_create(const struct bh_sqlite_lane_options *const options,
                          struct bh_sqlite_lane **const ret_lane, struct bh_error *const reterr)
{
    bh_assert(options->threads >= 1);
    struct bh_sqlite_lane *const lane = calloc(1, sizeof(*lane));
    if (!lane)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the database's threads");
    lane->magic = BH_SQLITE_LANE_MAGIC;
    lane->options = *options;
    lane->tenant_cap = bh_line_cap(options->threads, BH_LINE_TENANT_PERCENT);
    lane->metrics = bh_db_metrics_lane(options->writer ? BH_DB_WRITE : BH_DB_READ);
    pthread_mutex_init(&lane->shared.mutex, NULL);
    bh_sqlite_condition_init(&lane->shared.started);
    bh_line_init(&lane->shared.line);
    bh_codel_init(&lane->shared.codel, options->delay_target_us, options->delay_interval_us);
    bh_list_init(&lane->shared.idle);
    lane->threads = calloc(options->threads, sizeof(*lane->threads));

    int result = lane->threads ? start_threads(lane) : BH_ENOMEM;
    if (result)
        bh_error_set(reterr, result, "the database's threads cannot be started");
    pthread_mutex_lock(&lane->shared.mutex);
    while (lane->shared.starting > 0)
        pthread_cond_wait(&lane->shared.started, &lane->shared.mutex);
    if (!result && lane->shared.start_result) {
        result = lane->shared.start_result;
        bh_error_set(reterr, result, "%s", lane->shared.start_error.message);
    }
    pthread_mutex_unlock(&lane->shared.mutex);
    if (result) {
        bh_sqlite_lane_destroy(lane);
        return result;
    }
    *ret_lane = lane;
    return 0;
}

void bh_sqlite_lane_destroy(struct bh_sqlite_lane *const lane)
{
    if (!lane)
        return;
    bh_magic_check(lane, BH_SQLITE_LANE_MAGIC);
    pthread_mutex_lock(&lane->shared.mutex);
    bh_assert(lane->shared.line.count == 0);
    lane->shared.ending = true;
    for (unsigned i = 0; i < lane->thread_count; i++) {
        bh_assert(lane->threads[i].state != BH_SQLITE_THREAD_HELD);
        pthread_cond_signal(&lane->threads[i].wake);
    }
    pthread_mutex_unlock(&lane->shared.mutex);
    for (unsigned i = 0; i < lane->thread_count; i++) {
        pthread_join(lane->threads[i].thread, NULL);
        pthread_cond_destroy(&lane->threads[i].wake);
    }
    pthread_cond_destroy(&lane->shared.started);
    pthread_mutex_destroy(&lane->shared.mutex);
    free(lane->threads);
    lane->magic = 0;
    free(lane);
}

/* ---- Figures ---- */

void bh_sqlite_lane_shrink(struct bh_sqlite_lane *const lane)
{
    pthread_mutex_lock(&lane->shared.mutex);
    lane->shared.shrinks++;
    for (unsigned i = 0; i < lane->thread_count; i++)
        pthread_cond_signal(&lane->threads[i].wake);
    pthread_mutex_unlock(&lane->shared.mutex);
}

void bh_sqlite_lane_statistics(struct bh_sqlite_lane *const lane,
                               struct bh_db_statistics *const ret_statistics)
{
    bh_magic_check(lane, BH_SQLITE_LANE_MAGIC);
    pthread_mutex_lock(&lane->shared.mutex);
    *ret_statistics = (struct bh_db_statistics){
        .size = lane->thread_count,
        .total = lane->thread_count,
        .in_use = lane->thread_count,
        .waiting = lane->shared.line.count,
        .granted = lane->shared.granted,
        .waited = lane->shared.waited,
        .timed_out = lane->shared.timed_out,
        .refused = lane->shared.refused,
        .connected = atomic_load_explicit(&lane->connected, memory_order_relaxed),
    };
    BH_LIST_FOREACH(node, &lane->shared.idle)
        ret_statistics->in_use--;
    pthread_mutex_unlock(&lane->shared.mutex);
}

static void check_thread(const struct bh_sqlite_thread *const thread)
{
    const bool is_listed = thread->node.next != &thread->node;
    bh_assert(is_listed == (thread->state == BH_SQLITE_THREAD_IDLE));
    if (thread->call)
        bh_assert(thread->state == BH_SQLITE_THREAD_RUNNING && thread->call->thread == thread &&
                  thread->call->state == BH_SQLITE_CALL_GIVEN);
    if (thread->state == BH_SQLITE_THREAD_HELD)
        bh_assert(thread->holder);
    if (thread->holder)
        bh_assert(thread->holder->thread == thread && thread->state != BH_SQLITE_THREAD_IDLE);
}

static void check_line(const struct bh_sqlite_lane *const lane)
{
    const struct bh_line *const line = &lane->shared.line;
    bh_line_check(line);
    for (unsigned i = 0; i < BH_LINE_PRIORITIES; i++) {
        BH_LIST_FOREACH(node, &line->places[i]) {
            const struct bh_sqlite_call *const call = BH_CONTAINER_OF(bh_line_place_at(node),
                                                                      struct bh_sqlite_call, place);
            bh_assert(call->state == BH_SQLITE_CALL_WAITING && !call->thread);
        }
    }
    bh_assert(line->count <= lane->options.waiters_maximum);
    bh_assert(line->count == 0 || bh_list_is_empty(&lane->shared.idle));
}

void bh_sqlite_lane_check(struct bh_sqlite_lane *const lane)
{
    bh_magic_check(lane, BH_SQLITE_LANE_MAGIC);
    pthread_mutex_lock(&lane->shared.mutex);
    check_line(lane);
    unsigned of_tenants = 0, held = 0;
    for (unsigned i = 0; i < lane->thread_count; i++) {
        const struct bh_sqlite_thread *const thread = &lane->threads[i];
        check_thread(thread);
        const bool is_busy = thread->state == BH_SQLITE_THREAD_RUNNING ||
                             thread->state == BH_SQLITE_THREAD_HELD;
        of_tenants += is_busy && thread->tenant;
    }
    for (unsigned i = 0; i < BH_LINE_TENANT_SLOTS; i++)
        held += lane->shared.line.held[i];
    bh_assert(held == of_tenants);
    pthread_mutex_unlock(&lane->shared.mutex);
}
