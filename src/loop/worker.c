/*
 * A fixed set of threads over one bounded first-in-first-out queue. A call's memory lives on the
 * calling fiber's stack: the fiber leaves only when the job was taken from the queue unstarted or
 * has ended, whatever happens to the client meanwhile.
 */
#include "bulkhead/loop/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/thread.h"

#define POOL_MAGIC 0x574f524bu

struct bh_worker_pool {
    BH_MAGIC_FIELD;
    char name[16];
    unsigned thread_count;
    unsigned queue_maximum;
    pthread_t *threads;

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t work_or_end;
        struct bh_list queue; /* struct call.node */
        unsigned queued;
        unsigned busy;
        bool ending;
    } shared;
};

enum call_state { CALL_QUEUED, CALL_RUNNING };

struct call {
    struct bh_worker_job job;
    bh_worker_function *function;
    void *argument;
    int result; /* written by the worker before it posts `ended` */

    struct bh_loop *loop;
    struct bh_fiber *fiber;
    struct bh_task ended;
    bool has_ended; /* loop thread */

    enum call_state state; /* under the pool's mutex */
    struct bh_list node;   /* under the pool's mutex */
};

static void call_ended(struct bh_task *const task)
{
    struct call *const call = BH_CONTAINER_OF(task, struct call, ended);
    call->has_ended = true;
    bh_fiber_wake(call->fiber);
}

/* The next call to run, marked as running; NULL when the pool ends. Called with the lock. */
static struct call *next_call(struct bh_worker_pool *const pool)
{
    while (!pool->shared.ending && bh_list_is_empty(&pool->shared.queue))
        pthread_cond_wait(&pool->shared.work_or_end, &pool->shared.mutex);
    if (pool->shared.ending)
        return NULL;
    struct call *const call = BH_LIST_ENTRY(bh_list_pop(&pool->shared.queue), struct call, node);
    call->state = CALL_RUNNING;
    pool->shared.queued--;
    pool->shared.busy++;
    return call;
}

static void *thread_main(void *const argument)
{
    struct bh_worker_pool *const pool = argument;
    bh_magic_check(pool, POOL_MAGIC);
    pthread_setname_np(pthread_self(), pool->name);

    pthread_mutex_lock(&pool->shared.mutex);
    for (struct call *call; (call = next_call(pool));) {
        pthread_mutex_unlock(&pool->shared.mutex);
        call->result = call->function(&call->job, call->argument);
        pthread_mutex_lock(&pool->shared.mutex);
        pool->shared.busy--;
        /* The last touch: the fiber may leave, and its stack with it, as soon as this is posted. */
        bh_loop_post(call->loop, &call->ended);
    }
    pthread_mutex_unlock(&pool->shared.mutex);
    return NULL;
}

int bh_worker_pool_create(const char *const name, const unsigned threads,
                          const unsigned queue_maximum, struct bh_worker_pool **const ret_pool)
{
    bh_assert(threads >= 1 && threads <= 256);
    struct bh_worker_pool *const pool = calloc(1, sizeof(*pool));
    if (!pool)
        return BH_ENOMEM;
    pool->magic = POOL_MAGIC;
    pool->queue_maximum = queue_maximum;
    snprintf(pool->name, sizeof(pool->name), "%s", name);
    pthread_mutex_init(&pool->shared.mutex, NULL);
    pthread_cond_init(&pool->shared.work_or_end, NULL);
    bh_list_init(&pool->shared.queue);
    pool->threads = calloc(threads, sizeof(*pool->threads));
    while (pool->threads && pool->thread_count < threads) {
        if (bh_thread_start(thread_main, pool, &pool->threads[pool->thread_count]) != 0)
            break;
        pool->thread_count++;
    }
    if (pool->thread_count < threads) {
        bh_worker_pool_destroy(pool);
        return BH_ENOMEM;
    }
    *ret_pool = pool;
    return 0;
}

