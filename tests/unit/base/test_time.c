#include "cmocka_setup.h"

#include <stdio.h>
#include <time.h>

#include "bulkhead/base/time.h"
#include "prng.h"

static void check_text(const int64_t wall_us, const char *const expected)
{
    char text[BH_TIME_TEXT_SIZE];
    bh_time_text(wall_us, text);
    assert_string_equal(text, expected);
}

static void test_text(void **const state)
{
    (void)state;
    check_text(0, "1970-01-01T00:00:00.000Z");
    check_text(1, "1970-01-01T00:00:00.000Z");
    check_text(-1, "1969-12-31T23:59:59.999Z");
    check_text(INT64_C(1777638896789000), "2026-05-01T12:34:56.789Z");
    check_text(INT64_C(951782400000000), "2000-02-29T00:00:00.000Z");
    check_text(INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z");
}

static void test_absurd_times(void **const state)
{
    (void)state;
    check_text(INT64_MIN, "0001-01-01T00:00:00.000Z");
    check_text(INT64_C(-62135596800000001), "0001-01-01T00:00:00.000Z");
    check_text(INT64_C(-62135596799000000), "0001-01-01T00:00:01.000Z");
    check_text(INT64_C(253402300800000000), "9999-12-31T23:59:59.999Z");
    check_text(INT64_MAX, "9999-12-31T23:59:59.999Z");
}

/* The C library knows the calendar as well. */
static void test_calendar(void **const state)
{
    (void)state;
    uint64_t seed = 31;
    for (int i = 0; i < 200000; i++) {
        const int64_t seconds = (int64_t)prng_below(&seed, UINT64_C(315537897600)) - 62135596800;
        const time_t when = (time_t)seconds;
        struct tm parts;
        assert_non_null(gmtime_r(&when, &parts));
        char expected[64];
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                 parts.tm_sec, i % 1000);
        check_text(seconds * 1000000 + i % 1000 * 1000, expected);
    }
}

static void test_clocks(void **const state)
{
    (void)state;
    uint64_t last = bh_time_now_ns();
    for (int i = 0; i < 10000; i++) {
        const uint64_t now = bh_time_now_ns();
        assert_true(now >= last);
        last = now;
    }
    const uint64_t us = bh_time_now_us();
    assert_in_range(us, last / 1000, last / 1000 + 10 * BH_SECOND_US);
    assert_true(bh_time_wall_us() > INT64_C(1700000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_absurd_times),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
