#include "bulkhead/overload/waiter.h"

#include "bulkhead/loop/fiber.h"

static void wake(struct bh_waiter *const waiter)
{
    waiter->is_told = true;
    bh_fiber_wake(waiter->fiber);
}

static void wake_at_home(struct bh_task *const task)
{
    wake(BH_CONTAINER_OF(task, struct bh_waiter, task));
}

void bh_waiter_init(struct bh_waiter *const waiter)
{
    *waiter = (struct bh_waiter){ .loop = bh_loop_current(),
                                  .fiber = bh_fiber_current(),
                                  .task = { .run = wake_at_home } };
}

void bh_waiter_tell(struct bh_waiter *const waiter)
{
    if (waiter->loop == bh_loop_current())
        wake(waiter);
    else
        bh_loop_post(waiter->loop, &waiter->task);
}

int bh_waiter_wait(struct bh_waiter *const waiter, const uint64_t until_us)
{
    int result = 0;
    while (!waiter->is_told && result == 0)
        result = bh_fiber_park_until(until_us);
    return waiter->is_told ? 0 : result;
}

void bh_waiter_stay(struct bh_waiter *const waiter)
{
    while (!waiter->is_told)
        bh_fiber_park_uncancelable();
}
