/*
 * Binds a shard to a loop: its wake-up is one libuv timer, another thread's call one posted task.
 *
 * The end: drained, the timer closes; then the shard leaves its pool, after which nobody wakes it;
 * a task that was posted before is waited for.
 */
#include "db/pool/pool_loop.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/loop/standing.h"

#define LOOP_MAGIC 0x504c4f50u

struct bh_pool_loop {
    BH_MAGIC_FIELD;
    struct bh_loop *loop;
    struct bh_pool_shard *shard; /* NULL: has left its pool */
    uv_timer_t timer;
    struct bh_task task;
    atomic_bool is_posted;
    void (*left)(void *argument);
    void *left_argument;
};

/* ---- How the shard reaches its loop ---- */

static void tick(struct bh_pool_loop *const joined)
{
    bh_pool_tick(joined->shard, bh_time_now_us());
}

static void timer_passed(uv_timer_t *const timer)
{
    struct bh_pool_loop *const joined = timer->data;
    bh_magic_check(joined, LOOP_MAGIC);
    tick(joined);
}

static void schedule(void *const context, const uint64_t at_us)
{
    struct bh_pool_loop *const joined = context;
    if (uv_is_closing((uv_handle_t *)&joined->timer))
        return;
    if (at_us == BH_NEVER_US) {
        uv_timer_stop(&joined->timer);
        return;
    }
    /* Rounded up: libuv counts in milliseconds, from a time that may be stale. */
    const uint64_t now_us = bh_loop_now_us(joined->loop);
    const uint64_t left_us = at_us > now_us ? at_us - now_us : 0;
    uv_timer_start(&joined->timer, timer_passed, left_us / 1000 + 1, 0);
}

static void wake(void *const context)
{
    struct bh_pool_loop *const joined = context;
    if (!atomic_exchange(&joined->is_posted, true))
        bh_loop_post(joined->loop, &joined->task);
}

static void end(struct bh_pool_loop *const joined)
{
    void (*const left)(void *argument) = joined->left;
    void *const argument = joined->left_argument;
    joined->magic = 0;
    free(joined);
    if (left)
        left(argument);
}

static void woken(struct bh_task *const task)
{
    struct bh_pool_loop *const joined = BH_CONTAINER_OF(task, struct bh_pool_loop, task);
    bh_magic_check(joined, LOOP_MAGIC);
    atomic_store(&joined->is_posted, false);
    if (joined->shard)
        tick(joined);
    else
        end(joined);
}

static void timer_closed(uv_handle_t *const handle)
{
    struct bh_pool_loop *const joined = handle->data;
    bh_pool_shard_destroy(joined->shard);
    joined->shard = NULL;
    if (!atomic_load(&joined->is_posted))
        end(joined);
}

static void drained(void *const context)
{
    struct bh_pool_loop *const joined = context;
    uv_close((uv_handle_t *)&joined->timer, timer_closed);
}

static const struct bh_pool_hooks hooks = {
    .schedule = schedule,
    .wake = wake,
    .drained = drained,
};

/* ---- Life ---- */

int bh_pool_join(struct bh_pool *const pool, struct bh_loop *const loop,
                 const struct bh_pool_driver *const driver, void *const context,
                 struct bh_pool_loop **const ret_joined)
{
    struct bh_pool_loop *const joined = calloc(1, sizeof(*joined));
    if (!joined)
        return BH_ENOMEM;
    joined->magic = LOOP_MAGIC;
    joined->loop = loop;
    joined->task.run = woken;
    bh_list_init(&joined->task.node);
    const int result = bh_pool_shard_create(pool, driver, context, &hooks, joined, &joined->shard);
    if (result) {
        free(joined);
        return result;
    }
    uv_timer_init(bh_loop_uv(loop), &joined->timer);
    joined->timer.data = joined;
    wake(joined);
    *ret_joined = joined;
    return 0;
}

void bh_pool_leave(struct bh_pool_loop *const joined, void (*const left)(void *argument),
                   void *const argument)
{
    bh_magic_check(joined, LOOP_MAGIC);
    joined->left = left;
    joined->left_argument = argument;
    bh_pool_drain(joined->shard, bh_loop_now_us(joined->loop));
}

struct bh_pool_shard *bh_pool_shard_of(struct bh_pool_loop *const joined)
{
    bh_magic_check(joined, LOOP_MAGIC);
    return joined->shard;
}

/* ---- Waiting ---- */

static void wake_fiber(struct bh_pool_lease *const lease)
{
    bh_fiber_wake(lease->user);
}

void bh_pool_stand(struct bh_pool_lease *const lease)
{
    static const enum bh_pool_priority priorities[] = {
        [BH_FIBER_NORMAL] = BH_POOL_NORMAL,
        [BH_FIBER_HIGH] = BH_POOL_HIGH,
        [BH_FIBER_LOW] = BH_POOL_LOW,
    };
    const struct bh_fiber_standing standing = bh_fiber_standing();
    lease->priority = priorities[standing.priority];
    lease->tenant = standing.tenant;
}

static void prepare(struct bh_pool_lease *const lease, struct bh_error *const reterr)
{
    const struct bh_log_context *const context = bh_log_context_get();
    const uint64_t deadline_us = bh_fiber_deadline();
    lease->notify = wake_fiber;
    lease->user = bh_fiber_current();
    lease->error = reterr;
    if (lease->route.size == 0 && context)
        lease->route = context->route;
    if (lease->deadline_us == 0 || deadline_us < lease->deadline_us)
        lease->deadline_us = deadline_us;
}

/* Until the lease is granted or refused, or the fiber is to go on without. */
static int wait_for(struct bh_pool_loop *const joined, struct bh_pool_lease *const lease,
                    struct bh_error *const reterr)
{
    while (lease->state == BH_POOL_LEASE_WAITING) {
        const int broken_off = bh_fiber_park();
        if (!broken_off)
            continue;
        if (broken_off == BH_ETIMEDOUT) /* the pool knows better what to say */
            tick(joined);
        if (lease->state == BH_POOL_LEASE_NONE)
            return lease->result;
        bh_pool_withdraw(lease, bh_loop_now_us(joined->loop));
        return bh_error_set(reterr, broken_off, "gave up waiting for a connection: %s",
                            bh_error_text(broken_off));
    }
    return lease->state == BH_POOL_LEASE_GRANTED ? 0 : lease->result;
}

int bh_pool_acquire(struct bh_pool_loop *const joined, struct bh_pool_lease *const lease,
                    struct bh_error *const reterr)
{
    bh_magic_check(joined, LOOP_MAGIC);
    if (bh_fiber_is_canceled(bh_fiber_current()))
        return bh_error_set(reterr, BH_ECANCELED, "no connection was asked for: %s",
                            bh_error_text(BH_ECANCELED));
    prepare(lease, reterr);
    for (;;) {
        int result = bh_pool_request(joined->shard, lease, bh_loop_now_us(joined->loop));
        if (result > 0)
            result = wait_for(joined, lease, reterr);
        if (result || !lease->connection->doomed)
            return result;
        /* Lost between the grant and this fiber's turn. */
        bh_pool_return(lease, BH_POOL_BROKEN);
    }
}

void bh_pool_return(struct bh_pool_lease *const lease, const enum bh_pool_outcome outcome)
{
    struct bh_loop *const loop = bh_loop_current();
    bh_pool_release(lease, outcome, bh_loop_now_us(loop));
}
