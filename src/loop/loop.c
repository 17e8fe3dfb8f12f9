/*
 * One libuv loop with a queue of posted tasks and a queue of ready fibers. Fibers made ready by
 * timers and tasks run before the loop sleeps, those made ready by sockets right after it woke.
 */
#include "bulkhead/loop/loop.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "loop/loop_internal.h"

#define BH_METRICS_FILE "loop/loop_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define STACK_BYTES_DEFAULT (256 * 1024)
#define FIBERS_MAXIMUM_DEFAULT 16384
#define IDLE_STACKS_MAXIMUM 512 /* some 12 KB of each are touched */

static _Thread_local struct bh_loop *current_loop;

static void run_posted(uv_async_t *const handle)
{
    struct bh_loop *const loop = handle->data;
    bh_magic_check(loop, BH_LOOP_MAGIC);
    struct bh_list batch;
    bh_list_init(&batch);
    pthread_mutex_lock(&loop->shared.mutex);
    if (!bh_list_is_empty(&loop->shared.posted)) {
        bh_list_insert_after(loop->shared.posted.prev, &batch);
        bh_list_unlink(&loop->shared.posted);
    }
    pthread_mutex_unlock(&loop->shared.mutex);

    for (struct bh_list *node; (node = bh_list_pop(&batch));) {
        struct bh_task *const task = BH_LIST_ENTRY(node, struct bh_task, node);
        task->run(task);
    }
}

static void keep_awake(uv_idle_t *const handle)
{
    (void)handle;
}

static void run_ready(struct bh_loop *const loop)
{
    bh_fiber_run_ready(loop);
    for (struct bh_list *node; (node = bh_list_pop(&loop->turn_end));) {
        struct bh_task *const task = BH_LIST_ENTRY(node, struct bh_task, node);
        task->run(task);
    }
    const bool more = !bh_list_is_empty(&loop->ready);
    if (more != (uv_is_active((uv_handle_t *)&loop->spin) != 0)) {
        if (more)
            uv_idle_start(&loop->spin, keep_awake);
        else
            uv_idle_stop(&loop->spin);
    }
}

static void before_sleep(uv_prepare_t *const handle)
{
    struct bh_loop *const loop = handle->data;
    run_ready(loop);
    /* The clock was first asked as this turn's first event was handled. */
    if (loop->now_us != 0) {
        loop->turn_us = bh_time_now_us() - loop->now_us;
        bh_metrics_observe_us(loop->turn_metric, loop->turn_us);
    }
    loop->now_us = 0;
}

static void after_sleep(uv_check_t *const handle)
{
    run_ready(handle->data);
}

static void register_metrics(struct bh_loop *const loop)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    loop->turn_metric = bh_metrics_child(&metric_families[METRIC_turn], NULL, 0);
    loop->fibers_metric = bh_metrics_child(&metric_families[METRIC_fibers], NULL, 0);
    loop->refused_metric = bh_metrics_child(&metric_families[METRIC_refused], NULL, 0);
}

int bh_loop_create(const struct bh_loop_options *const options, struct bh_loop **const ret_loop)
{
    struct bh_loop *const loop = calloc(1, sizeof(*loop));
    if (!loop)
        return BH_ENOMEM;
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return BH_ENOMEM;
    }
    loop->magic = BH_LOOP_MAGIC;
    bh_list_init(&loop->hooks);
    bh_list_init(&loop->turn_end);
    bh_list_init(&loop->ready);
    bh_list_init(&loop->idle_fibers);
    bh_list_init(&loop->shared.posted);
    pthread_mutex_init(&loop->shared.mutex, NULL);
    const size_t stack_bytes = options ? options->stack_bytes : 0;
    const unsigned fibers_maximum = options ? options->fibers_maximum : 0;
    loop->fibers_maximum = fibers_maximum ? fibers_maximum : FIBERS_MAXIMUM_DEFAULT;
    register_metrics(loop);
    bh_stack_pool_init(&loop->stacks, stack_bytes ? stack_bytes : STACK_BYTES_DEFAULT,
                       IDLE_STACKS_MAXIMUM);

    if (uv_async_init(&loop->uv, &loop->wakeup, run_posted) != 0) {
        uv_loop_close(&loop->uv);
        pthread_mutex_destroy(&loop->shared.mutex);
        free(loop);
        return BH_ELIMIT;
    }
    uv_prepare_init(&loop->uv, &loop->before);
    uv_check_init(&loop->uv, &loop->after);
    uv_idle_init(&loop->uv, &loop->spin);
    loop->wakeup.data = loop;
    loop->before.data = loop;
    loop->after.data = loop;
    loop->spin.data = loop;
    uv_prepare_start(&loop->before, before_sleep);
    uv_check_start(&loop->after, after_sleep);
    *ret_loop = loop;
    return 0;
}

