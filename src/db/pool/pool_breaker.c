#include "db/pool/pool_breaker.h"

#include "bulkhead/base/assert.h"
#include "db/pool/pool_random.h"

#define PAUSE_LEAST_US (100 * BH_MS_US) /* at most 10 connects a second while down */
#define PAUSE_MOST_US (500 * BH_MS_US)  /* back within a second of the host */
#define PROBE_US (500 * BH_MS_US)
#define PATIENT_PROBE 8
#define CEILING_FIRST_US (2 * BH_SECOND_US)
#define CEILING_MOST_US (60 * BH_SECOND_US)

void bh_pool_breaker_init(struct bh_pool_breaker *const breaker, const uint64_t seed)
{
    *breaker = (struct bh_pool_breaker){
        .window = BH_POOL_WINDOW_MAXIMUM, /* nothing speaks against the host yet */
        .ceiling = BH_POOL_CEILING_NONE,
        .random = seed,
    };
}

bool bh_pool_breaker_allows(const struct bh_pool_breaker *const breaker, const uint64_t now_us,
                            uint64_t *const ret_retry_us)
{
    *ret_retry_us = BH_NEVER_US;
    if (breaker->connecting >= breaker->window)
        return false;
    if (!breaker->is_down || now_us >= breaker->next_try_us)
        return true;
    *ret_retry_us = breaker->next_try_us;
    return false;
}

unsigned bh_pool_breaker_ceiling(const struct bh_pool_breaker *const breaker, const uint64_t now_us)
{
    return now_us < breaker->ceiling_until_us ? breaker->ceiling : BH_POOL_CEILING_NONE;
}

uint64_t bh_pool_breaker_begin(struct bh_pool_breaker *const breaker, const uint64_t now_us,
                               const uint64_t timeout_us)
{
    bh_assert(breaker->connecting < breaker->window);
    breaker->connecting++;
    if (breaker->is_down) /* should it be abandoned, the next is not sooner for that */
        breaker->next_try_us = now_us + PAUSE_LEAST_US;
    if (!breaker->is_down || breaker->failures % PATIENT_PROBE == 0)
        return timeout_us;
    return timeout_us < PROBE_US ? timeout_us : PROBE_US;
}

void bh_pool_breaker_abandon(struct bh_pool_breaker *const breaker)
{
    bh_assert(breaker->connecting > 0);
    breaker->connecting--;
}

bool bh_pool_breaker_succeeded(struct bh_pool_breaker *const breaker)
{
    bh_pool_breaker_abandon(breaker);
    const bool was_down = breaker->is_down;
    breaker->is_down = false;
    breaker->failures = 0;
    breaker->window *= 2;
    if (breaker->window > BH_POOL_WINDOW_MAXIMUM)
        breaker->window = BH_POOL_WINDOW_MAXIMUM;
    return was_down;
}

bool bh_pool_breaker_failed(struct bh_pool_breaker *const breaker, const uint64_t now_us)
{
    bh_pool_breaker_abandon(breaker);
    const bool was_up = !breaker->is_down;
    if (was_up)
        breaker->down_since_us = now_us;
    breaker->is_down = true;
    breaker->window = 1;
    breaker->failures++;
    uint64_t pause_us = PAUSE_MOST_US;
    if (breaker->failures < 4)
        pause_us = PAUSE_LEAST_US << (breaker->failures - 1);
    pause_us = bh_pool_random_below(&breaker->random, pause_us + 1);
    breaker->next_try_us = now_us + (pause_us < PAUSE_LEAST_US ? PAUSE_LEAST_US : pause_us);
    return was_up;
}

bool bh_pool_breaker_has_no_room(struct bh_pool_breaker *const breaker, const unsigned open,
                                 const uint64_t now_us)
{
    if (open == 0 || breaker->is_down)
        return false;
    bh_pool_breaker_abandon(breaker);
    breaker->window = 1;
    /* Refused again soon after the last ceiling was lifted: wait longer this time. */
    const bool is_again = breaker->ceiling_hold_us > 0 &&
                          now_us < breaker->ceiling_until_us + 2 * breaker->ceiling_hold_us;
    breaker->ceiling_hold_us = is_again ? 2 * breaker->ceiling_hold_us : CEILING_FIRST_US;
    if (breaker->ceiling_hold_us > CEILING_MOST_US)
        breaker->ceiling_hold_us = CEILING_MOST_US;
    breaker->ceiling = open;
    breaker->ceiling_until_us = now_us + breaker->ceiling_hold_us;
    return true;
}

void bh_pool_breaker_suspect(struct bh_pool_breaker *const breaker)
{
    breaker->window = 1;
}
