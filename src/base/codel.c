#include "bulkhead/base/codel.h"

#define COUNT_MAXIMUM 10000

void bh_codel_init(struct bh_codel *const codel, const uint64_t target_us,
                   const uint64_t interval_us)
{
    *codel = (struct bh_codel){ .target_us = target_us, .interval_us = interval_us };
}

static uint64_t square_root(const uint64_t number)
{
    uint64_t root = number;
    for (uint64_t next = (number + 1) / 2; next < root; next = (root + number / root) / 2)
        root = next;
    return root;
}

static uint64_t pause_us(const struct bh_codel *const codel)
{
    return codel->interval_us * 1000 / square_root(codel->count * 1000000);
}

static bool is_standing(struct bh_codel *const codel, const uint64_t delay_us,
                        const uint64_t now_us)
{
    if (delay_us < codel->target_us) {
        codel->above_until_us = 0;
        return false;
    }
    if (codel->above_until_us == 0)
        codel->above_until_us = now_us + codel->interval_us;
    return now_us >= codel->above_until_us;
}

bool bh_codel_step(struct bh_codel *const codel, const uint64_t delay_us, const uint64_t now_us)
{
    if (!is_standing(codel, delay_us, now_us)) {
        codel->is_shedding = false;
        return false;
    }
    if (codel->is_shedding && now_us < codel->next_us)
        return false;
    if (codel->is_shedding) {
        if (codel->count < COUNT_MAXIMUM)
            codel->count++;
        codel->next_us += pause_us(codel);
    } else {
        /* A spell soon after the last one goes on nearly where that left off. */
        const bool is_soon = codel->count > 2 && now_us - codel->next_us < 16 * codel->interval_us;
        codel->count = is_soon ? codel->count - 2 : 1;
        codel->is_shedding = true;
        codel->next_us = now_us + pause_us(codel);
    }
    return true;
}
