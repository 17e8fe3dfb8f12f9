/*
 * A lane's calls, from the side of those who make them: a fiber parks, a thread without a loop
 * blocks, until the call was refused, taken back or has ended.
 */
#include "bulkhead/base/log.h"
#include "db/sqlite/sqlite_lane_internal.h"

/* ---- Begin and end ---- */

static void ended_on_loop(struct bh_task *const task)
{
    struct bh_sqlite_call *const call = BH_CONTAINER_OF(task, struct bh_sqlite_call, ended_task);
    call->has_ended = true;
    bh_fiber_wake(call->fiber);
}

void bh_sqlite_call_tell_ended(struct bh_sqlite_call *const call)
{
    if (call->loop) {
        bh_loop_post(call->loop, &call->ended_task);
        return;
    }
    call->has_ended = true;
    pthread_cond_signal(&call->ended);
}

/* A thread without a loop works for people, and for nobody in particular. */
static struct bh_line_place place_of(const struct bh_fiber *const fiber)
{
    if (!fiber)
        return (struct bh_line_place){ .priority = BH_LINE_NORMAL };
    const struct bh_fiber_standing standing = bh_fiber_standing();
    return (struct bh_line_place){ .priority = bh_line_priority_of(standing.priority),
                                   .tenant = standing.tenant };
}

static void call_init(struct bh_sqlite_call *const call, const char *const what,
                      bh_sqlite_function *const function, void *const argument,
                      struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct bh_fiber *const fiber = bh_fiber_current();
    bh_assert(fiber || !bh_loop_current()); /* a loop must not be blocked */
    const struct bh_log_context *const context = bh_log_context_get();
    *call = (struct bh_sqlite_call){
        .what = what,
        .route = context ? context->route : BH_STR_NONE,
        .function = function,
        .argument = argument,
        .reterr = reterr,
        .span = span,
        .submitted_us = bh_time_now_us(),
        .look_us = BH_NEVER_US,
        .stop = { .deadline_us = fiber ? bh_fiber_deadline() : BH_NEVER_US },
        .loop = bh_loop_current(),
        .fiber = fiber,
        .ended_task = { .run = ended_on_loop },
        .place = place_of(fiber),
    };
    if (!fiber)
        bh_sqlite_condition_init(&call->ended);
}

/* The end of a call, with its result. */
static int call_fini(struct bh_sqlite_call *const call, const int result)
{
    if (!call->fiber)
        pthread_cond_destroy(&call->ended);
    if (call->is_logged && call->reterr)
        bh_log_warning("db", "%s", call->reterr->message);
    if (result < 0)
        bh_db_metrics_error(result);
    return result;
}

/* Nobody wants the result any more: the call is not even begun. */
static int unwanted(struct bh_sqlite_lane *const lane, const struct bh_sqlite_call *const call,
                    struct bh_error *const reterr)
{
    int reason = 0;
    if (call->fiber && bh_fiber_is_canceled(call->fiber)) {
        reason = BH_ECANCELED;
    } else if (call->submitted_us >= call->stop.deadline_us) {
        reason = BH_ETIMEDOUT;
        pthread_mutex_lock(&lane->shared.mutex);
        bh_sqlite_line_count_timeout(lane);
        pthread_mutex_unlock(&lane->shared.mutex);
    }
    return reason ? bh_error_set(reterr, reason, "\"%s\" was not begun: %s", call->what,
                                 bh_error_text(reason))
                  : 0;
}

static int submit(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    int result = 0;
    struct bh_sqlite_thread *thread = NULL;
    call->look_us = bh_sqlite_later(call->submitted_us, lane->options.leak_us);
    pthread_mutex_lock(&lane->shared.mutex);
    if (lane->shared.ending)
        result = bh_error_set(call->reterr, BH_ESHUTDOWN, "the database is being closed");
    else
        thread = bh_sqlite_line_enter(lane, call, &result);
    pthread_mutex_unlock(&lane->shared.mutex);
    if (thread)
        pthread_cond_signal(&thread->wake);
    return result;
}

/* ---- Waiting ---- */

/* Its caller has nothing else to do, so it is who notices that the thread has been held for too
 * long. Under the mutex. */
static void look_for_leak(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    if (call->state == BH_SQLITE_CALL_GIVEN) {
        bh_sqlite_line_tell_leak(call->thread);
        call->look_us = call->thread->leak_at_us;
    } else {
        call->look_us = bh_sqlite_later(bh_time_now_us(), lane->options.leak_us);
    }
}

static void look_in_fiber(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    pthread_mutex_lock(&lane->shared.mutex);
    look_for_leak(lane, call);
    pthread_mutex_unlock(&lane->shared.mutex);
}

static uint64_t sooner(const uint64_t one_us, const uint64_t other_us)
{
    return one_us < other_us ? one_us : other_us;
}

