#include "cmocka_setup.h"

#include "overload/memory_text.h"

static const char v1_cgroup[] = "12:pids:/user.slice\n9:name=systemd:/init.scope\n"
                                "4:cpuset,memory:/docker/0123abcd\n0::/docker/0123abcd\n";
static const char meminfo[] = "MemTotal:       24683524 kB\nMemFree:        18169500 kB\n"
                              "MemAvailable:   20638720 kB\nHugePages_Total:       0\n";
static const char stat_text[] = "cache 8192\ninactive_file 4096\nactive_file 0\n"
                                "total_inactive_file 12288\n";

static uint64_t number(const char *const text)
{
    uint64_t value = 77;
    return bh_memory_number(bh_str_from(text), &value) == 0 ? value : 77;
}

static void test_numbers(void **const state)
{
    (void)state;
    assert_int_equal(number("max\n"), BH_MEMORY_UNLIMITED);
    assert_int_equal(number("9223372036854771712\n"), BH_MEMORY_UNLIMITED); /* v1's "no limit" */
    assert_int_equal(number("0\n"), 0);
    assert_int_equal(number("268435456\n"), 268435456);
    static const char *const refused[] = { "",
                                           "\n",
                                           "-1",
                                           "+5",
                                           "0x10",
                                           "12 13",
                                           "maximum",
                                           "1e9",
                                           "1.5",
                                           "99999999999999999999999",
                                           "18446744073709551616" };
    for (size_t i = 0; i < BH_COUNT_OF(refused); i++)
        assert_int_equal(number(refused[i]), 77);
}

static uint64_t field(const char *const text, const char *const key)
{
    uint64_t value = 77;
    return bh_memory_field(bh_str_from(text), bh_str_from(key), &value) == 0 ? value : 77;
}

static void test_fields(void **const state)
{
    (void)state;
    assert_int_equal(field(meminfo, "MemTotal:"), UINT64_C(24683524) * 1024);
    assert_int_equal(field(meminfo, "HugePages_Total:"), 0);
    assert_int_equal(field(stat_text, "inactive_file"), 4096); /* not total_inactive_file */
    assert_int_equal(field(stat_text, "total_inactive_file"), 12288);
    assert_int_equal(field(stat_text, "inactive"), 77);
    assert_int_equal(field("inactive_file\n", "inactive_file"), 77);
    assert_int_equal(field("inactive_file x\n", "inactive_file"), 77);
    assert_int_equal(field("a 18446744073709551615 kB\n", "a"), 77);
    assert_int_equal(field("", "a"), 77);
}

static void test_columns(void **const state)
{
    (void)state;
    uint64_t value = 77;
    assert_int_equal(bh_memory_column(BH_STR("2573 1181 1023 12 0 400 0\n"), 1, &value), 0);
    assert_int_equal(value, 1181);
    assert_int_equal(bh_memory_column(BH_STR("2573"), 1, &value), BH_ESYNTAX);
    assert_int_equal(bh_memory_column(BH_STR_NONE, 0, &value), BH_ESYNTAX);
    assert_int_equal(value, 1181);
}

static void test_pressure(void **const state)
{
    (void)state;
    double share = -1;
    assert_int_equal(bh_memory_pressure(BH_STR("some avg10=12.34 avg60=0.00 avg300=0.00 total=9\n"
                                               "full avg10=1.00 avg60=0.00 avg300=0.00 total=0\n"),
                                        &share),
                     0);
    assert_true(share > 12.33 && share < 12.35);
    static const char *const refused[] = { "",
                                           "some",
                                           "some avg10=",
                                           "some avg10=x.00 ",
                                           "some avg10=1 ",
                                           "some avg10=1.2 ",
                                           "some avg10=101.00 ",
                                           "some avg10=-1.00 ",
                                           "full avg10=1.00 " };
    share = -1;
    for (size_t i = 0; i < BH_COUNT_OF(refused); i++) {
        assert_int_equal(bh_memory_pressure(bh_str_from(refused[i]), &share), BH_ESYNTAX);
        assert_true(share < 0);
    }
}

static void test_places(void **const state)
{
    (void)state;
    char path[BH_MEMORY_PATH_MAX] = "untouched";
    assert_int_equal(bh_memory_cgroup(bh_str_from(v1_cgroup), 1, path), 0);
    assert_string_equal(path, "/docker/0123abcd");
    assert_int_equal(bh_memory_cgroup(BH_STR("0::/\n"), 2, path), 0);
    assert_string_equal(path, "");
    assert_int_equal(bh_memory_cgroup(BH_STR("0::/a:b/c\n"), 2, path), 0);
    assert_string_equal(path, "/a:b/c");
    assert_int_equal(bh_memory_cgroup(BH_STR("0::/../../other\n"), 2, path), 0);
    assert_string_equal(path, "");
    assert_int_equal(bh_memory_cgroup(BH_STR("0::/\n"), 1, path), BH_ENOTFOUND);
    assert_int_equal(bh_memory_cgroup(BH_STR("3:memoryish:/x\n"), 1, path), BH_ENOTFOUND);
    assert_int_equal(bh_memory_cgroup(BH_STR("0::relative\n"), 2, path), BH_ENOTFOUND);
    assert_int_equal(bh_memory_cgroup(BH_STR("0::/a\0b\n"), 2, path), BH_ENOTFOUND);
    assert_int_equal(bh_memory_cgroup(BH_STR("0:"), 2, path), BH_ENOTFOUND);

    char long_line[BH_MEMORY_PATH_MAX + 8];
    memset(long_line, 'x', sizeof(long_line));
    memcpy(long_line, "0::/", 4);
    const struct bh_str whole = { long_line, sizeof(long_line) };
    assert_int_equal(bh_memory_cgroup(whole, 2, path), BH_ENOTFOUND);
    const struct bh_str fits = { long_line, 3 + BH_MEMORY_PATH_MAX - 1 };
    assert_int_equal(bh_memory_cgroup(fits, 2, path), 0);
    assert_int_equal(strlen(path), BH_MEMORY_PATH_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
