#include "cmocka_setup.h"

#include "base/settings_private.h"

static const struct bh_setting pool_max = { .name = "DB_POOL_MAX",
                                            .type = BH_SETTING_INT,
                                            .default_value = "40",
                                            .minimum = 1,
                                            .maximum = 10000 };
static const struct bh_setting upload_mb = { .name = "MAX_UPLOAD_MB",
                                             .type = BH_SETTING_INT,
                                             .default_value = "",
                                             .minimum = 1,
                                             .maximum = 9,
                                             .unit = "MB" };
static const struct bh_setting any_int = { .name = "OFFSET",
                                           .type = BH_SETTING_INT,
                                           .default_value = "0" };
static const struct bh_setting percent = { .name = "MEMORY_PERCENT",
                                           .type = BH_SETTING_PERCENT,
                                           .default_value = "90" };
static const struct bh_setting truth = { .name = "ACCESS_LOG",
                                         .type = BH_SETTING_BOOL,
                                         .default_value = "on" };
static const struct bh_setting timeout = { .name = "DB_TIMEOUT",
                                           .type = BH_SETTING_DURATION,
                                           .default_value = "30s",
                                           .minimum = 1000,
                                           .maximum = INT64_C(3600000000),
                                           .unit = "s" };
static const struct bh_setting size = { .name = "CACHE_SIZE",
                                        .type = BH_SETTING_SIZE,
                                        .default_value = "64MiB",
                                        .minimum = 0,
                                        .maximum = INT64_C(1) << 40,
                                        .unit = "MB" };
static const struct bh_setting bare_size = {
    .name = "CHUNK", .type = BH_SETTING_SIZE, .default_value = "1KiB", .unit = ""
};
static const struct bh_setting format = { .name = "LOG_FORMAT",
                                          .type = BH_SETTING_CHOICE,
                                          .default_value = "auto",
                                          .choices = "text|json|auto" };
static const struct bh_setting host = { .name = "HOST",
                                        .type = BH_SETTING_TEXT,
                                        .default_value = "127.0.0.1" };
static const struct bh_setting token = { .name = "API_TOKEN",
                                         .type = BH_SETTING_SECRET,
                                         .default_value = "" };

static void test_urls_hide_their_password(void **const state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "sqlite:library.db", "sqlite:library.db" },
        { "sqlite:a@b:c", "sqlite:a@b:c" },
        { "postgresql://me@host:5432/x", "postgresql://me@host:5432/x" },
        { "postgresql://me:pw@host:5432/x", "postgresql://me:***@host:5432/x" },
        { "postgresql://me:p:@/w@h1,h2/x", "postgresql://me:***@h1,h2/x" },
        { "postgresql:///x?password=pw&user=me", "postgresql:///x?password=***&user=me" },
        { "postgresql://me:pw@h/x?sslpassword=pw", "postgresql://me:***@h/x?sslpassword=***" },
        { "postgresql://h/x?password=pw", "postgresql://h/x?password=***" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf shown;
        bh_buf_init(&shown, 1000);
        bh_settings_value_mask(bh_str_from(cases[i][0]), &shown);
        bh_buf_append_byte(&shown, '\0');
        assert_string_equal(shown.data, cases[i][1]);
    }
}

static void test_good_values(void **const state)
{
    (void)state;
    static const struct {
        const struct bh_setting *setting;
        const char *text;
        int64_t value;
    } cases[] = {
        { &pool_max, "1", 1 },
        { &pool_max, "10000", 10000 },
        { &any_int, "-9223372036854775808", INT64_MIN },
        { &any_int, "9223372036854775807", INT64_MAX },
        { &upload_mb, "", 0 },
        { &percent, "1", 1 },
        { &percent, "100", 100 },
        { &percent, "85%", 85 },
        { &timeout, "30", 30000000 },
        { &timeout, "30s", 30000000 },
        { &timeout, "500ms", 500000 },
        { &timeout, "1000us", 1000 },
        { &timeout, "5m", 300000000 },
        { &timeout, "1h", INT64_C(3600000000) },
        { &timeout, "1.0", 1000000 },
        { &timeout, "0.3", 300000 },
        { &timeout, "0.25s", 250000 },
        { &timeout, "1.234567s", 1234567 },
        { &timeout, "0.5h", INT64_C(1800000000) },
        { &size, "1.5GiB", INT64_C(3) << 29 },
        { &size, "0", 0 },
        { &size, "3", 3000000 },
        { &size, "64MB", 64000000 },
        { &size, "64MiB", 64 << 20 },
        { &size, "1GiB", 1 << 30 },
        { &size, "1TiB", INT64_C(1) << 40 },
        { &size, "1000B", 1000 },
        { &bare_size, "5KB", 5000 },
        { &bare_size, "0", 0 },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        union settings_value value = { .number = -1 };
        struct bh_error error = { .message = "" };
        if (bh_settings_value_parse(cases[i].setting, cases[i].text, &value, &error) != 0)
            fail_msg("%s", error.message);
        assert_true(value.number == cases[i].value);
    }
}