static int wait_to_end(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    while (!call->has_ended) {
        if (bh_fiber_park_uncancelable_until(call->look_us) != 0)
            look_in_fiber(lane, call);
    }
    return call->result;
}

static int wait_in_fiber(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call,
                         uint64_t acquire_until_us)
{
    while (!call->has_ended) {
        const int broken_off = bh_fiber_park_until(sooner(acquire_until_us, call->look_us));
        if (!broken_off || call->has_ended)
            continue;
        if (broken_off == BH_ETIMEDOUT && bh_time_now_us() >= call->look_us) {
            look_in_fiber(lane, call);
            continue;
        }
        const bool is_acquire_timeout = broken_off == BH_ETIMEDOUT &&
                                        acquire_until_us < call->stop.deadline_us &&
                                        bh_time_now_us() >= acquire_until_us;
        pthread_mutex_lock(&lane->shared.mutex);
        const int refused = bh_sqlite_line_take_back(lane, call,
                                                     is_acquire_timeout ? BH_EBUSY : broken_off);
        pthread_mutex_unlock(&lane->shared.mutex);
        if (refused)
            return refused;
        if (is_acquire_timeout) {
            acquire_until_us = BH_NEVER_US; /* it runs: only the fiber's own deadline counts now */
            continue;
        }
        atomic_store_explicit(&call->stop.reason, broken_off, memory_order_relaxed);
        return wait_to_end(lane, call);
    }
    return call->result;
}

static int wait_in_thread(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call,
                          const uint64_t acquire_until_us)
{
    int result = 0;
    pthread_mutex_lock(&lane->shared.mutex);
    while (!call->has_ended && !result) {
        const uint64_t now_us = bh_time_now_us();
        const bool is_waiting = call->state == BH_SQLITE_CALL_WAITING;
        const uint64_t until_us = is_waiting ? acquire_until_us : BH_NEVER_US;
        if (now_us >= until_us)
            result = bh_sqlite_line_take_back(lane, call, BH_EBUSY);
        else if (now_us >= call->look_us)
            look_for_leak(lane, call);
        else
            bh_sqlite_condition_wait(&call->ended, &lane->shared.mutex,
                                     sooner(until_us, call->look_us));
    }
    pthread_mutex_unlock(&lane->shared.mutex);
    return result ? result : call->result;
}

/* ---- Calls ---- */

int bh_sqlite_lane_call(struct bh_sqlite_lane *const lane, const char *const what,
                        bh_sqlite_function *const function, void *const argument,
                        struct bh_sqlite_hold *const hold, struct bh_trace_span *const span,
                        struct bh_error *const reterr)
{
    bh_magic_check(lane, BH_SQLITE_LANE_MAGIC);
    struct bh_sqlite_call call;
    call_init(&call, what, function, argument, span, reterr);
    call.hold = hold;
    int result = unwanted(lane, &call, reterr);
    if (!result)
        result = submit(lane, &call);
    if (!result) {
        const uint64_t until_us = call.submitted_us + lane->options.acquire_timeout_us;
        result = call.fiber ? wait_in_fiber(lane, &call, until_us)
                            : wait_in_thread(lane, &call, until_us);
    }
    return call_fini(&call, result);
}

/* Gives the call to the held thread, if it is still held. */
static int submit_held(struct bh_sqlite_hold *const hold, struct bh_sqlite_call *const call)
{
    pthread_mutex_lock(&hold->lane->shared.mutex);
    struct bh_sqlite_thread *const thread = hold->thread;
    if (thread) {
        bh_assert(thread->state == BH_SQLITE_THREAD_HELD); /* one call at a time */
        bh_sqlite_line_give(thread, call);
        call->look_us = thread->leak_at_us;
    }
    pthread_mutex_unlock(&hold->lane->shared.mutex);
    if (!thread)
        return bh_error_set(call->reterr, BH_ETIMEDOUT,
                            "\"%s\": the transaction was idle for too long and was rolled back",
                            call->what);
    pthread_cond_signal(&thread->wake);
    return 0;
}

int bh_sqlite_lane_call_held(struct bh_sqlite_hold *const hold, const char *const what,
                             bh_sqlite_function *const function, void *const argument,
                             const bool release, struct bh_trace_span *const span,
                             struct bh_error *const reterr)
{
    struct bh_sqlite_lane *const lane = hold->lane;
    bh_magic_check(lane, BH_SQLITE_LANE_MAGIC);
    struct bh_sqlite_call call;
    call_init(&call, what, function, argument, span, reterr);
    call.release = release;
    int result = release ? 0 : unwanted(lane, &call, reterr);
    if (!result)
        result = submit_held(hold, &call);
    if (!result && !call.fiber)
        result = wait_in_thread(lane, &call, BH_NEVER_US);
    else if (!result)
        result = release ? wait_to_end(lane, &call) : wait_in_fiber(lane, &call, BH_NEVER_US);
    return call_fini(&call, result);
}
