#include "bulkhead/base/time.h"

#include <time.h>

#define DAY_MS INT64_C(86400000)
#define DAYS_PER_ERA 146097                     /* 400 years */
#define DAYS_BEFORE_1970 719468                 /* since 0000-03-01 */
#define TIME_MIN_US INT64_C(-62135596800000000) /* 0001-01-01T00:00:00 */
#define TIME_MAX_US INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999 */

uint64_t bh_time_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t bh_time_now_us(void)
{
    return bh_time_now_ns() / 1000;
}

int64_t bh_time_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static char *write_number(char *const to, const int64_t number, const int digits)
{
    int64_t rest = number;
    for (int i = digits; i-- > 0; rest /= 10)
        to[i] = (char)('0' + rest % 10);
    return to + digits;
}

/* By arithmetic (days from civil, with years that begin in March, so that the leap day is the last)
 * because the C library takes a lock for its time zones even in gmtime_r. */
void bh_time_text(const int64_t wall_us, char buffer[BH_TIME_TEXT_SIZE])
{
    const int64_t us = wall_us < TIME_MIN_US   ? TIME_MIN_US
                       : wall_us > TIME_MAX_US ? TIME_MAX_US
                                               : wall_us;
    const int64_t ms_since_0000 = us / 1000 - (us % 1000 < 0) + DAYS_BEFORE_1970 * DAY_MS;
    const int64_t ms_of_day = ms_since_0000 % DAY_MS;
    const int64_t days = ms_since_0000 / DAY_MS; /* since 0000-03-01 */
    const int64_t era = days / DAYS_PER_ERA;
    const int64_t day_of_era = days % DAYS_PER_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era -
                                (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const int64_t year = era * 400 + year_of_era + (month <= 2);

    char *at = write_number(buffer, year, 4);
    *at++ = '-';
    at = write_number(at, month, 2);
    *at++ = '-';
    at = write_number(at, day, 2);
    *at++ = 'T';
    at = write_number(at, ms_of_day / 3600000, 2);
    *at++ = ':';
    at = write_number(at, ms_of_day / 60000 % 60, 2);
    *at++ = ':';
    at = write_number(at, ms_of_day / 1000 % 60, 2);
    *at++ = '.';
    at = write_number(at, ms_of_day % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
}
