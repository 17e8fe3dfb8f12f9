/* Clocks. Durations and deadlines use the monotonic clock; the wall clock is for people only. */
#pragma once

#include "bulkhead/base/macro.h"

#define BH_MS_US UINT64_C(1000)
#define BH_SECOND_US UINT64_C(1000000)
#define BH_NEVER_US UINT64_MAX /* a deadline that does not come */

/* Monotonic microseconds since an arbitrary start. Any thread. */
uint64_t bh_time_now_us(void);

/* Monotonic nanoseconds, for measuring. Any thread. */
uint64_t bh_time_now_ns(void);

/* Wall clock: microseconds since 1970-01-01 UTC. Any thread. */
int64_t bh_time_wall_us(void);

/* `buffer` gets "2026-05-01T12:34:56.789Z"; years 1 to 9999, times beyond are those. Any thread. */
#define BH_TIME_TEXT_SIZE 25
void bh_time_text(int64_t wall_us, char buffer[BH_TIME_TEXT_SIZE]);
