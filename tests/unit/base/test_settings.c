#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aborts.h"
#include "bulkhead/base/settings.h"
#include "fail_alloc.h"

struct program {
    const char *host;
    const char *token;
    const char *format;
    int64_t pool_max;
    int64_t memory_percent;
    uint64_t timeout_us;
    uint64_t cache_bytes;
    bool access_log;
};

#define FIELD(member) .offset = offsetof(struct program, member)

static const struct bh_setting table[] = {
    { "HOST", BH_SETTING_TEXT, "127.0.0.1", .help = "Address to listen on.", FIELD(host) },
    { "API_TOKEN", BH_SETTING_SECRET, "", .help = "Shared secret; a|b.", FIELD(token) },
    { "LOG_FORMAT", BH_SETTING_CHOICE, "auto", .choices = "text|json|auto",
      .help = "Form of log lines.", FIELD(format) },
    { "DB_POOL_MAX", BH_SETTING_INT, "40", 1, 10000, .help = "Connections.", FIELD(pool_max) },
    { "MEMORY_PERCENT", BH_SETTING_PERCENT, "90", .help = "Memory.", FIELD(memory_percent) },
    { "DB_POOL_TIMEOUT", BH_SETTING_DURATION, "30s", 1000, INT64_C(3600000000), .unit = "s",
      .help = "Longest wait.", FIELD(timeout_us) },
    { "CACHE_SIZE", BH_SETTING_SIZE, "64MB", .unit = "MB", .help = "Cache.", FIELD(cache_bytes) },
    { "ACCESS_LOG", BH_SETTING_BOOL, "on", .help = "One line a request.", FIELD(access_log) },
};
enum { COUNT = BH_COUNT_OF(table) };

static char folder[] = "/tmp/test_settings.XXXXXX";
static char path[64];

static int set_up(void **const state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/.env", folder);
    return 0;
}

static int tear_down(void **const state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_env(const struct bh_str text)
{
    FILE *const file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
    assert_int_equal(fclose(file), 0);
}

static void test_defaults(void **const state)
{
    (void)state;
    unlink(path);
    struct program program;
    struct bh_settings_origin *origin = NULL;
    char *const environment[] = { (char[]){ "PATH=/bin" }, (char[]){ "NO_EQUALS" }, NULL };
    assert_int_equal(bh_settings_load(table, COUNT, path, environment, &program, &origin, NULL), 0);
    assert_string_equal(program.host, "127.0.0.1");
    assert_string_equal(program.token, "");
    assert_string_equal(program.format, "auto");
    assert_int_equal(program.pool_max, 40);
    assert_int_equal(program.memory_percent, 90);
    assert_int_equal(program.timeout_us, 30000000);
    assert_int_equal(program.cache_bytes, 64000000);
    assert_true(program.access_log);
    bh_settings_origin_destroy(origin);
    bh_settings_origin_destroy(NULL);
    assert_int_equal(bh_settings_load(table, COUNT, NULL, NULL, &program, &origin, NULL), 0);
    bh_settings_origin_destroy(origin);
}

static void test_environment_wins_over_file(void **const state)
{
    (void)state;
    write_env(BH_STR("HOST='file host # x'\nDB_POOL_MAX=50\nAPI_TOKEN=hush-hush\n"));
    char host[] = "HOST=env host";
    char *const environment[] = { host, (char[]){ "ACCESS_LOG=off" }, (char[]){ "HOSTNAME=x" },
                                  NULL };
    struct program program;
    struct bh_settings_origin *origin = NULL;
    assert_int_equal(bh_settings_load(table, COUNT, path, environment, &program, &origin, NULL), 0);
    memset(host, '#', sizeof(host) - 1); /* the strings are copies */
    assert_string_equal(program.host, "env host");
    assert_int_equal(program.pool_max, 50);
    assert_string_equal(program.token, "hush-hush");
    assert_false(program.access_log);

    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 16);
    bh_settings_print(table, COUNT, origin, &text);
    bh_buf_append_byte(&text, '\0');
    char expected[600];
    snprintf(expected, sizeof(expected),
             "HOST=\"env host\" # from environment\n"
             "API_TOKEN=*** # from %s:3\n"
             "LOG_FORMAT=auto # default\n"
             "DB_POOL_MAX=50 # from %s:2\n"
             "MEMORY_PERCENT=90 # default\n"
             "DB_POOL_TIMEOUT=30s # default\n"
             "CACHE_SIZE=64MB # default\n"
             "ACCESS_LOG=off # from environment\n",
             path, path);
    assert_string_equal(text.data, expected);
    bh_settings_origin_destroy(origin);
}

