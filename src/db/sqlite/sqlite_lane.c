#include "db/sqlite/sqlite_lane.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bulkhead/base/list.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"

#define LANE_MAGIC 0x53514c4cu
#define IDLE_MAINTENANCE_US (2 * BH_SECOND_US)

enum call_state {
    CALL_QUEUED,
    CALL_GIVEN /* to a thread: it will run, or has */
};

/* One call, on its caller's stack. The caller leaves only when the call was taken back from the
 * queue or has ended. */
struct call {
    const char *what;
    struct bh_str route; /* of the caller's log context; empty: none */
    bh_sqlite_function *function;
    void *argument;
    struct bh_error *reterr;
    struct bh_sqlite_hold *hold; /* NULL: none */
    bool release;                /* the hold ends with this call */
    struct bh_trace_span *span;
    struct bh_sqlite_stop stop;
    uint64_t submitted_us;
    int result;
    bool is_logged; /* why it was refused */

    struct bh_loop *loop; /* NULL: a thread without a loop waits */
    struct bh_fiber *fiber;
    struct bh_task ended_task;
    bool has_ended; /* loop thread; without a loop: under the lane's mutex */
    pthread_cond_t ended;

    enum call_state state; /* under the lane's mutex */
    struct bh_list node;   /* under the lane's mutex */
};

enum thread_state {
    THREAD_STARTING,
    THREAD_IDLE,    /* in lane->shared.idle */
    THREAD_RUNNING, /* has a call */
    THREAD_HELD,    /* waits for its holder's next call */
    THREAD_ENDED
};

struct bh_sqlite_thread {
    struct bh_sqlite_lane *lane;
    pthread_t thread;
    struct bh_sqlite_session session; /* this thread's alone */

    /* Under the lane's mutex. */
    enum thread_state state;
    pthread_cond_t wake;
    struct call *call;
    struct bh_sqlite_hold *holder;
    const char *what;       /* runs or ran last */
    struct bh_str route;    /* for whom: its caller waits, or holds this thread */
    uint64_t busy_since_us; /* running or held */
    uint64_t held_until_us;
    unsigned shrinks; /* of the lane's wishes to shrink, those fulfilled */
    struct bh_list node;
};

struct bh_sqlite_lane {
    BH_MAGIC_FIELD;
    struct bh_sqlite_lane_options options;
    struct bh_sqlite_thread *threads;
    unsigned thread_count; /* started */
    struct bh_db_lane_metrics metrics;
    _Atomic uint64_t connected; /* connections made */

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t started;
        struct bh_list waiting; /* struct call.node, oldest first */
        unsigned waiting_count;
        struct bh_list idle; /* struct bh_sqlite_thread.node, last used first */
        unsigned starting;
        int start_result;
        struct bh_error start_error;
        bool ending;
        unsigned shrinks; /* wishes so far */
        uint64_t refusal_logged_us;
        uint64_t granted, waited, timed_out, refused; /* see struct bh_db_statistics */
    } shared;
};

/* ---- Threads' states; all under the mutex ---- */

static void give(struct bh_sqlite_thread *const thread, struct call *const call)
{
    bh_assert(!thread->call);
    const struct bh_db_lane_metrics *const metrics = &thread->lane->metrics;
    if (thread->state == THREAD_IDLE) {
        bh_list_unlink(&thread->node);
        bh_metrics_add(metrics->active, 1);
    }
    if (thread->state != THREAD_HELD) {
        thread->lane->shared.granted++;
        thread->busy_since_us = bh_time_now_us();
        bh_metrics_observe_us(metrics->acquire_wait, thread->busy_since_us - call->submitted_us);
    }
    thread->state = THREAD_RUNNING;
    thread->call = call;
    thread->what = call->what;
    thread->route = call->route;
    call->state = CALL_GIVEN;
}

static void join_queue(struct bh_sqlite_lane *const lane, struct call *const call)
{
    bh_list_append(&lane->shared.waiting, &call->node);
    lane->shared.waiting_count++;
    bh_metrics_add(lane->metrics.waiting, 1);
}

static void leave_queue(struct bh_sqlite_lane *const lane, struct call *const call)
{
    bh_list_unlink(&call->node);
    lane->shared.waiting_count--;
    bh_metrics_add(lane->metrics.waiting, -1);
}

