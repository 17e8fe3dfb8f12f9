#include "cmocka_setup.h"

#include <string.h>

#include "bulkhead/base/time.h"

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

static void test_absurd_times_stay_in_the_buffer(void **const state)
{
    (void)state;
    static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, INT64_C(253402300800000000),
                                     INT64_MAX };
    for (size_t i = 0; i < BH_COUNT_OF(times); i++) {
        char text[BH_TIME_TEXT_SIZE + 1];
        memset(text, '#', sizeof(text));
        bh_time_text(times[i], text);
        assert_in_range(strlen(text), 1, BH_TIME_TEXT_SIZE - 1);
        assert_int_equal(text[BH_TIME_TEXT_SIZE], '#');
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
        cmocka_unit_test(test_absurd_times_stay_in_the_buffer),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