static void test_words(void **const state)
{
    (void)state;
    static const char *const yes[] = { "on", "true", "yes", "1", "ON", "True" };
    static const char *const no[] = { "off", "false", "no", "0", "OFF", "No" };
    union settings_value value;
    for (size_t i = 0; i < BH_COUNT_OF(yes); i++) {
        assert_int_equal(bh_settings_value_parse(&truth, yes[i], &value, NULL), 0);
        assert_true(value.truth);
        assert_int_equal(bh_settings_value_parse(&truth, no[i], &value, NULL), 0);
        assert_false(value.truth);
    }
    assert_int_equal(bh_settings_value_parse(&format, "json", &value, NULL), 0);
    assert_string_equal(value.text, "json");
    assert_int_equal(bh_settings_value_parse(&host, "ünï code", &value, NULL), 0);
    assert_string_equal(value.text, "ünï code");
    assert_int_equal(bh_settings_value_parse(&host, "", &value, NULL), 0);
    assert_string_equal(value.text, "");
}

#define TIMEOUT_TAKES                                                                              \
    ": takes a duration such as 500ms, 30s or 5m from 1ms to 1h; a plain number is in s (default " \
    "30s)"
#define SIZE_TAKES                                                                           \
    ": takes a size such as 64MB or 1GiB from 0B to 1TiB; a plain number is in MB (default " \
    "64MiB)"

struct refusal {
    const struct bh_setting *setting;
    const char *text;
    const char *message;
};

static void expect_refusals(const struct refusal *const cases, const size_t count)
{
    for (size_t i = 0; i < count; i++) {
        union settings_value value = { .number = 4242 };
        struct bh_error error = { .message = "" };
        assert_int_equal(bh_settings_value_parse(cases[i].setting, cases[i].text, &value, &error),
                         BH_EINVAL);
        assert_string_equal(error.message, cases[i].message);
        assert_true(value.number == 4242);
    }
}

static void test_bad_values_say_what_is_right(void **const state)
{
    (void)state;
    static const struct refusal cases[] = {
        { &pool_max, "abc", "DB_POOL_MAX=abc: takes a whole number from 1 to 10000 (default 40)" },
        { &pool_max, "", "DB_POOL_MAX=: takes a whole number from 1 to 10000 (default 40)" },
        { &pool_max, "0", "DB_POOL_MAX=0: takes a whole number from 1 to 10000 (default 40)" },
        { &pool_max, "10001",
          "DB_POOL_MAX=10001: takes a whole number from 1 to 10000 (default 40)" },
        { &pool_max, "4.5", "DB_POOL_MAX=4.5: takes a whole number from 1 to 10000 (default 40)" },
        { &pool_max, " 4", "DB_POOL_MAX= 4: takes a whole number from 1 to 10000 (default 40)" },
        { &pool_max, "0x10",
          "DB_POOL_MAX=0x10: takes a whole number from 1 to 10000 (default 40)" },
        { &upload_mb, "10MB", "MAX_UPLOAD_MB=10MB: takes a whole number from 1 to 9 (MB)" },
        { &any_int, "9223372036854775808",
          "OFFSET=9223372036854775808: takes a whole number (default 0)" },
        { &percent, "0.85",
          "MEMORY_PERCENT=0.85: takes a percentage from 1 to 100 (default 90); this is a fraction, "
          "write 85" },
        { &percent, ".5",
          "MEMORY_PERCENT=.5: takes a percentage from 1 to 100 (default 90); this is a fraction, "
          "write 50" },
        { &percent, "0,925",
          "MEMORY_PERCENT=0,925: takes a percentage from 1 to 100 (default 90); this is a "
          "fraction, write 92" },
        { &percent, "0", "MEMORY_PERCENT=0: takes a percentage from 1 to 100 (default 90)" },
        { &percent, "0.", "MEMORY_PERCENT=0.: takes a percentage from 1 to 100 (default 90)" },
        { &percent, "0.001",
          "MEMORY_PERCENT=0.001: takes a percentage from 1 to 100 (default 90)" },
        { &percent, "85.5", "MEMORY_PERCENT=85.5: takes a percentage from 1 to 100 (default 90)" },
        { &percent, "101", "MEMORY_PERCENT=101: takes a percentage from 1 to 100 (default 90)" },
        { &percent, "%", "MEMORY_PERCENT=%: takes a percentage from 1 to 100 (default 90)" },
        { &truth, "maybe", "ACCESS_LOG=maybe: takes on or off (default on)" },
        { &truth, "", "ACCESS_LOG=: takes on or off (default on)" },
        { &format, "xml", "LOG_FORMAT=xml: takes text, json or auto (default auto)" },
        { &format, "TEXT", "LOG_FORMAT=TEXT: takes text, json or auto (default auto)" },
        { &format, "text|json", "LOG_FORMAT=text|json: takes text, json or auto (default auto)" },
        { &host, "a\nb\x7F",
          "HOST=a\\x0ab\\x7f: takes a text without control characters (default 127.0.0.1)" },
        { &host, "\xFFz",
          "HOST=\\xffz: takes a text without control characters (default 127.0.0.1)" },
        { &token, "secret\x01", "API_TOKEN=***: takes a text without control characters" },
    };
    expect_refusals(cases, BH_COUNT_OF(cases));
}