/* The thread takes the oldest waiting call, or is idle. */
static void set_free(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    if (!bh_list_is_empty(&lane->shared.waiting)) {
        struct call *const call = BH_LIST_ENTRY(lane->shared.waiting.next, struct call, node);
        leave_queue(lane, call);
        lane->shared.waited++;
        give(thread, call);
        return;
    }
    if (thread->state != THREAD_STARTING)
        bh_metrics_add(lane->metrics.active, -1);
    thread->state = THREAD_IDLE;
    bh_list_prepend(&lane->shared.idle, &thread->node);
}

static void set_held(struct bh_sqlite_thread *const thread, struct bh_sqlite_hold *const hold)
{
    thread->state = THREAD_HELD;
    thread->holder = hold;
    thread->held_until_us = bh_time_now_us() + thread->lane->options.hold_idle_timeout_us;
    hold->lane = thread->lane;
    hold->thread = thread;
}

static void end_hold(struct bh_sqlite_thread *const thread)
{
    if (thread->holder)
        thread->holder->thread = NULL;
    thread->holder = NULL;
}

/* ---- The thread ---- */

static struct timespec timespec_of(const uint64_t at_us)
{
    return (struct timespec){ .tv_sec = (time_t)(at_us / BH_SECOND_US),
                              .tv_nsec = (long)(at_us % BH_SECOND_US) * 1000 };
}

/* The holder is silent: its transaction is rolled back and the thread serves others again. */
static void take_away(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    thread->state = THREAD_RUNNING;
    end_hold(thread);
    pthread_mutex_unlock(&lane->shared.mutex);
    bh_sqlite_session_settle(&thread->session);
    bh_log_warning("db", "a transaction was idle for %g s after \"%s\"; rolled back",
                   (double)lane->options.hold_idle_timeout_us / 1e6, thread->what);
    pthread_mutex_lock(&lane->shared.mutex);
    set_free(thread);
}

/* Waits for a call; between calls an idle writer looks after the log. NULL: the lane ends. */
static struct call *next_call(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    pthread_mutex_t *const mutex = &lane->shared.mutex;
    while (!thread->call) {
        if (thread->state == THREAD_HELD) {
            if (bh_time_now_us() >= thread->held_until_us) {
                take_away(thread);
                continue;
            }
            const struct timespec until = timespec_of(thread->held_until_us);
            pthread_cond_timedwait(&thread->wake, mutex, &until);
        } else if (lane->shared.ending) {
            return NULL;
        } else if (thread->shrinks != lane->shared.shrinks) {
            thread->shrinks = lane->shared.shrinks;
            pthread_mutex_unlock(mutex);
            bh_sqlite_session_shrink(&thread->session);
            pthread_mutex_lock(mutex);
        } else if (bh_sqlite_session_wants_care(&thread->session)) {
            const struct timespec until = timespec_of(bh_time_now_us() + IDLE_MAINTENANCE_US);
            if (pthread_cond_timedwait(&thread->wake, mutex, &until) == 0 || thread->call)
                continue;
            pthread_mutex_unlock(mutex);
            bh_sqlite_session_maintain(&thread->session, true);
            pthread_mutex_lock(mutex);
        } else {
            pthread_cond_wait(&thread->wake, mutex);
        }
    }
    struct call *const call = thread->call;
    thread->call = NULL;
    return call;
}

/* An interruption is told by its reason. */
static int reason_of(struct call *const call, const int result)
{
    const int reason = atomic_load_explicit(&call->stop.reason, memory_order_relaxed);
    if (!reason || result >= 0)
        return result;
    if (result == BH_ECANCELED || (result == BH_EUNAVAILABLE && reason == BH_ECANCELED))
        return bh_error_set(call->reterr, reason, "\"%s\" was interrupted: %s", call->what,
                            bh_error_text(reason));
    return result;
}

static int ensure_connection(struct bh_sqlite_thread *const thread, struct bh_error *const reterr)
{
    if (thread->session.connection)
        return 0;
    const int result = bh_sqlite_session_ensure(&thread->session, reterr);
    if (!result)
        atomic_fetch_add_explicit(&thread->lane->connected, 1, memory_order_relaxed);
    return result;
}

static void run(struct bh_sqlite_thread *const thread, struct call *const call)
{
    struct bh_sqlite_session *const session = &thread->session;
    session->stop = call->release ? NULL : &call->stop;
    session->rows = 0;
    call->span->granted_us = bh_time_now_us();
    int result = ensure_connection(thread, call->reterr);
    if (!result)
        result = reason_of(call, call->function(session, call->argument, call->reterr));
    call->span->ended_us = bh_time_now_us();
    call->span->rows = session->rows;
    session->stop = NULL;
    call->result = result;
}

