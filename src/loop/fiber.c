/*
 * Fibers over Boost.Context. A switch always goes from the resumer (the loop, or a fiber that
 * spawned another) into a fiber and, when that one parks or ends, back to its resumer.
 *
 * A fiber's struct lives apart from its stack: ended structs are kept with their timer for reuse,
 * because a libuv handle cannot be freed at once.
 */
#include "bulkhead/loop/fiber.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/standing.h"
#include "loop/context_switch.h"
#include "loop/loop_internal.h"

#define FIBER_MAGIC 0x46494252u

enum fiber_state {
    FIBER_IDLE,    /* ended, or never begun: in loop->idle_fibers */
    FIBER_RUNNING, /* on the processor, or waiting for a fiber it has spawned */
    FIBER_PARKED,  /* waits to be woken */
    FIBER_READY    /* woken: in loop->ready */
};

struct bh_fiber {
    BH_MAGIC_FIELD;
    enum fiber_state state;
    bool wake_pending; /* woken while not parked: the next park returns at once */
    bool canceled;
    bool interruptible; /* the current park ends by time-out or cancellation */
    int park_result;
    uint64_t deadline_us;
    uint64_t expired_us; /* no deadline counts beyond this; BH_NEVER_US: as set */
    struct bh_loop *loop;
    struct bh_stack *stack;
    struct bh_list node; /* loop->ready or loop->idle_fibers */
    uv_timer_t timer;
    uint64_t timer_until_us;
    bh_fiber_function *function;
    void *argument;
    const struct bh_log_context *log_context;
    struct bh_fiber_standing standing;
    void *local;
    void (*destroy_local)(void *data);
    struct bh_context context;
};

static void fiber_main(void *argument) BH_NORETURN;

static void fiber_closed(uv_handle_t *const handle)
{
    free(BH_CONTAINER_OF(handle, struct bh_fiber, timer));
}

static struct bh_fiber *fiber_take(struct bh_loop *const loop)
{
    struct bh_fiber *fiber;
    struct bh_list *const node = bh_list_pop(&loop->idle_fibers);
    if (node) {
        fiber = BH_LIST_ENTRY(node, struct bh_fiber, node);
    } else {
        fiber = calloc(1, sizeof(*fiber));
        if (!fiber)
            return NULL;
        fiber->magic = FIBER_MAGIC;
        fiber->loop = loop;
        bh_list_init(&fiber->node);
        uv_timer_init(&loop->uv, &fiber->timer);
    }
    fiber->stack = bh_stack_take(&loop->stacks);
    if (!fiber->stack) {
        bh_list_prepend(&loop->idle_fibers, &fiber->node);
        return NULL;
    }
    return fiber;
}

static void fiber_ended(struct bh_fiber *const fiber)
{
    struct bh_loop *const loop = fiber->loop;
    bh_context_fini(&fiber->context);
    if (fiber->local)
        fiber->destroy_local(fiber->local);
    fiber->local = NULL;
    bh_stack_give_back(&loop->stacks, fiber->stack);
    fiber->stack = NULL;
    bh_list_prepend(&loop->idle_fibers, &fiber->node);
    loop->fiber_count--;
    bh_metrics_add(loop->fibers_metric, -1);
    if (loop->fiber_count == 0)
        bh_loop_fibers_ended(loop);
}

/* Runs `fiber` until it parks or ends. */
static void resume(struct bh_fiber *const fiber)
{
    struct bh_loop *const loop = fiber->loop;
    struct bh_fiber *const resumer = loop->current;
    const struct bh_log_context *const resumer_log_context = bh_log_context_get();

    fiber->state = FIBER_RUNNING;
    loop->current = fiber;
    bh_log_context_set(fiber->log_context);
    bh_context_enter(&fiber->context);
    bh_log_context_set(resumer_log_context);
    loop->current = resumer;

    if (fiber->state == FIBER_IDLE)
        fiber_ended(fiber);
}

static void fiber_main(void *const argument)
{
    struct bh_fiber *const fiber = argument;
    fiber->function(fiber->argument);
    fiber->state = FIBER_IDLE;
    bh_context_leave_last(&fiber->context);
}

