#include "bulkhead/base/time.h"

#include <stdio.h>
#include <time.h>

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

void bh_time_text(const int64_t wall_us, char buffer[BH_TIME_TEXT_SIZE])
{
    int64_t seconds = wall_us / 1000000;
    int64_t rest_us = wall_us % 1000000;
    if (rest_us < 0) {
        rest_us += 1000000;
        seconds -= 1;
    }
    const time_t when = (time_t)seconds;
    struct tm parts;
    gmtime_r(&when, &parts);
    char text[64];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
             (int)(rest_us / 1000));
    snprintf(buffer, BH_TIME_TEXT_SIZE, "%.24s", text);
}
