/* A waiter stands on its fiber's stack. Once a wake was posted to its loop, the fiber stays until
 * it has come, so the posted task never outlives the stack. */
#include "event.h"

#include "bulkhead/base/assert.h"

struct waiter {
    struct bh_list node;
    struct bh_task task;
    struct bh_loop *loop;
    struct bh_fiber *fiber;
    bool posted; /* guarded by the event's mutex */
    bool woken;  /* of the loop's thread */
};

void tome_event_init(struct tome_event *const event)
{
    pthread_mutex_init(&event->mutex, NULL);
    bh_list_init(&event->waiters);
    event->count = 0;
}

void tome_event_fini(struct tome_event *const event)
{
    bh_assert(bh_list_is_empty(&event->waiters));
    pthread_mutex_destroy(&event->mutex);
}

uint64_t tome_event_count(struct tome_event *const event)
{
    pthread_mutex_lock(&event->mutex);
    const uint64_t count = event->count;
    pthread_mutex_unlock(&event->mutex);
    return count;
}

static void wake(struct bh_task *const task)
{
    struct waiter *const waiter = BH_CONTAINER_OF(task, struct waiter, task);
    waiter->woken = true;
    bh_fiber_wake(waiter->fiber);
}

void tome_event_raise(struct tome_event *const event)
{
    pthread_mutex_lock(&event->mutex);
    event->count++;
    for (struct bh_list *node; (node = bh_list_pop(&event->waiters)) != NULL;) {
        struct waiter *const waiter = BH_LIST_ENTRY(node, struct waiter, node);
        waiter->posted = true;
        bh_loop_post(waiter->loop, &waiter->task);
    }
    pthread_mutex_unlock(&event->mutex);
}

/* The wait ended otherwise: true when no wake is on its way. */
static bool withdraw(struct tome_event *const event, struct waiter *const waiter)
{
    pthread_mutex_lock(&event->mutex);
    const bool withdrawn = !waiter->posted;
    if (withdrawn)
        bh_list_unlink(&waiter->node);
    pthread_mutex_unlock(&event->mutex);
    return withdrawn;
}

int tome_event_wait(struct tome_event *const event, const uint64_t seen, const uint64_t until_us)
{
    struct waiter waiter = { .task = { .run = wake },
                             .loop = bh_loop_current(),
                             .fiber = bh_fiber_current() };
    bh_list_init(&waiter.node);
    pthread_mutex_lock(&event->mutex);
    const bool changed = event->count != seen;
    if (!changed)
        bh_list_append(&event->waiters, &waiter.node);
    pthread_mutex_unlock(&event->mutex);
    if (changed)
        return 0;
    while (!waiter.woken) {
        const int result = bh_fiber_park_until(until_us);
        if (result != 0 && !waiter.woken && withdraw(event, &waiter))
            return result;
        while (result != 0 && !waiter.woken)
            bh_fiber_park_uncancelable();
    }
    return 0;
}
