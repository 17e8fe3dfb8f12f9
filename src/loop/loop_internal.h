/* What loop.c and fiber.c share. Everything here belongs to the loop's thread, but `posted`. */
#pragma once

#include <pthread.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/metrics.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/loop/loop.h"
#include "loop/stack.h"

struct bh_loop {
    BH_MAGIC_FIELD;
    uv_loop_t uv;
    uv_async_t wakeup;   /* another thread posted a task */
    uv_prepare_t before; /* runs ready fibers before the loop sleeps */
    uv_check_t after;    /* runs fibers made ready by input and output */
    uv_idle_t spin;      /* active only while fibers are ready: the loop must not sleep */
    bool stopping;
    bool hooks_told;
    bool own_handles_closed;
    uint64_t now_us;  /* 0: not read yet in this turn */
    uint64_t turn_us; /* how long the last turn was */

    struct bh_list hooks;    /* struct bh_loop_hook.node */
    struct bh_list turn_end; /* struct bh_task.node */
    struct bh_list ready;    /* fibers to resume, in order */
    struct bh_fiber *current;
    unsigned fiber_count;
    unsigned fibers_maximum;
    struct bh_list idle_fibers; /* ended ones, kept with their timer for reuse */
    struct bh_stack_pool stacks;
    bh_metric turn_metric, fibers_metric, refused_metric;

    /* The guarded part: what other threads touch. */
    struct {
        pthread_mutex_t mutex;
        struct bh_list posted; /* struct bh_task.node */
    } shared;
};

#define BH_LOOP_MAGIC 0x4c4f4f50u

/* fiber.c: resumes the fibers that were ready when called. */
void bh_fiber_run_ready(struct bh_loop *loop);

/* fiber.c: closes the timers of ended fibers; their memory goes as they close. */
void bh_fiber_close_idle(struct bh_loop *loop);

/* loop.c: called as the last fiber ends. */
void bh_loop_fibers_ended(struct bh_loop *loop);
