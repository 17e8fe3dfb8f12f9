#include "http/deadline.h"

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"

/* Deadlines are met within this: fewer wake-ups for connections that expire together. */
#define GRAIN_US (10 * BH_MS_US)

static void timer_passed(uv_timer_t *timer);

static void arm(struct bh_deadlines *const deadlines, const uint64_t at_us)
{
    const uint64_t now_us = bh_time_now_us();
    const uint64_t left_us = at_us > now_us ? at_us - now_us : 0;
    deadlines->armed_us = at_us;
    /* libuv counts from when its loop last read the clock, so it may fire early: then the list's
     * first is not due yet and the timer is armed again. */
    uv_timer_start(&deadlines->timer, timer_passed, (left_us + GRAIN_US) / 1000, 0);
}

void bh_deadlines_init(struct bh_deadlines *const deadlines, struct bh_loop *const loop)
{
    *deadlines = (struct bh_deadlines){ .loop = loop, .armed_us = BH_NEVER_US };
    for (int kind = 0; kind < BH_DEADLINE_KINDS; kind++)
        bh_list_init(&deadlines->kinds[kind].list);
    uv_timer_init(bh_loop_uv(loop), &deadlines->timer);
    deadlines->timer.data = deadlines;
}

void bh_deadlines_set(struct bh_deadlines *const deadlines, const enum bh_deadline_kind kind,
                      const uint64_t duration_us, void (*const expired)(struct bh_deadline *))
{
    deadlines->kinds[kind].duration_us = duration_us > 0 ? duration_us : 1;
    deadlines->kinds[kind].expired = expired;
}

void bh_deadlines_close(struct bh_deadlines *const deadlines, const uv_close_cb closed,
                        void *const owner)
{
    for (int kind = 0; kind < BH_DEADLINE_KINDS; kind++)
        bh_assert(bh_list_is_empty(&deadlines->kinds[kind].list));
    deadlines->timer.data = owner;
    uv_close((uv_handle_t *)&deadlines->timer, closed);
}

void bh_deadline_stop(struct bh_deadline *const deadline)
{
    if (!deadline->is_running)
        return;
    bh_list_unlink(&deadline->node);
    deadline->is_running = false;
}

void bh_deadline_start(struct bh_deadlines *const deadlines, struct bh_deadline *const deadline,
                       const enum bh_deadline_kind kind)
{
    bh_deadline_stop(deadline);
    deadline->kind = kind;
    deadline->at_us = bh_loop_now_us(deadlines->loop) + deadlines->kinds[kind].duration_us;
    deadline->is_running = true;
    bh_list_append(&deadlines->kinds[kind].list, &deadline->node);
    if (deadline->at_us < deadlines->armed_us)
        arm(deadlines, deadline->at_us);
}

struct bh_deadline *bh_deadlines_first(const struct bh_deadlines *const deadlines,
                                       const enum bh_deadline_kind kind)
{
    const struct bh_list *const list = &deadlines->kinds[kind].list;
    return bh_list_is_empty(list) ? NULL : BH_LIST_ENTRY(list->next, struct bh_deadline, node);
}

uint64_t bh_deadline_started_us(const struct bh_deadlines *const deadlines,
                                const struct bh_deadline *const deadline)
{
    return deadline->at_us - deadlines->kinds[deadline->kind].duration_us;
}

static void timer_passed(uv_timer_t *const timer)
{
    struct bh_deadlines *const deadlines = timer->data;
    /* The clock that starts use: with one that is ahead of it, a deadline started again below could
     * be due at once, for ever. */
    const uint64_t now_us = bh_loop_now_us(deadlines->loop);
    /* While expiries are handled, starts must not arm: it is done once, below. */
    deadlines->armed_us = 0;
    for (int kind = 0; kind < BH_DEADLINE_KINDS; kind++) {
        for (struct bh_deadline *deadline;
             (deadline = bh_deadlines_first(deadlines, (enum bh_deadline_kind)kind)) &&
             deadline->at_us <= now_us;) {
            bh_deadline_stop(deadline);
            deadlines->kinds[kind].expired(deadline);
        }
    }
    uint64_t next_us = BH_NEVER_US;
    for (int kind = 0; kind < BH_DEADLINE_KINDS; kind++) {
        const struct bh_deadline *const deadline = bh_deadlines_first(deadlines,
                                                                      (enum bh_deadline_kind)kind);
        if (deadline && deadline->at_us < next_us)
            next_us = deadline->at_us;
    }
    deadlines->armed_us = BH_NEVER_US;
    if (next_us != BH_NEVER_US)
        arm(deadlines, next_us);
}
