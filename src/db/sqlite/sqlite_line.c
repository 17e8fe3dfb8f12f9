/*
 * A lane's line: who gets the next free thread, who is refused for others, and who has a thread for
 * too long. All under the lane's mutex.
 */
#include <stdio.h>

#include "bulkhead/base/log.h"
#include "db/sqlite/sqlite_lane_internal.h"

static struct bh_sqlite_call *call_at(struct bh_line_place *const place)
{
    return BH_CONTAINER_OF(place, struct bh_sqlite_call, place);
}

/* ---- Who is refused ---- */

/* Who keeps the others waiting: the thread that has been busy the longest. Logged once a second. */
static int busy_error(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call,
                      const char *const why)
{
    const struct bh_sqlite_thread *longest = &lane->threads[0];
    for (unsigned i = 1; i < lane->thread_count; i++) {
        if (lane->threads[i].busy_since_us < longest->busy_since_us)
            longest = &lane->threads[i];
    }
    const uint64_t now_us = bh_time_now_us(), busy_us = now_us - longest->busy_since_us;
    const bool has_route = longest->route.size > 0;
    call->is_logged = now_us - lane->shared.refusal_logged_us >= BH_SECOND_US;
    if (call->is_logged)
        lane->shared.refusal_logged_us = now_us;
    return bh_error_set(call->reterr, BH_EBUSY,
                        "\"%s\" got no %s connection: %s; %u of %u are busy, the longest for "
                        "%.1f s with \"%s\"%s%.*s",
                        call->what, bh_sqlite_lane_kind(lane), why, lane->thread_count,
                        lane->thread_count, (double)busy_us / 1e6, longest->what,
                        has_route ? " for " : "", BH_STR_ARGS(longest->route));
}

static int refuse(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call,
                  const char *const why)
{
    lane->shared.refused++;
    bh_metrics_add(lane->metrics.refused[BH_DB_REFUSED_SHED], 1);
    return busy_error(lane, call, why);
}

void bh_sqlite_line_count_timeout(struct bh_sqlite_lane *const lane)
{
    lane->shared.timed_out++;
    bh_metrics_add(lane->metrics.refused[BH_DB_REFUSED_TIMED_OUT], 1);
}

/* ---- In and out ---- */

static void join(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    bh_line_join(&lane->shared.line, &call->place);
    bh_metrics_add(lane->metrics.waiting, 1);
}

static void leave(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    bh_line_leave(&lane->shared.line, &call->place);
    bh_metrics_add(lane->metrics.waiting, -1);
}

/* One that waits has to go, for others. */
static void shed(struct bh_sqlite_lane *const lane, struct bh_line_place *const place,
                 const char *const why)
{
    struct bh_sqlite_call *const call = call_at(place);
    leave(lane, call);
    call->state = BH_SQLITE_CALL_REFUSED;
    call->result = refuse(lane, call, why);
    bh_sqlite_call_tell_ended(call);
}

static bool make_place(struct bh_sqlite_lane *const lane, const enum bh_line_priority priority)
{
    struct bh_line_place *const victim = bh_line_last_below(&lane->shared.line, priority);
    if (victim)
        shed(lane, victim, "the line is full, and others come first");
    return victim != NULL;
}

struct bh_sqlite_thread *bh_sqlite_line_enter(struct bh_sqlite_lane *const lane,
                                              struct bh_sqlite_call *const call,
                                              int *const ret_result)
{
    if (!bh_list_is_empty(&lane->shared.idle)) {
        struct bh_sqlite_thread *const thread = BH_LIST_ENTRY(lane->shared.idle.next,
                                                              struct bh_sqlite_thread, node);
        bh_codel_rest(&lane->shared.codel);
        bh_sqlite_line_give(thread, call);
        return thread;
    }
    if (lane->shared.line.count >= lane->options.waiters_maximum &&
        !make_place(lane, call->place.priority))
        *ret_result = refuse(lane, call, "too many wait already");
    else
        join(lane, call);
    return NULL;
}