/* What is printed can be a .env again, whatever the text holds. */
static void test_print_reads_back(void **const state)
{
    (void)state;
    static const char *const hosts[] = { "plain",    "",          "a b", "a#b",   " # ",
                                         "it's",     "say \"x\"", "\\n", "$HOME", "a=b",
                                         "ç — 日本", "'quoted'",  "\\",  "\"",    "trail " };
    for (size_t i = 0; i < BH_COUNT_OF(hosts); i++) {
        char host[64];
        snprintf(host, sizeof(host), "HOST=%s", hosts[i]);
        char *const environment[] = { host, NULL };
        struct program program;
        struct bh_settings_origin *origin = NULL;
        assert_int_equal(bh_settings_load(table, COUNT, NULL, environment, &program, &origin, NULL),
                         0);
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
        bh_buf_init(&text, 1 << 16);
        bh_settings_print(table, COUNT, origin, &text);
        bh_settings_origin_destroy(origin);
        write_env(bh_buf_peek(&text));
        struct bh_error error;
        if (bh_settings_load(table, COUNT, path, NULL, &program, &origin, &error) != 0)
            fail_msg("%s", error.message);
        assert_string_equal(program.host, hosts[i]);
        bh_settings_origin_destroy(origin);
    }
}

/* A message that begins with a colon has the path of the file in front. */
static void check_refused(const struct bh_str env, char *const variable, const int code,
                          const char *const message)
{
    write_env(env);
    char *const environment[] = { variable, NULL };
    struct program program;
    struct program before;
    memset(&program, 0x5A, sizeof(program));
    memset(&before, 0x5A, sizeof(before));
    struct bh_settings_origin *origin = NULL;
    struct bh_error error = { .message = "" };
    assert_int_equal(bh_settings_load(table, COUNT, path, environment, &program, &origin, &error),
                     code);
    char expected[400];
    snprintf(expected, sizeof(expected), "%s%s", message[0] == ':' ? path : "", message);
    assert_string_equal(error.message, expected);
    assert_memory_equal(&program, &before, sizeof(program));
    assert_null(origin);
}

static void test_bad_values_stop_the_load(void **const state)
{
    (void)state;
    check_refused(BH_STR("DB_POOL_MAX=abc"), NULL, BH_EINVAL,
                  "DB_POOL_MAX=abc: takes a whole number from 1 to 10000 (default 40)");
    check_refused(BH_STR("DB_POOL_MAX=5"), (char[]){ "MEMORY_PERCENT=0.85" }, BH_EINVAL,
                  "MEMORY_PERCENT=0.85: takes a percentage from 1 to 100 (default 90); this is a "
                  "fraction, write 85");
    check_refused(BH_STR("HOST=x\nDB_POOL_MAX 5"), NULL, BH_ESYNTAX,
                  ":2: expected NAME=value, a comment or a blank line");
    check_refused(BH_STR("ACCESS_LOG="), NULL, BH_EINVAL,
                  "ACCESS_LOG=: takes on or off (default on)");
}

static void test_unknown_names_in_the_file(void **const state)
{
    (void)state;
    check_refused(BH_STR("\nDB_POL_MAX=5"), NULL, BH_EINVAL,
                  ":2: DB_POL_MAX is not a setting; did you mean DB_POOL_MAX?");
    check_refused(BH_STR("db_pool_max=5"), NULL, BH_EINVAL,
                  ":1: db_pool_max is not a setting; did you mean DB_POOL_MAX?");
    check_refused(BH_STR("HSOT=x"), NULL, BH_EINVAL,
                  ":1: HSOT is not a setting; did you mean HOST?");
    check_refused(BH_STR("REDIS_URL=x"), NULL, BH_EINVAL,
                  ":1: REDIS_URL is not a setting; remove it");
    check_refused(
        BH_STR("A_NAME_OF_MORE_THAN_64_CHARACTERS_IS_CUT_AT_THAT_LENGTH_IN_THE_MESSAGE=1"), NULL,
        BH_EINVAL,
        ":1: A_NAME_OF_MORE_THAN_64_CHARACTERS_IS_CUT_AT_THAT_LENGTH_IN_THE_M… is not "
        "a setting; remove it");
}

static void test_unknown_names_in_the_environment(void **const state)
{
    (void)state;
    check_refused(BH_STR(""), (char[]){ "DB_POOL_MXA=5" }, BH_EINVAL,
                  "environment: DB_POOL_MXA is not a setting; did you mean DB_POOL_MAX?");
    check_refused(BH_STR(""), (char[]){ "LOG_FORMATS=5" }, BH_EINVAL,
                  "environment: LOG_FORMATS is not a setting; did you mean LOG_FORMAT?");
    check_refused(BH_STR(""), (char[]){ "Cache_Size=5" }, BH_EINVAL,
                  "environment: Cache_Size is not a setting; did you mean CACHE_SIZE?");
    check_refused(BH_STR(""), (char[]){ "DB_POOL_SOMETHING=5" }, BH_EINVAL,
                  "environment: DB_POOL_SOMETHING is not a setting; remove it");
    check_refused(BH_STR(""), (char[]){ "DB_POOL_\n\x1B=5" }, BH_EINVAL,
                  "environment: DB_POOL_\\x0a\\x1b is not a setting; remove it");
    static char others[][12] = { "POST=5",     "HOSTS=x", "DB_URL=x", "LOG_FILE=x", "DB_POOL=5",
                                 "CACHE_DIR=", "=x",      "",         "TERM=xterm" };
    for (size_t i = 0; i < BH_COUNT_OF(others); i++) {
        char *const environment[] = { others[i], NULL };
        struct program program;
        struct bh_settings_origin *origin = NULL;
        struct bh_error error;
        if (bh_settings_load(table, COUNT, NULL, environment, &program, &origin, &error) != 0)
            fail_msg("%s", error.message);
        bh_settings_origin_destroy(origin);
    }
}