int bh_fiber_spawn(struct bh_loop *const loop, bh_fiber_function *const function,
                   void *const argument)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    if (loop->fiber_count >= loop->fibers_maximum) {
        bh_metrics_add(loop->refused_metric, 1);
        return BH_ELIMIT;
    }
    struct bh_fiber *const fiber = fiber_take(loop);
    if (!fiber)
        return BH_ENOMEM;
    loop->fiber_count++;
    bh_metrics_add(loop->fibers_metric, 1);
    fiber->wake_pending = false;
    fiber->canceled = false;
    fiber->deadline_us = BH_NEVER_US;
    fiber->expired_us = BH_NEVER_US;
    fiber->function = function;
    fiber->argument = argument;
    fiber->log_context = NULL;
    fiber->standing = (struct bh_fiber_standing){ .priority = BH_FIBER_NORMAL };
    bh_context_init(&fiber->context, fiber->stack->bottom, fiber->stack->size, fiber_main, fiber);
    resume(fiber);
    return 0;
}

void bh_fiber_run_ready(struct bh_loop *const loop)
{
    struct bh_list batch;
    bh_list_init(&batch);
    if (bh_list_is_empty(&loop->ready))
        return;
    bh_list_insert_after(loop->ready.prev, &batch);
    bh_list_unlink(&loop->ready);
    for (struct bh_list *node; (node = bh_list_pop(&batch));) {
        struct bh_fiber *const fiber = BH_LIST_ENTRY(node, struct bh_fiber, node);
        bh_magic_check(fiber, FIBER_MAGIC);
        resume(fiber);
    }
}

void bh_fiber_close_idle(struct bh_loop *const loop)
{
    for (struct bh_list *node; (node = bh_list_pop(&loop->idle_fibers));) {
        struct bh_fiber *const fiber = BH_LIST_ENTRY(node, struct bh_fiber, node);
        uv_close((uv_handle_t *)&fiber->timer, fiber_closed);
    }
}

struct bh_fiber *bh_fiber_current(void)
{
    const struct bh_loop *const loop = bh_loop_current();
    return loop ? loop->current : NULL;
}

static struct bh_fiber *current_fiber(void)
{
    struct bh_fiber *const fiber = bh_fiber_current();
    bh_magic_check(fiber, FIBER_MAGIC);
    return fiber;
}

unsigned bh_fiber_count(const struct bh_loop *const loop)
{
    return loop->fiber_count;
}

void bh_fiber_set_deadline(const uint64_t deadline_us)
{
    current_fiber()->deadline_us = deadline_us;
}

static uint64_t deadline_of(const struct bh_fiber *const fiber)
{
    return fiber->deadline_us < fiber->expired_us ? fiber->deadline_us : fiber->expired_us;
}

uint64_t bh_fiber_deadline(void)
{
    return deadline_of(current_fiber());
}

void bh_fiber_set_log_context(const struct bh_log_context *const context)
{
    current_fiber()->log_context = context;
    bh_log_context_set(context);
}

void bh_fiber_set_standing(const struct bh_fiber_standing standing)
{
    current_fiber()->standing = standing;
}

struct bh_fiber_standing bh_fiber_standing(void)
{
    return current_fiber()->standing;
}

void bh_fiber_set_local(void *const data, void (*const destroy)(void *data))
{
    struct bh_fiber *const fiber = current_fiber();
    fiber->local = data;
    fiber->destroy_local = destroy;
}

void *bh_fiber_local(void)
{
    return current_fiber()->local;
}

/* ---- Waiting ---- */

static void make_ready(struct bh_fiber *const fiber, const int result)
{
    fiber->park_result = result;
    fiber->state = FIBER_READY;
    if (uv_is_active((uv_handle_t *)&fiber->timer))
        uv_timer_stop(&fiber->timer);
    bh_list_append(&fiber->loop->ready, &fiber->node);
}

static void timer_passed(uv_timer_t *timer);

