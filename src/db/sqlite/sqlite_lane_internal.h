/*
 * What a lane's own files share: sqlite_lane.c (life and figures), sqlite_call.c (the side of those
 * who call), sqlite_thread.c (the threads), sqlite_line.c (who is next, who is refused, who holds a
 * thread for too long). All that `shared` holds, and what is marked so, is under its mutex.
 */
#pragma once

#include <pthread.h>
#include <time.h>

#include "bulkhead/base/codel.h"
#include "bulkhead/base/list.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "db/line.h"
#include "db/sqlite/sqlite_lane.h"

#define BH_SQLITE_LANE_MAGIC 0x53514c4cu

enum bh_sqlite_call_state {
    BH_SQLITE_CALL_WAITING, /* in line */
    BH_SQLITE_CALL_GIVEN,   /* to a thread: it will run, or has */
    BH_SQLITE_CALL_REFUSED  /* out of the line for others: its caller is being told */
};

/* One call, on its caller's stack. The caller leaves only when the call was taken back from the
 * line or has ended. */
struct bh_sqlite_call {
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
    uint64_t look_us; /* when its caller looks whether it has its thread for too long */
    int result;
    bool is_logged; /* why it was refused */

    struct bh_loop *loop; /* NULL: a thread without a loop waits */
    struct bh_fiber *fiber;
    struct bh_task ended_task;
    bool has_ended; /* loop thread; without a loop: under the mutex */
    pthread_cond_t ended;

    enum bh_sqlite_call_state state; /* under the mutex; the rest, too */
    struct bh_line_place place;
    struct bh_sqlite_thread *thread; /* GIVEN: to this one */
};

enum bh_sqlite_thread_state {
    BH_SQLITE_THREAD_STARTING,
    BH_SQLITE_THREAD_IDLE,    /* in lane->shared.idle */
    BH_SQLITE_THREAD_RUNNING, /* has a call */
    BH_SQLITE_THREAD_HELD,    /* waits for its holder's next call */
    BH_SQLITE_THREAD_ENDED
};

struct bh_sqlite_thread {
    struct bh_sqlite_lane *lane;
    pthread_t thread;
    struct bh_sqlite_session session; /* this thread's alone */

    /* Under the mutex. */
    enum bh_sqlite_thread_state state;
    pthread_cond_t wake;
    struct bh_sqlite_call *call;
    struct bh_sqlite_hold *holder;
    const char *what;       /* runs or ran last */
    struct bh_str route;    /* for whom: its caller waits, or holds this thread */
    uint32_t tenant;        /* whose share it is of */
    uint64_t busy_since_us; /* running or held */
    uint64_t leak_at_us;    /* running or held by then: to be told; BH_NEVER_US: it was, or not */
    uint64_t held_until_us;
    unsigned shrinks; /* of the lane's wishes to shrink, those fulfilled */
    struct bh_list node;
};

struct bh_sqlite_lane {
    BH_MAGIC_FIELD;
    struct bh_sqlite_lane_options options;
    struct bh_sqlite_thread *threads;
    unsigned thread_count; /* started */
    unsigned tenant_cap;   /* threads; 0: none */
    struct bh_db_lane_metrics metrics;
    _Atomic uint64_t connected; /* connections made */

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t started;
        struct bh_line line; /* struct bh_sqlite_call.place */
        struct bh_codel codel;
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

static inline const char *bh_sqlite_lane_kind(const struct bh_sqlite_lane *const lane)
{
    return lane->options.writer ? "write" : "read";
}

static inline uint64_t bh_sqlite_later(const uint64_t from_us, const uint64_t by_us)
{
    return by_us < BH_NEVER_US - from_us ? from_us + by_us : BH_NEVER_US;
}

/* A condition on the monotonic clock, and a wait on it until then: whether it was woken. */
void bh_sqlite_condition_init(pthread_cond_t *condition);
bool bh_sqlite_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until_us);

/* The main function of a thread of the lane; `argument`: its struct bh_sqlite_thread. */
void *bh_sqlite_thread_main(void *argument);

/* The last touch of a call: its caller may leave at once, and the call's memory with it. Under the
 * mutex if its caller has no loop. */
void bh_sqlite_call_tell_ended(struct bh_sqlite_call *call);

/* ---- sqlite_line.c; under the mutex ---- */

/* Gives the call to an idle thread, which is returned and wants to be woken; or lets it wait; or
 * refuses it: `*ret_result` says why. */
struct bh_sqlite_thread *bh_sqlite_line_enter(struct bh_sqlite_lane *lane,
                                              struct bh_sqlite_call *call, int *ret_result);
/* Its caller waits no longer; `reason`: BH_EBUSY, BH_ECANCELED or BH_ETIMEDOUT, which is returned.
 * 0: too late, it is on a thread or refused. */
int bh_sqlite_line_take_back(struct bh_sqlite_lane *lane, struct bh_sqlite_call *call, int reason);
/* Counts a call that was out of time before it could wait. */
void bh_sqlite_line_count_timeout(struct bh_sqlite_lane *lane);
/* The thread runs this call next; if it is held, of its holder. */
void bh_sqlite_line_give(struct bh_sqlite_thread *thread, struct bh_sqlite_call *call);
/* The thread takes the call whose turn it is, or is idle. */
void bh_sqlite_line_set_free(struct bh_sqlite_thread *thread);
/* Tells, once, who has the thread for too long. Gives the mutex away while it writes. */
void bh_sqlite_line_tell_leak(struct bh_sqlite_thread *thread);