static void test_example(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 16);
    bh_settings_example(table, COUNT, &text);
    write_env(bh_buf_peek(&text));
    struct program defaults;
    struct program program;
    struct bh_settings_origin *origin = NULL;
    assert_int_equal(bh_settings_load(table, COUNT, path, NULL, &program, &origin, NULL), 0);
    bh_settings_origin_destroy(origin);

    bh_buf_append_byte(&text, '\0');
    assert_non_null(strstr(text.data, "\n# Longest wait.\n# Takes a duration such as 500ms, 30s or "
                                      "5m from 1ms to 1h; a plain number is in s.\n"
                                      "#DB_POOL_TIMEOUT=30s\n"));
    /* with every setting uncommented it says the same as without the file */
    for (char *at = text.data; (at = strstr(at, "\n#")); at++) {
        if (at[2] != ' ')
            at[1] = ' ';
    }
    write_env(bh_str_from(text.data));
    assert_int_equal(bh_settings_load(table, COUNT, path, NULL, &program, &origin, NULL), 0);
    struct bh_settings_origin *defaults_origin = NULL;
    assert_int_equal(bh_settings_load(table, COUNT, NULL, NULL, &defaults, &defaults_origin, NULL),
                     0);
    assert_string_equal(program.host, defaults.host);
    assert_string_equal(program.token, defaults.token);
    assert_int_equal(program.pool_max, defaults.pool_max);
    assert_int_equal(program.timeout_us, defaults.timeout_us);
    assert_int_equal(program.cache_bytes, defaults.cache_bytes);
    assert_int_equal(program.access_log, defaults.access_log);
    bh_settings_origin_destroy(origin);
    bh_settings_origin_destroy(defaults_origin);
}

static void test_reference(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 16);
    bh_settings_reference(table, COUNT, &text);
    bh_buf_append_byte(&text, '\0');
    assert_string_equal(
        text.data,
        "| Setting | Default | Takes | Meaning |\n"
        "| --- | --- | --- | --- |\n"
        "| `HOST` | `127.0.0.1` | a text without control characters | Address to listen on. |\n"
        "| `API_TOKEN` |  | a text without control characters | Shared secret; a\\|b. |\n"
        "| `LOG_FORMAT` | `auto` | text, json or auto | Form of log lines. |\n"
        "| `DB_POOL_MAX` | `40` | a whole number from 1 to 10000 | Connections. |\n"
        "| `MEMORY_PERCENT` | `90` | a percentage from 1 to 100 | Memory. |\n"
        "| `DB_POOL_TIMEOUT` | `30s` | a duration such as 500ms, 30s or 5m from 1ms to 1h; a plain "
        "number is in s | Longest wait. |\n"
        "| `CACHE_SIZE` | `64MB` | a size such as 64MB or 1GiB; a plain number is in MB | Cache. "
        "|\n"
        "| `ACCESS_LOG` | `on` | on or off | One line a request. |\n");
}

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    write_env(BH_STR("HOST=x\n"));
    int refused = 0;
    for (unsigned n = 1;; n++) {
        struct program program = { .pool_max = 4242 };
        struct bh_settings_origin *origin = NULL;
        struct bh_error error;
        fail_alloc_arm(n);
        const int result = bh_settings_load(table, COUNT, path, NULL, &program, &origin, &error);
        const bool struck = fail_alloc_disarm();
        assert_int_equal(result, struck ? BH_ENOMEM : 0);
        refused += struck;
        bh_settings_origin_destroy(origin);
        if (!struck)
            break;
        assert_null(origin);
        assert_int_equal(program.pool_max, 4242);
    }
    assert_true(refused > COUNT);
}

static void load_bad_table(void *const argument)
{
    const struct bh_setting bad = { "DB_POOL_MAX", BH_SETTING_INT, "0", 1, 5, .help = "" };
    struct bh_settings_origin *origin;
    const int result = bh_settings_load(&bad, 1, NULL, NULL, argument, &origin, NULL);
    (void)result;
}

static void test_a_default_its_setting_refuses_aborts(void **const state)
{
    (void)state;
    struct program program;
    assert_true(aborts(load_bad_table, &program));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_environment_wins_over_file),
        cmocka_unit_test(test_print_reads_back),
        cmocka_unit_test(test_bad_values_stop_the_load),
        cmocka_unit_test(test_unknown_names_in_the_file),
        cmocka_unit_test(test_unknown_names_in_the_environment),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_exhausted_heap),
        cmocka_unit_test(test_a_default_its_setting_refuses_aborts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
