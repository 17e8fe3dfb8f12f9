#include "runtime/restart_damper.h"

bool bh_restart_damper_ended(struct bh_restart_damper *const damper, const uint64_t lived_us,
                             uint64_t *const ret_delay_us)
{
    if (lived_us >= BH_RESTART_SETTLED_US)
        damper->row = 0;
    if (++damper->row >= damper->limit && lived_us < BH_RESTART_SETTLED_US)
        return false;
    uint64_t delay_us = damper->row > 1 ? BH_RESTART_DELAY_US : 0;
    for (unsigned i = 2; i < damper->row && delay_us < BH_RESTART_DELAY_MAX_US; i++)
        delay_us *= 2;
    *ret_delay_us = delay_us < BH_RESTART_DELAY_MAX_US ? delay_us : BH_RESTART_DELAY_MAX_US;
    return true;
}
