/*
 * Circuit breaker: one for each dependency and class of operation ("database", "read"). While too
 * many of the last calls failed or were slow, further calls are refused at once; after a pause a
 * few are let through to see whether it has recovered.
 *
 *     struct bh_breaker_permit permit;
 *     result = bh_breaker_enter(breaker, now_us, &permit, reterr);
 *     if (result)
 *         return result;                       // BH_EUNAVAILABLE: answer without the dependency
 *     … the call …
 *     bh_breaker_leave(breaker, permit, BH_BREAKER_SUCCESS, duration_us, now_us);
 *
 * Any thread, without a lock while closed or open. The clock is the caller's, monotonic; threads
 * whose clocks differ by a loop's turn do no harm. Rules and states: src/overload/README.md.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/time.h"

struct bh_breaker; /* opaque */

#define BH_BREAKER_WINDOW_MAXIMUM 1000
#define BH_BREAKER_PROBES_MAXIMUM 64

struct bh_breaker_options {
    const char *dependency; /* static, as a metrics label: "database" */
    const char *operation;  /* static, the label "class": "read" */

    /* Judged are the last `window_calls` calls that ended within the last `window_us`. */
    unsigned window_calls;    /* 1 to 1,000; 100 */
    uint64_t window_us;       /* 60 s */
    unsigned calls_minimum;   /* fewer say nothing; 20 */
    unsigned failure_percent; /* opens when as many failed; 50 */
    unsigned slow_percent;    /* opens when as many were slow; 80 */
    uint64_t slow_us;         /* a call of this duration is slow; 10 s */

    uint64_t open_us;          /* until probes are let through; 60 s */
    unsigned probes;           /* let through then, 1 to 64; 10 */
    uint64_t probe_timeout_us; /* a probe not heard of for so long has failed; 60 s */
};

/* The defaults above, without names. */
void bh_breaker_options_default(struct bh_breaker_options *ret_options);

/* BH_EINVAL: the message names the option. The breaker is in bh_breaker_list until destroyed. */
int bh_breaker_create(const struct bh_breaker_options *options, struct bh_breaker **ret_breaker,
                      struct bh_error *reterr) BH_MUST_CHECK;
/* No call may be under way. NULL is fine. */
void bh_breaker_destroy(struct bh_breaker *breaker);

/* What bh_breaker_leave needs to know of its bh_breaker_enter. */
struct bh_breaker_permit {
    uint32_t generation; /* private */
    uint32_t probe;      /* private: 0 or a probe's number */
};

/* 0: make the call, then leave. BH_EUNAVAILABLE: refused, the error says for how long. */
int bh_breaker_enter(struct bh_breaker *breaker, uint64_t now_us,
                     struct bh_breaker_permit *ret_permit, struct bh_error *reterr) BH_MUST_CHECK;

enum bh_breaker_outcome {
    BH_BREAKER_SUCCESS,
    BH_BREAKER_FAILURE, /* the dependency's fault: unreachable, broken, out of time */
    BH_BREAKER_IGNORED, /* says nothing about it: the client left, the input was bad */
    BH_BREAKER_REFUSED  /* as IGNORED, counted as rejected: who holds it open refused the call */
};

/* Once for each successful enter. `duration_us`: how long the dependency took. */
void bh_breaker_leave(struct bh_breaker *breaker, struct bh_breaker_permit permit,
                      enum bh_breaker_outcome outcome, uint64_t duration_us, uint64_t now_us);

/* For a dependency with a watch of its own (a pool and its host): as long as it is held, the
 * breaker shows as open and lets calls pass, for the holder refuses them itself; given free, it is
 * closed and knows nothing of before. Both may be called again. */
void bh_breaker_hold(struct bh_breaker *breaker, uint64_t now_us);
void bh_breaker_free(struct bh_breaker *breaker, uint64_t now_us);
bool bh_breaker_is_held(const struct bh_breaker *breaker);

/* ---- Figures ---- */

enum bh_breaker_state { BH_BREAKER_CLOSED = 0, BH_BREAKER_HALF_OPEN = 1, BH_BREAKER_OPEN = 2 };
extern const char *const bh_breaker_state_names[3]; /* "closed", "half_open", "open" */

struct bh_breaker_status {
    const char *dependency, *operation;
    enum bh_breaker_state state;
    bool is_held;
    unsigned calls, failed, slow; /* of the window, or of the probes */
    uint64_t retry_us;            /* open: until the probes; else 0 */
    uint64_t opened;              /* times */
    uint64_t rejected;            /* calls */
};

void bh_breaker_status(struct bh_breaker *breaker, uint64_t now_us,
                       struct bh_breaker_status *ret_status);

/* All breakers of the process, in the order of their creation; returns how many were written. */
#define BH_BREAKERS_MAXIMUM 32
size_t bh_breaker_list(struct bh_breaker_status *ret_statuses, size_t maximum, uint64_t now_us);
