#include "runtime/auth_refresh.h"

#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"

/* The one who loads may be on another loop; loads are rare, so looking is cheaper than waking. */
#define LOOK_US (2 * BH_MS_US)

static int run(struct bh_auth_refresh *const refresh, struct bh_error *const reterr)
{
    const uint64_t began_us = bh_time_now_us();
    const int result = refresh->load(refresh->argument, reterr);
    if (result == 0)
        atomic_store(&refresh->loaded_us, began_us);
    atomic_store(&refresh->next_us, bh_time_now_us() + refresh->interval_us);
    return result;
}

int bh_auth_refresh_run(struct bh_auth_refresh *const refresh, const bool is_patient,
                        struct bh_error *const reterr)
{
    const uint64_t asked_us = bh_time_now_us();
    while (atomic_load(&refresh->loaded_us) < asked_us) {
        const uint64_t now_us = bh_time_now_us(), next_us = atomic_load(&refresh->next_us);
        const bool is_running = atomic_load(&refresh->is_running);
        if (!is_running && now_us < next_us && !is_patient)
            return bh_error_set(reterr, BH_EBUSY, "it was loaded a moment ago");
        if (!is_running && now_us >= next_us && !atomic_exchange(&refresh->is_running, true)) {
            const int result = run(refresh, reterr);
            atomic_store(&refresh->is_running, false);
            return result;
        }
        const int waited = bh_fiber_sleep(is_running || now_us >= next_us ? LOOK_US
                                                                          : next_us - now_us);
        if (waited != 0)
            return bh_error_set(reterr, waited, "%s", bh_error_text(waited));
    }
    return 0;
}