int bh_sqlite_line_take_back(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call,
                             const int reason)
{
    if (call->state != BH_SQLITE_CALL_WAITING)
        return 0;
    leave(lane, call);
    if (reason == BH_ECANCELED)
        bh_metrics_add(lane->metrics.refused[BH_DB_REFUSED_CANCELED], 1);
    else
        bh_sqlite_line_count_timeout(lane);
    if (reason == BH_EBUSY)
        return busy_error(lane, call, "none became free in time");
    return bh_error_set(call->reterr, reason, "\"%s\" gave up waiting: %s", call->what,
                        bh_error_text(reason));
}

/* ---- Who is next ---- */

void bh_sqlite_line_give(struct bh_sqlite_thread *const thread, struct bh_sqlite_call *const call)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    bh_assert(!thread->call);
    if (thread->state == BH_SQLITE_THREAD_IDLE) {
        bh_list_unlink(&thread->node);
        bh_metrics_add(lane->metrics.active, 1);
    }
    if (thread->state != BH_SQLITE_THREAD_HELD) {
        lane->shared.granted++;
        thread->busy_since_us = bh_time_now_us();
        thread->leak_at_us = bh_sqlite_later(thread->busy_since_us, lane->options.leak_us);
        thread->tenant = call->place.tenant;
        bh_line_took(&lane->shared.line, thread->tenant);
        bh_metrics_observe_us(lane->metrics.acquire_wait,
                              thread->busy_since_us - call->submitted_us);
    }
    thread->state = BH_SQLITE_THREAD_RUNNING;
    thread->call = call;
    thread->what = call->what;
    thread->route = call->route;
    call->state = BH_SQLITE_CALL_GIVEN;
    call->thread = thread;
}

/* CoDel sheds only what can wait. */
static void shed_if_standing(struct bh_sqlite_lane *const lane, const uint64_t delay_us,
                             const uint64_t now_us)
{
    if (lane->options.delay_interval_us == 0 ||
        !bh_codel_step(&lane->shared.codel, delay_us, now_us))
        return;
    struct bh_line_place *const victim = bh_line_first(&lane->shared.line, BH_LINE_LOW);
    if (victim)
        shed(lane, victim, "the line has been too long for a while");
}

void bh_sqlite_line_set_free(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    const bool was_busy = thread->state != BH_SQLITE_THREAD_STARTING;
    if (was_busy)
        bh_line_gave_back(&lane->shared.line, thread->tenant);
    struct bh_line_place *const next = bh_line_next(&lane->shared.line, lane->tenant_cap);
    if (next) {
        struct bh_sqlite_call *const call = call_at(next);
        leave(lane, call);
        lane->shared.waited++;
        bh_sqlite_line_give(thread, call);
        shed_if_standing(lane, thread->busy_since_us - call->submitted_us, thread->busy_since_us);
        return;
    }
    if (was_busy)
        bh_metrics_add(lane->metrics.active, -1);
    thread->state = BH_SQLITE_THREAD_IDLE;
    thread->leak_at_us = BH_NEVER_US;
    bh_list_prepend(&lane->shared.idle, &thread->node);
}

/* ---- Who has a thread for too long ---- */

void bh_sqlite_line_tell_leak(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    const uint64_t now_us = bh_time_now_us();
    if (now_us < thread->leak_at_us)
        return;
    thread->leak_at_us = BH_NEVER_US;
    const struct bh_str holder = thread->route.size ? thread->route : BH_STR("no request");
    const double held = (double)(now_us - thread->busy_since_us) / 1e6;
    const char *const what = thread->what; /* static, unlike the holder, who may go */
    char text[128];
    snprintf(text, sizeof(text), "%.*s", BH_STR_ARGS(holder));
    pthread_mutex_unlock(&lane->shared.mutex);
    bh_log_warning("db",
                   "pool \"%s\": a connection is held for %.1f s already by %s with \"%s\"; is it "
                   "a leak?",
                   bh_sqlite_lane_kind(lane), held, text, what);
    bh_metrics_add(lane->metrics.leaks, 1);
    pthread_mutex_lock(&lane->shared.mutex);
}
