/* TomeHub's table, and what is derived from its values. */
#include "cmocka_setup.h"

#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "settings.h"

static struct tome_settings load(char *const *const environment, struct bh_settings_origin **origin)
{
    struct tome_settings settings;
    struct bh_error error;
    const int result = bh_settings_load(tome_settings_table, tome_settings_count, NULL, environment,
                                        &settings, origin, &error);
    if (result != 0)
        fail_msg("%s", error.message);
    return settings;
}

static void defaults_are_valid(void **const state)
{
    (void)state;
    char *none[] = { NULL };
    struct bh_settings_origin *origin;
    const struct tome_settings settings = load(none, &origin);
    assert_string_equal(settings.host, "127.0.0.1");
    assert_int_equal(settings.port, 5001);
    assert_int_equal(settings.max_upload_mb, 200);
    assert_int_equal(settings.shutdown_timeout_us, 30 * 1000000);
    assert_true(settings.access_log);
    assert_int_equal(settings.access_log_sample, 100);
    assert_int_equal(settings.slow_query_us, 1000000);
    assert_int_equal(settings.query_repeat_limit, 10);
    assert_int_equal(tome_settings_log_level(&settings), BH_LOG_INFO);
    assert_int_equal(tome_settings_log_format(&settings), BH_LOG_AUTO);
    bh_settings_origin_destroy(origin);
}

static void only_this_machine_is_loopback(void **const state)
{
    (void)state;
    static const struct {
        const char *host;
        bool loopback;
    } cases[] = {
        { "127.0.0.1", true },
        { "127.9.8.7", true },
        { "localhost", true },
        { "::1", true },
        { "0.0.0.0", false },
        { "::", false },
        { "192.168.0.1", false },
        { "10.0.0.127", false },
        { "128.0.0.1", false },
        { "example.org", false },
        { "", false },
        { "127.0.0.1.evil.example", false },
        { "::ffff:10.0.0.1", false },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct tome_settings settings = { .host = cases[i].host };
        if (tome_settings_is_loopback(&settings) != cases[i].loopback)
            fail_msg("%s", cases[i].host);
    }
}

static void paths_are_absolute(void **const state)
{
    (void)state;
    char here[PATH_MAX], path[PATH_MAX], wanted[2 * PATH_MAX];
    struct bh_error error;
    assert_non_null(getcwd(here, sizeof(here)));
    struct tome_settings settings = { .database_url = "sqlite:a/library.db", .data_dir = "" };
    assert_int_equal(tome_settings_database_path(&settings, path, sizeof(path), &error), 0);
    snprintf(wanted, sizeof(wanted), "%s/a/library.db", here);
    assert_string_equal(path, wanted);
    assert_int_equal(tome_settings_data_dir(&settings, path, sizeof(path), &error), 0);
    snprintf(wanted, sizeof(wanted), "%s/a/library.db.uploads", here);
    assert_string_equal(path, wanted);
    settings.database_url = "sqlite:/srv/library.db";
    settings.data_dir = "/var/uploads";
    assert_int_equal(tome_settings_database_path(&settings, path, sizeof(path), &error), 0);
    assert_string_equal(path, "/srv/library.db");
    assert_int_equal(tome_settings_data_dir(&settings, path, sizeof(path), &error), 0);
    assert_string_equal(path, "/var/uploads");
}

static void other_databases_are_refused(void **const state)
{
    (void)state;
    static const char *const urls[] = { "", "library.db", "sqlite:", "mysql://x" };
    for (size_t i = 0; i < BH_COUNT_OF(urls); i++) {
        char path[PATH_MAX] = "untouched";
        struct bh_error error;
        const struct tome_settings settings = { .database_url = urls[i] };
        assert_int_equal(tome_settings_database_path(&settings, path, sizeof(path), &error),
                         BH_EINVAL);
        assert_string_equal(path, "untouched");
    }
}

static void levels_and_formats_have_names(void **const state)
{
    (void)state;
    const struct tome_settings settings = { .log_level = "error", .log_format = "json" };
    assert_int_equal(tome_settings_log_level(&settings), BH_LOG_ERROR);
    assert_int_equal(tome_settings_log_format(&settings), BH_LOG_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_valid),
        cmocka_unit_test(only_this_machine_is_loopback),
        cmocka_unit_test(paths_are_absolute),
        cmocka_unit_test(other_databases_are_refused),
        cmocka_unit_test(levels_and_formats_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