static void ended_on_loop(struct bh_task *const task)
{
    struct call *const call = BH_CONTAINER_OF(task, struct call, ended_task);
    call->has_ended = true;
    bh_fiber_wake(call->fiber);
}

/* The last touch of the call: its caller may leave at once, and the call's memory with it. */
static void tell_ended(struct bh_sqlite_lane *const lane, struct call *const call)
{
    if (call->loop) {
        bh_loop_post(call->loop, &call->ended_task);
        return;
    }
    pthread_mutex_lock(&lane->shared.mutex);
    call->has_ended = true;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&lane->shared.mutex);
}

/* Runs one call; returns with the thread idle, held, or with its next call. */
static void serve(struct bh_sqlite_thread *const thread, struct call *const call)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    const bool was_held = thread->holder != NULL;
    pthread_mutex_unlock(&lane->shared.mutex);

    run(thread, call);
    const bool is_held = was_held ? !call->release : call->hold && call->result == 0;
    if (!is_held && !bh_sqlite_session_settle(&thread->session) && call->result >= 0)
        call->result = bh_error_set(call->reterr, BH_EINTERNAL,
                                    "\"%s\" left a transaction open; rolled back", call->what);

    pthread_mutex_lock(&lane->shared.mutex);
    if (is_held) {
        set_held(thread, was_held ? thread->holder : call->hold);
    } else {
        end_hold(thread);
        set_free(thread);
    }
    pthread_mutex_unlock(&lane->shared.mutex);

    tell_ended(lane, call);
    if (!is_held)
        bh_sqlite_session_maintain(&thread->session, false);
    pthread_mutex_lock(&lane->shared.mutex);
}

static void started(struct bh_sqlite_thread *const thread, const int result,
                    const struct bh_error *const error)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    lane->shared.starting--;
    if (result && !lane->shared.start_result) {
        lane->shared.start_result = result;
        lane->shared.start_error = *error;
    }
    if (!result)
        set_free(thread);
    pthread_cond_signal(&lane->shared.started);
}

static void *thread_main(void *const argument)
{
    struct bh_sqlite_thread *const thread = argument;
    struct bh_sqlite_lane *const lane = thread->lane;
    bh_magic_check(lane, LANE_MAGIC);
    char name[16];
    snprintf(name, sizeof(name), "%s-%u", lane->options.name, (unsigned)(thread - lane->threads));
    pthread_setname_np(pthread_self(), name);

    struct bh_error error = { 0 };
    int result = bh_sqlite_session_init(&thread->session, lane->options.config,
                                        lane->options.writer);
    if (!result)
        result = ensure_connection(thread, &error);

    pthread_mutex_lock(&lane->shared.mutex);
    started(thread, result, &error);
    if (!result) {
        for (struct call *call; (call = next_call(thread));)
            serve(thread, call);
    }
    thread->state = THREAD_ENDED;
    pthread_mutex_unlock(&lane->shared.mutex);
    bh_sqlite_session_fini(&thread->session);
    return NULL;
}

/* ---- Life ---- */

