#include "bulkhead/overload/retry_budget.h"

#include "bulkhead/base/time.h"

#define RETRY INT64_C(1000000)

static void earn(struct bh_retry_budget *const budget, const int64_t amount)
{
    const int64_t maximum = budget->saved_maximum * RETRY;
    int64_t saved = atomic_load_explicit(&budget->saved, memory_order_relaxed);
    int64_t next;
    do {
        if (saved >= maximum)
            return;
        next = saved + amount < maximum ? saved + amount : maximum;
    } while (!atomic_compare_exchange_weak_explicit(&budget->saved, &saved, next,
                                                    memory_order_relaxed, memory_order_relaxed));
}

void bh_retry_budget_init(struct bh_retry_budget *const budget, const unsigned percent,
                          const unsigned minimum_per_second, const unsigned saved_maximum,
                          const uint64_t now_us)
{
    budget->percent = percent;
    budget->minimum_per_second = minimum_per_second;
    budget->saved_maximum = saved_maximum;
    atomic_init(&budget->saved, 0);
    atomic_init(&budget->earned_us, now_us);
    earn(budget, budget->minimum_per_second * RETRY);
}

void bh_retry_budget_tried(struct bh_retry_budget *const budget)
{
    earn(budget, budget->percent * RETRY / 100);
}

/* One thread gets the time since the last call; a second at most, so that a pause saves no more. */
static void earn_by_time(struct bh_retry_budget *const budget, const uint64_t now_us)
{
    uint64_t before_us = atomic_load_explicit(&budget->earned_us, memory_order_relaxed);
    if (now_us <= before_us ||
        !atomic_compare_exchange_strong_explicit(&budget->earned_us, &before_us, now_us,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    const uint64_t passed_us = now_us - before_us < BH_SECOND_US ? now_us - before_us
                                                                 : BH_SECOND_US;
    earn(budget, (int64_t)passed_us * budget->minimum_per_second);
}

bool bh_retry_budget_take(struct bh_retry_budget *const budget, const uint64_t now_us)
{
    earn_by_time(budget, now_us);
    int64_t saved = atomic_load_explicit(&budget->saved, memory_order_relaxed);
    do {
        if (saved < RETRY)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->saved, &saved, saved - RETRY,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}