/* libuv counts in milliseconds from a time it read earlier, so it may fire early: round up, and
 * look at the clock again when it fires. */
static void arm_timer(struct bh_fiber *const fiber, const uint64_t now_us)
{
    const uint64_t left_us = fiber->timer_until_us > now_us ? fiber->timer_until_us - now_us : 0;
    uv_timer_start(&fiber->timer, timer_passed, left_us / 1000 + 1, 0);
}

static void timer_passed(uv_timer_t *const timer)
{
    struct bh_fiber *const fiber = BH_CONTAINER_OF(timer, struct bh_fiber, timer);
    bh_magic_check(fiber, FIBER_MAGIC);
    const uint64_t now_us = bh_time_now_us();
    if (now_us < fiber->timer_until_us)
        arm_timer(fiber, now_us);
    else
        make_ready(fiber, BH_ETIMEDOUT);
}

static int park(struct bh_fiber *const fiber, const uint64_t until_us, const bool interruptible)
{
    if (interruptible && fiber->canceled)
        return BH_ECANCELED;
    if (fiber->wake_pending) {
        fiber->wake_pending = false;
        return 0;
    }
    if (until_us != BH_NEVER_US) {
        const uint64_t now_us = bh_time_now_us();
        if (now_us >= until_us)
            return BH_ETIMEDOUT;
        fiber->timer_until_us = until_us;
        arm_timer(fiber, now_us);
    }
    fiber->interruptible = interruptible;
    fiber->state = FIBER_PARKED;
    bh_context_leave(&fiber->context);
    return fiber->park_result;
}

int bh_fiber_park(void)
{
    struct bh_fiber *const fiber = current_fiber();
    return park(fiber, deadline_of(fiber), true);
}

int bh_fiber_park_until(const uint64_t until_us)
{
    struct bh_fiber *const fiber = current_fiber();
    const uint64_t deadline_us = deadline_of(fiber);
    return park(fiber, until_us < deadline_us ? until_us : deadline_us, true);
}

void bh_fiber_park_uncancelable(void)
{
    const int result = park(current_fiber(), BH_NEVER_US, false);
    bh_assert(result == 0);
}

int bh_fiber_park_uncancelable_until(const uint64_t until_us)
{
    return park(current_fiber(), until_us, false);
}

void bh_fiber_wake(struct bh_fiber *const fiber)
{
    bh_magic_check(fiber, FIBER_MAGIC);
    if (fiber->state == FIBER_PARKED)
        make_ready(fiber, 0);
    else
        fiber->wake_pending = true;
}

void bh_fiber_cancel(struct bh_fiber *const fiber)
{
    bh_magic_check(fiber, FIBER_MAGIC);
    fiber->canceled = true;
    if (fiber->state == FIBER_PARKED && fiber->interruptible)
        make_ready(fiber, BH_ECANCELED);
}

bool bh_fiber_is_canceled(const struct bh_fiber *const fiber)
{
    return fiber->canceled;
}

void bh_fiber_expire(struct bh_fiber *const fiber)
{
    bh_magic_check(fiber, FIBER_MAGIC);
    if (fiber->expired_us != BH_NEVER_US)
        return;
    fiber->expired_us = bh_time_now_us();
    if (fiber->state == FIBER_PARKED && fiber->interruptible)
        make_ready(fiber, BH_ETIMEDOUT);
}

int bh_fiber_sleep(const uint64_t duration_us)
{
    struct bh_fiber *const fiber = current_fiber();
    const uint64_t now_us = bh_time_now_us();
    const uint64_t until_us = duration_us < BH_NEVER_US - now_us ? now_us + duration_us
                                                                 : BH_NEVER_US;
    for (;;) {
        const int result = bh_fiber_park_until(until_us);
        if (result == 0)
            continue; /* a wake left over from an earlier wait */
        if (result == BH_ETIMEDOUT && until_us <= deadline_of(fiber))
            return 0;
        return result;
    }
}

void bh_fiber_yield(void)
{
    struct bh_fiber *const fiber = current_fiber();
    make_ready(fiber, 0);
    bh_context_leave(&fiber->context);
}