static void cond_init(pthread_cond_t *const condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static int start_threads(struct bh_sqlite_lane *const lane)
{
    while (lane->thread_count < lane->options.threads) {
        struct bh_sqlite_thread *const thread = &lane->threads[lane->thread_count];
        thread->lane = lane;
        thread->state = THREAD_STARTING;
        bh_list_init(&thread->node);
        cond_init(&thread->wake);
        pthread_mutex_lock(&lane->shared.mutex);
        const bool is_started = bh_thread_start(thread_main, thread, &thread->thread) == 0;
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
    lane->magic = LANE_MAGIC;
    lane->options = *options;
    lane->metrics = bh_db_metrics_lane(options->writer ? BH_DB_WRITE : BH_DB_READ);
    pthread_mutex_init(&lane->shared.mutex, NULL);
    cond_init(&lane->shared.started);
    bh_list_init(&lane->shared.waiting);
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
    bh_magic_check(lane, LANE_MAGIC);
    pthread_mutex_lock(&lane->shared.mutex);
    bh_assert(bh_list_is_empty(&lane->shared.waiting));
    lane->shared.ending = true;
    for (unsigned i = 0; i < lane->thread_count; i++) {
        bh_assert(lane->threads[i].state != THREAD_HELD);
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

/* ---- Calls ---- */

static void call_init(struct call *const call, const char *const what,
                      bh_sqlite_function *const function, void *const argument,
                      struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct bh_fiber *const fiber = bh_fiber_current();
    bh_assert(fiber || !bh_loop_current()); /* a loop must not be blocked */
    const struct bh_log_context *const context = bh_log_context_get();
    *call = (struct call){
        .what = what,
        .route = context ? context->route : BH_STR_NONE,
        .function = function,
        .argument = argument,
        .reterr = reterr,
        .span = span,
        .submitted_us = bh_time_now_us(),
        .stop = { .deadline_us = fiber ? bh_fiber_deadline() : BH_NEVER_US },
        .loop = bh_loop_current(),
        .fiber = fiber,
        .ended_task = { .run = ended_on_loop },
    };
    bh_list_init(&call->node);
    if (!fiber)
        cond_init(&call->ended);
}

/* The end of a call, with its result. */
static int call_fini(struct call *const call, const int result)
{
    if (!call->fiber)
        pthread_cond_destroy(&call->ended);
    if (call->is_logged && call->reterr)
        bh_log_warning("db", "%s", call->reterr->message);
    if (result < 0)
        bh_db_metrics_error(result);
    return result;
}

static void count_timeout(struct bh_sqlite_lane *const lane)
{
    pthread_mutex_lock(&lane->shared.mutex);
    lane->shared.timed_out++;
    pthread_mutex_unlock(&lane->shared.mutex);
}

/* Nobody wants the result any more: the call is not even begun. */
static int unwanted(struct bh_sqlite_lane *const lane, const struct call *const call,
                    struct bh_error *const reterr)
{
    int reason = 0;
    if (call->fiber && bh_fiber_is_canceled(call->fiber)) {
        reason = BH_ECANCELED;
    } else if (call->submitted_us >= call->stop.deadline_us) {
        reason = BH_ETIMEDOUT;
        count_timeout(lane);
    }
    return reason ? bh_error_set(reterr, reason, "\"%s\" was not begun: %s", call->what,
                                 bh_error_text(reason))
                  : 0;
}

/* Who keeps the others waiting: the thread that has been busy the longest. Logged once a second.
 * Under the mutex. */
static int busy_error(struct bh_sqlite_lane *const lane, struct call *const call,
                      const char *const why, struct bh_error *const reterr)
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
    return bh_error_set(reterr, BH_EBUSY,
                        "\"%s\" got no %s connection: %s; %u of %u are busy, the longest for "
                        "%.1f s with \"%s\"%s%.*s",
                        call->what, lane->options.writer ? "write" : "read", why,
                        lane->thread_count, lane->thread_count, (double)busy_us / 1e6,
                        longest->what, has_route ? " for " : "", BH_STR_ARGS(longest->route));
}

static int submit(struct bh_sqlite_lane *const lane, struct call *const call)
{
    int result = 0;
    struct bh_sqlite_thread *thread = NULL;
    pthread_mutex_lock(&lane->shared.mutex);
    if (lane->shared.ending) {
        result = bh_error_set(call->reterr, BH_ESHUTDOWN, "the database is being closed");
    } else if (!bh_list_is_empty(&lane->shared.idle)) {
        thread = BH_LIST_ENTRY(lane->shared.idle.next, struct bh_sqlite_thread, node);
        give(thread, call);
    } else if (lane->shared.waiting_count >= lane->options.waiters_maximum) {
        lane->shared.refused++;
        result = busy_error(lane, call, "too many wait already", call->reterr);
    } else {
        join_queue(lane, call);
    }
    pthread_mutex_unlock(&lane->shared.mutex);
    if (thread)
        pthread_cond_signal(&thread->wake);
    return result;
}

/* Takes the call out of the queue and returns `reason`; 0: too late, a thread has it. Under the
 * mutex. */
static int take_back(struct bh_sqlite_lane *const lane, struct call *const call, const int reason)
{
    if (call->state != CALL_QUEUED)
        return 0;
    leave_queue(lane, call);
    lane->shared.timed_out += reason != BH_ECANCELED;
    if (reason == BH_EBUSY)
        return busy_error(lane, call, "none became free in time", call->reterr);
    return bh_error_set(call->reterr, reason, "\"%s\" gave up waiting: %s", call->what,
                        bh_error_text(reason));
}

static int wait_to_end(const struct call *const call)
{
    while (!call->has_ended)
        bh_fiber_park_uncancelable();
    return call->result;
}

static int wait_in_fiber(struct bh_sqlite_lane *const lane, struct call *const call,
                         uint64_t acquire_until_us)
{
    while (!call->has_ended) {
        const int broken_off = bh_fiber_park_until(acquire_until_us);
        if (!broken_off || call->has_ended)
            continue;
        const bool is_acquire_timeout = broken_off == BH_ETIMEDOUT &&
                                        acquire_until_us < call->stop.deadline_us;
        pthread_mutex_lock(&lane->shared.mutex);
        const int refused = take_back(lane, call, is_acquire_timeout ? BH_EBUSY : broken_off);
        pthread_mutex_unlock(&lane->shared.mutex);
        if (refused)
            return refused;
        if (is_acquire_timeout) {
            acquire_until_us = BH_NEVER_US; /* it runs: only the fiber's own deadline counts now */
            continue;
        }
        atomic_store_explicit(&call->stop.reason, broken_off, memory_order_relaxed);
        return wait_to_end(call);
    }
    return call->result;
}

static int wait_in_thread(struct bh_sqlite_lane *const lane, struct call *const call,
                          const uint64_t acquire_until_us)
{
    const struct timespec until = timespec_of(acquire_until_us);
    int result = 0;
    pthread_mutex_lock(&lane->shared.mutex);
    while (!call->has_ended && !result) {
        if (call->state != CALL_QUEUED)
            pthread_cond_wait(&call->ended, &lane->shared.mutex);
        else if (bh_time_now_us() < acquire_until_us)
            pthread_cond_timedwait(&call->ended, &lane->shared.mutex, &until);
        else
            result = take_back(lane, call, BH_EBUSY);
    }
    pthread_mutex_unlock(&lane->shared.mutex);
    return result ? result : call->result;
}

int bh_sqlite_lane_call(struct bh_sqlite_lane *const lane, const char *const what,
                        bh_sqlite_function *const function, void *const argument,
                        struct bh_sqlite_hold *const hold, struct bh_trace_span *const span,
                        struct bh_error *const reterr)
{
    bh_magic_check(lane, LANE_MAGIC);
    struct call call;
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
static int submit_held(struct bh_sqlite_hold *const hold, struct call *const call)
{
    pthread_mutex_lock(&hold->lane->shared.mutex);
    struct bh_sqlite_thread *const thread = hold->thread;
    if (thread) {
        bh_assert(thread->state == THREAD_HELD); /* one call at a time */
        give(thread, call);
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
    bh_magic_check(lane, LANE_MAGIC);
    struct call call;
    call_init(&call, what, function, argument, span, reterr);
    call.release = release;
    int result = release ? 0 : unwanted(lane, &call, reterr);
    if (!result)
        result = submit_held(hold, &call);
    if (!result && !call.fiber)
        result = wait_in_thread(lane, &call, BH_NEVER_US);
    else if (!result)
        result = release ? wait_to_end(&call) : wait_in_fiber(lane, &call, BH_NEVER_US);
    return call_fini(&call, result);
}

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
    bh_magic_check(lane, LANE_MAGIC);
    pthread_mutex_lock(&lane->shared.mutex);
    *ret_statistics = (struct bh_db_statistics){
        .size = lane->thread_count,
        .total = lane->thread_count,
        .in_use = lane->thread_count,
        .waiting = lane->shared.waiting_count,
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
    bh_assert(is_listed == (thread->state == THREAD_IDLE));
    if (thread->call)
        bh_assert(thread->state == THREAD_RUNNING && thread->call->state == CALL_GIVEN);
    if (thread->state == THREAD_HELD)
        bh_assert(thread->holder);
    if (thread->holder)
        bh_assert(thread->holder->thread == thread && thread->state != THREAD_IDLE);
}

void bh_sqlite_lane_check(struct bh_sqlite_lane *const lane)
{
    bh_magic_check(lane, LANE_MAGIC);
    pthread_mutex_lock(&lane->shared.mutex);
    unsigned waiting_count = 0;
    BH_LIST_FOREACH(node, &lane->shared.waiting) {
        bh_assert(BH_LIST_ENTRY(node, struct call, node)->state == CALL_QUEUED);
        waiting_count++;
    }
    bh_assert(waiting_count == lane->shared.waiting_count);
    bh_assert(waiting_count <= lane->options.waiters_maximum);
    bh_assert(waiting_count == 0 || bh_list_is_empty(&lane->shared.idle));
    for (unsigned i = 0; i < lane->thread_count; i++)
        check_thread(&lane->threads[i]);
    pthread_mutex_unlock(&lane->shared.mutex);
}