static void test_bad_amounts_say_what_is_right(void **const state)
{
    (void)state;
    static const struct refusal cases[] = {
        { &timeout, "30 s", "DB_TIMEOUT=30 s" TIMEOUT_TAKES },
        { &timeout, "1.5h", "DB_TIMEOUT=1.5h" TIMEOUT_TAKES },
        { &timeout, "0abc", "DB_TIMEOUT=0abc" TIMEOUT_TAKES },
        { &timeout, "0.3x", "DB_TIMEOUT=0.3x" TIMEOUT_TAKES },
        { &timeout, "1.", "DB_TIMEOUT=1." TIMEOUT_TAKES },
        { &timeout, ".5", "DB_TIMEOUT=.5" TIMEOUT_TAKES },
        { &timeout, "1.2.3", "DB_TIMEOUT=1.2.3" TIMEOUT_TAKES },
        { &timeout, "1.2345678s", "DB_TIMEOUT=1.2345678s" TIMEOUT_TAKES },
        { &timeout, "0,5", "DB_TIMEOUT=0,5" TIMEOUT_TAKES },
        { &timeout, "-1s", "DB_TIMEOUT=-1s" TIMEOUT_TAKES },
        { &timeout, "5M", "DB_TIMEOUT=5M" TIMEOUT_TAKES },
        { &timeout, "s", "DB_TIMEOUT=s" TIMEOUT_TAKES },
        { &timeout, "999us", "DB_TIMEOUT=999us" TIMEOUT_TAKES },
        { &timeout, "61m", "DB_TIMEOUT=61m" TIMEOUT_TAKES },
        { &timeout, "9223372036854775807d", "DB_TIMEOUT=9223372036854775807d" TIMEOUT_TAKES },
        { &timeout, "99999999999999999999s", "DB_TIMEOUT=99999999999999999999s" TIMEOUT_TAKES },
        { &size, "0x", "CACHE_SIZE=0x" SIZE_TAKES },
        { &size, "64M", "CACHE_SIZE=64M" SIZE_TAKES },
        { &size, "64mb", "CACHE_SIZE=64mb" SIZE_TAKES },
        { &size, "2TiB", "CACHE_SIZE=2TiB" SIZE_TAKES },
        { &bare_size, "5", "CHUNK=5: takes a size such as 64MB or 1GiB (default 1KiB)" },
    };
    expect_refusals(cases, BH_COUNT_OF(cases));
}

static void test_long_values_are_cut_in_messages(void **const state)
{
    (void)state;
    char text[5000];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "ç", 2);
    text[sizeof(text) - 2] = '\0';
    union settings_value value;
    struct bh_error error;
    assert_int_equal(bh_settings_value_parse(&pool_max, text, &value, &error), BH_EINVAL);
    assert_true(strlen(error.message) < 160);
    assert_true(bh_str_is_utf8(bh_str_from(error.message)));
    assert_true(bh_str_ends_with(bh_str_from(error.message), BH_STR("10000 (default 40)")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_values),
        cmocka_unit_test(test_urls_hide_their_password),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_bad_values_say_what_is_right),
        cmocka_unit_test(test_bad_amounts_say_what_is_right),
        cmocka_unit_test(test_long_values_are_cut_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
