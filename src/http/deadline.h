/*
 * Deadlines of connections: one timer a loop for any number of them.
 *
 * All deadlines of one kind last equally long, so each kind is a list in the order of starting,
 * which is the order of expiry: starting, stopping and finding the next are a few pointer moves.
 * A deadline is absolute: bytes that arrive do not push it. Loop thread.
 */
#pragma once

#include <uv.h>

#include "bulkhead/base/list.h"
#include "bulkhead/loop/loop.h"

enum bh_deadline_kind {
    BH_DEADLINE_HEAD,     /* connected, or first byte → head complete */
    BH_DEADLINE_IDLE,     /* answered → next request's first byte */
    BH_DEADLINE_BODY,     /* recurring check of a body's rate */
    BH_DEADLINE_WRITE,    /* recurring check of an answer's progress */
    BH_DEADLINE_WATCH,    /* recurring look at a client from whom nothing is read */
    BH_DEADLINE_SILENCE,  /* a stream sent something → its heartbeat */
    BH_DEADLINE_LEAVING,  /* client's FIN → the handler is cancelled */
    BH_DEADLINE_DEFERRED, /* refused → its next request is read */
    BH_DEADLINE_LINGER,   /* answered, what still comes is thrown away → closed */
    BH_DEADLINE_KINDS
};

/* Embedded in what it watches; zeroed is ready. */
struct bh_deadline {
    struct bh_list node; /* private */
    uint64_t at_us;      /* read-only */
    enum bh_deadline_kind kind;
    bool is_running; /* read-only */
};

struct bh_deadlines {
    uv_timer_t timer; /* private, as all here */
    struct bh_loop *loop;
    uint64_t armed_us;
    struct {
        struct bh_list list;
        uint64_t duration_us;
        void (*expired)(struct bh_deadline *deadline);
    } kinds[BH_DEADLINE_KINDS];
};

void bh_deadlines_init(struct bh_deadlines *deadlines, struct bh_loop *loop);

/* Before the first start. `expired` is called with the deadline stopped; it may start it again. */
void bh_deadlines_set(struct bh_deadlines *deadlines, enum bh_deadline_kind kind,
                      uint64_t duration_us, void (*expired)(struct bh_deadline *deadline));

/* No deadline may be running. `closed` is called with a handle whose `data` is `owner`. */
void bh_deadlines_close(struct bh_deadlines *deadlines, uv_close_cb closed, void *owner);

/* Starts it anew; a running one (of any kind) is stopped first. */
void bh_deadline_start(struct bh_deadlines *deadlines, struct bh_deadline *deadline,
                       enum bh_deadline_kind kind);
void bh_deadline_stop(struct bh_deadline *deadline);

/* The running one of a kind that was started first; NULL: none. */
struct bh_deadline *bh_deadlines_first(const struct bh_deadlines *deadlines,
                                       enum bh_deadline_kind kind);
uint64_t bh_deadline_started_us(const struct bh_deadlines *deadlines,
                                const struct bh_deadline *deadline);
