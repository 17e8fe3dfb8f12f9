/*
 * Event loop: one libuv loop on one thread. A request lives and dies on the loop that accepted it;
 * other threads reach a loop only by posting a task.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/list.h"

struct bh_loop; /* opaque */

/* A call to be made on a loop's thread. Embedded in the caller's object, which must live until
 * `run` was called; `run` may free it. */
struct bh_task {
    void (*run)(struct bh_task *task);
    struct bh_list node; /* private */
};

/* `stack_bytes`: size of each fiber's stack (0: 256 KiB; only touched pages cost memory).
 * `fibers_maximum`: how many fibers may live at once (0: 16,384). */
struct bh_loop_options {
    size_t stack_bytes;
    unsigned fibers_maximum;
};

/* `options` may be NULL. The loop belongs to the thread that will call bh_loop_run. */
int bh_loop_create(const struct bh_loop_options *options, struct bh_loop **ret_loop) BH_MUST_CHECK;

/* All handles must be closed, all fibers ended and all hooks removed. NULL is fine. */
void bh_loop_destroy(struct bh_loop *loop);

/* Runs until bh_loop_stop was called, no fiber is left, and every other handle was closed. */
void bh_loop_run(struct bh_loop *loop);

/* Lets bh_loop_run end: the loop's own handles close when the last fiber has ended; the owners of
 * other handles close theirs. Loop thread. */
void bh_loop_stop(struct bh_loop *loop);

/* For what lives on a loop and has to be taken apart by it (a pool's connections): `stopping` is
 * called once, on the loop, after bh_loop_stop as the last fiber has ended. The loop goes on, also
 * with new fibers, until every hook was removed. Embedded in its owner's object. */
struct bh_loop_hook {
    void (*stopping)(struct bh_loop_hook *hook);
    struct bh_list node; /* private */
};

/* Loop thread. */
void bh_loop_add_hook(struct bh_loop *loop, struct bh_loop_hook *hook);
void bh_loop_remove_hook(struct bh_loop *loop, struct bh_loop_hook *hook);

/* Queues `task` and wakes the loop. Tasks of one poster run in order. Any thread; after the loop's
 * end the task is dropped only by bh_loop_destroy, which asserts that none is left. */
void bh_loop_post(struct bh_loop *loop, struct bh_task *task);

/* Queues `task` to run in this loop turn, once the fibers that are ready have run: for output that
 * they gather. The caller may take it back by unlinking its node. Loop thread. */
void bh_loop_at_turn_end(struct bh_loop *loop, struct bh_task *task);

/* libuv's loop, for handles of the owner's own. Loop thread. */
uv_loop_t *bh_loop_uv(struct bh_loop *loop);

/* The loop of the calling thread, or NULL. */
struct bh_loop *bh_loop_current(void);

/* Monotonic microseconds, refreshed once a loop turn: cheap, good for deadlines. Loop thread. */
uint64_t bh_loop_now_us(struct bh_loop *loop);

/* How long an event that comes now may have to wait for its turn: the longer of the last turn and
 * this one so far. Loop thread. */
uint64_t bh_loop_delay_us(struct bh_loop *loop);