void bh_worker_pool_destroy(struct bh_worker_pool *const pool)
{
    if (!pool)
        return;
    bh_magic_check(pool, POOL_MAGIC);
    pthread_mutex_lock(&pool->shared.mutex);
    pool->shared.ending = true;
    pthread_cond_broadcast(&pool->shared.work_or_end);
    for (struct bh_list *node; (node = bh_list_pop(&pool->shared.queue));) {
        struct call *const call = BH_LIST_ENTRY(node, struct call, node);
        call->state = CALL_RUNNING;
        call->result = BH_ESHUTDOWN;
        pool->shared.queued--;
        bh_loop_post(call->loop, &call->ended);
    }
    pthread_mutex_unlock(&pool->shared.mutex);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->shared.work_or_end);
    pthread_mutex_destroy(&pool->shared.mutex);
    free(pool->threads);
    pool->magic = 0;
    free(pool);
}

static int enqueue(struct bh_worker_pool *const pool, struct call *const call, const bool refusable)
{
    int result = 0;
    pthread_mutex_lock(&pool->shared.mutex);
    if (pool->shared.ending) {
        result = BH_ESHUTDOWN;
    } else if (refusable && pool->shared.queued >= pool->queue_maximum &&
               pool->shared.busy >= pool->thread_count) {
        result = BH_ELIMIT;
    } else {
        bh_list_append(&pool->shared.queue, &call->node);
        pool->shared.queued++;
        pthread_cond_signal(&pool->shared.work_or_end);
    }
    pthread_mutex_unlock(&pool->shared.mutex);
    return result;
}

/* Whether the call was still queued; it is not any more. */
static bool take_back(struct bh_worker_pool *const pool, struct call *const call)
{
    pthread_mutex_lock(&pool->shared.mutex);
    const bool was_queued = call->state == CALL_QUEUED;
    if (was_queued) {
        bh_list_unlink(&call->node);
        pool->shared.queued--;
    }
    pthread_mutex_unlock(&pool->shared.mutex);
    return was_queued;
}

static void call_init(struct call *const call, bh_worker_function *const function,
                      void *const argument)
{
    *call = (struct call){
        .function = function,
        .argument = argument,
        .loop = bh_loop_current(),
        .fiber = bh_fiber_current(),
        .ended = { .run = call_ended },
    };
    bh_assert(call->fiber != NULL);
    bh_list_init(&call->node);
}

static int wait_to_end(const struct call *const call)
{
    while (!call->has_ended)
        bh_fiber_park_uncancelable();
    return call->result;
}

int bh_worker_run(struct bh_worker_pool *const pool, bh_worker_function *const function,
                  void *const argument, void (*const interrupt)(void *argument))
{
    bh_magic_check(pool, POOL_MAGIC);
    struct call call;
    call_init(&call, function, argument);
    if (bh_fiber_is_canceled(call.fiber))
        return BH_ECANCELED;
    const int refused = enqueue(pool, &call, true);
    if (refused)
        return refused;
    while (!call.has_ended) {
        const int broken_off = bh_fiber_park();
        if (!broken_off)
            continue;
        if (call.has_ended)
            break;
        if (take_back(pool, &call))
            return broken_off;
        atomic_store_explicit(&call.job.canceled, true, memory_order_relaxed);
        if (interrupt)
            interrupt(argument);
        return wait_to_end(&call);
    }
    return call.result;
}

int bh_worker_run_uncancelable(struct bh_worker_pool *const pool,
                               bh_worker_function *const function, void *const argument)
{
    bh_magic_check(pool, POOL_MAGIC);
    struct call call;
    call_init(&call, function, argument);
    const int refused = enqueue(pool, &call, false);
    return refused ? refused : wait_to_end(&call);
}

unsigned bh_worker_pool_busy(struct bh_worker_pool *const pool)
{
    pthread_mutex_lock(&pool->shared.mutex);
    const unsigned busy = pool->shared.busy;
    pthread_mutex_unlock(&pool->shared.mutex);
    return busy;
}

unsigned bh_worker_pool_queued(struct bh_worker_pool *const pool)
{
    pthread_mutex_lock(&pool->shared.mutex);
    const unsigned queued = pool->shared.queued;
    pthread_mutex_unlock(&pool->shared.mutex);
    return queued;
}