static void close_own_handles(struct bh_loop *const loop)
{
    if (loop->own_handles_closed)
        return;
    loop->own_handles_closed = true;
    bh_fiber_close_idle(loop);
    uv_close((uv_handle_t *)&loop->wakeup, NULL);
    uv_close((uv_handle_t *)&loop->before, NULL);
    uv_close((uv_handle_t *)&loop->after, NULL);
    uv_close((uv_handle_t *)&loop->spin, NULL);
}

void bh_loop_run(struct bh_loop *const loop)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    struct bh_loop *const outer = current_loop;
    current_loop = loop;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    current_loop = outer;
}

/* Ends the loop if nothing keeps it; hooks are told first. */
static void end_if_done(struct bh_loop *const loop)
{
    if (!loop->stopping || loop->fiber_count > 0)
        return;
    if (!loop->hooks_told) {
        loop->hooks_told = true;
        BH_LIST_FOREACH(node, &loop->hooks) {
            struct bh_loop_hook *const hook = BH_LIST_ENTRY(node, struct bh_loop_hook, node);
            hook->stopping(hook);
        }
    }
    if (bh_list_is_empty(&loop->hooks) && loop->fiber_count == 0)
        close_own_handles(loop);
}

void bh_loop_stop(struct bh_loop *const loop)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    loop->stopping = true;
    end_if_done(loop);
}

void bh_loop_fibers_ended(struct bh_loop *const loop)
{
    end_if_done(loop);
}

void bh_loop_add_hook(struct bh_loop *const loop, struct bh_loop_hook *const hook)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    bh_list_append(&loop->hooks, &hook->node);
}

void bh_loop_remove_hook(struct bh_loop *const loop, struct bh_loop_hook *const hook)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    bh_list_unlink(&hook->node);
    end_if_done(loop);
}

void bh_loop_destroy(struct bh_loop *const loop)
{
    if (!loop)
        return;
    bh_magic_check(loop, BH_LOOP_MAGIC);
    bh_assert(loop->fiber_count == 0);
    bh_assert(bh_list_is_empty(&loop->hooks));
    bh_assert(bh_list_is_empty(&loop->turn_end));
    bh_assert(bh_list_is_empty(&loop->shared.posted));
    if (!loop->own_handles_closed) {
        close_own_handles(loop);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    const int result = uv_loop_close(&loop->uv);
    bh_assert(result == 0);
    bh_stack_pool_fini(&loop->stacks);
    pthread_mutex_destroy(&loop->shared.mutex);
    loop->magic = 0;
    free(loop);
}

void bh_loop_post(struct bh_loop *const loop, struct bh_task *const task)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    /* The wake-up is sent under the lock: once the loop may see the task, it may also end. */
    pthread_mutex_lock(&loop->shared.mutex);
    bh_list_append(&loop->shared.posted, &task->node);
    uv_async_send(&loop->wakeup);
    pthread_mutex_unlock(&loop->shared.mutex);
}

void bh_loop_at_turn_end(struct bh_loop *const loop, struct bh_task *const task)
{
    bh_magic_check(loop, BH_LOOP_MAGIC);
    bh_list_append(&loop->turn_end, &task->node);
}

uv_loop_t *bh_loop_uv(struct bh_loop *const loop)
{
    return &loop->uv;
}

struct bh_loop *bh_loop_current(void)
{
    return current_loop;
}

uint64_t bh_loop_delay_us(struct bh_loop *const loop)
{
    const uint64_t passed_us = bh_time_now_us() - bh_loop_now_us(loop);
    return passed_us > loop->turn_us ? passed_us : loop->turn_us;
}

uint64_t bh_loop_now_us(struct bh_loop *const loop)
{
    if (loop->now_us == 0)
        loop->now_us = bh_time_now_us();
    return loop->now_us;
}
