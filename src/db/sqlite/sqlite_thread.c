/*
 * A lane's threads: each waits for a call, runs it on its session, and takes the next one by
 * itself. A thread that is held waits for its holder's calls alone.
 */
#include <stdio.h>

#include "bulkhead/base/log.h"
#include "db/sqlite/sqlite_lane_internal.h"

#define IDLE_MAINTENANCE_US (2 * BH_SECOND_US)

/* ---- Holds ---- */

static void set_held(struct bh_sqlite_thread *const thread, struct bh_sqlite_hold *const hold)
{
    thread->state = BH_SQLITE_THREAD_HELD;
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

/* The holder is silent: its transaction is rolled back and the thread serves others again. */
static void take_away(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    thread->state = BH_SQLITE_THREAD_RUNNING;
    thread->route = BH_STR_NONE; /* its holder may go now */
    end_hold(thread);
    pthread_mutex_unlock(&lane->shared.mutex);
    bh_sqlite_session_settle(&thread->session);
    bh_log_warning("db", "a transaction was idle for %g s after \"%s\"; rolled back",
                   (double)lane->options.hold_idle_timeout_us / 1e6, thread->what);
    pthread_mutex_lock(&lane->shared.mutex);
    bh_sqlite_line_set_free(thread);
}

/* Until its next call, or the end of its patience. */
static void await_holder(struct bh_sqlite_thread *const thread)
{
    const uint64_t now_us = bh_time_now_us();
    if (now_us >= thread->held_until_us) {
        take_away(thread);
    } else if (now_us >= thread->leak_at_us) {
        bh_sqlite_line_tell_leak(thread);
    } else {
        const bool is_leak_first = thread->leak_at_us < thread->held_until_us;
        bh_sqlite_condition_wait(&thread->wake, &thread->lane->shared.mutex,
                                 is_leak_first ? thread->leak_at_us : thread->held_until_us);
    }
}

/* Waits for a call; between calls an idle writer looks after the log. NULL: the lane ends. */
static struct bh_sqlite_call *next_call(struct bh_sqlite_thread *const thread)
{
    struct bh_sqlite_lane *const lane = thread->lane;
    pthread_mutex_t *const mutex = &lane->shared.mutex;
    while (!thread->call) {
        if (thread->state == BH_SQLITE_THREAD_HELD) {
            await_holder(thread);
        } else if (lane->shared.ending) {
            return NULL;
        } else if (thread->shrinks != lane->shared.shrinks) {
            thread->shrinks = lane->shared.shrinks;
            pthread_mutex_unlock(mutex);
            bh_sqlite_session_shrink(&thread->session);
            pthread_mutex_lock(mutex);
        } else if (bh_sqlite_session_wants_care(&thread->session)) {
            if (bh_sqlite_condition_wait(&thread->wake, mutex,
                                         bh_time_now_us() + IDLE_MAINTENANCE_US) ||
                thread->call)
                continue;
            pthread_mutex_unlock(mutex);
            bh_sqlite_session_maintain(&thread->session, true);
            pthread_mutex_lock(mutex);
        } else {
            bh_sqlite_condition_wait(&thread->wake, mutex, BH_NEVER_US);
        }
    }
    struct bh_sqlite_call *const call = thread->call;
    thread->call = NULL;
    return call;
}

/* An interruption is told by its reason. */
static int reason_of(struct bh_sqlite_call *const call, const int result)
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

static void run(struct bh_sqlite_thread *const thread, struct bh_sqlite_call *const call)
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

/* Its caller may leave at once. */
static void tell_ended(struct bh_sqlite_lane *const lane, struct bh_sqlite_call *const call)
{
    if (call->loop) {
        bh_sqlite_call_tell_ended(call);
        return;
    }
    pthread_mutex_lock(&lane->shared.mutex);
    bh_sqlite_call_tell_ended(call);
    pthread_mutex_unlock(&lane->shared.mutex);
}

/* Runs one call; returns with the thread idle, held, or with its next call. */
static void serve(struct bh_sqlite_thread *const thread, struct bh_sqlite_call *const call)
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
        bh_sqlite_line_set_free(thread);
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
        bh_sqlite_line_set_free(thread);
    pthread_cond_signal(&lane->shared.started);
}

void *bh_sqlite_thread_main(void *const argument)
{
    struct bh_sqlite_thread *const thread = argument;
    struct bh_sqlite_lane *const lane = thread->lane;
    bh_magic_check(lane, BH_SQLITE_LANE_MAGIC);
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
        for (struct bh_sqlite_call *call; (call = next_call(thread));)
            serve(thread, call);
    }
    thread->state = BH_SQLITE_THREAD_ENDED;
    pthread_mutex_unlock(&lane->shared.mutex);
    bh_sqlite_session_fini(&thread->session);
    return NULL;
}
