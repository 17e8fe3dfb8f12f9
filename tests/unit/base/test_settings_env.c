#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/settings_private.h"
#include "fail_alloc.h"

static void test_good_files(void **const state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF# a comment\r\n"
                               "\r\n"
                               "PLAIN=value\r\n"
                               "  SPACED \t = some words here \t # and a comment\n"
                               "export EXPORTED=yes\n"
                               "export\tTABBED=yes\n"
                               "EMPTY=\n"
                               "EMPTY_COMMENT= # nothing\n"
                               "HASH=a#b\n"
                               "COLOR=#fff # grey\n"
                               "EQUALS=a=b==\n"
                               "SINGLE='as it is, # \\n \"too\"  ' # comment\n"
                               "DOUBLE=\"a \\\"b\\\" \\\\ \\n\\t\\r\\$ # \\\\n 'x'\"\n"
                               "NONE=''\n"
                               "NOTHING=\"\"#\n"
                               "\t \n"
                               "#NOT=set\n"
                               "exported=1\n"
                               "export=2\n"
                               "_9=ç\n"
                               "LAST=no line break";
    static const struct {
        const char *name;
        const char *value;
        unsigned line;
    } expected[] = {
        { "PLAIN", "value", 3 },
        { "SPACED", "some words here", 4 },
        { "EXPORTED", "yes", 5 },
        { "TABBED", "yes", 6 },
        { "EMPTY", "", 7 },
        { "EMPTY_COMMENT", "", 8 },
        { "HASH", "a#b", 9 },
        { "COLOR", "#fff", 10 },
        { "EQUALS", "a=b==", 11 },
        { "SINGLE", "as it is, # \\n \"too\"  ", 12 },
        { "DOUBLE", "a \"b\" \\ \n\t\r$ # \\n 'x'", 13 },
        { "NONE", "", 14 },
        { "NOTHING", "", 15 },
        { "exported", "1", 18 },
        { "export", "2", 19 },
        { "_9", "ç", 20 },
        { "LAST", "no line break", 21 },
    };
    struct settings_env env;
    struct bh_error error;
    if (bh_settings_env_parse(BH_STR(text), ".env", &env, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(env.count, BH_COUNT_OF(expected));
    for (size_t i = 0; i < env.count; i++) {
        assert_string_equal(env.entries[i].name, expected[i].name);
        assert_string_equal(env.entries[i].value, expected[i].value);
        assert_int_equal(env.entries[i].line, expected[i].line);
    }
    bh_settings_env_fini(&env);
}

static void test_malformed_lines_are_named(void **const state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "A=1\nB\n", ".env:2: expected NAME=value, a comment or a blank line" },
        { "A=1\n\n\nB C=2", ".env:4: expected NAME=value, a comment or a blank line" },
        { "=value", ".env:1: expected NAME=value, a comment or a blank line" },
        { "1A=2", ".env:1: expected NAME=value, a comment or a blank line" },
        { "A-B=2", ".env:1: expected NAME=value, a comment or a blank line" },
        { "export", ".env:1: expected NAME=value, a comment or a blank line" },
        { "export export A=1", ".env:1: expected NAME=value, a comment or a blank line" },
        { "A: 1", ".env:1: expected NAME=value, a comment or a blank line" },
        { "A=1\rB=2\n\r", NULL },
        { "A='x", ".env:1: the closing ' is missing" },
        { "A='", ".env:1: the closing ' is missing" },
        { "A='x\ny'", ".env:1: the closing ' is missing" },
        { "A=\"x", ".env:1: the closing \" is missing" },
        { "A=\"x\\\"", ".env:1: the closing \" is missing" },
        { "A=\"x\\", ".env:1: in double quotes a backslash stands only before n t r \\ \" $" },
        { "A=\"\\x41\"", ".env:1: in double quotes a backslash stands only before n t r \\ \" $" },
        { "A='x'y", ".env:1: something stands behind the closing quote" },
        { "A=\"x\" y", ".env:1: something stands behind the closing quote" },
        { "A=x'y'", ".env:1: a quote inside a value; put quotes around the whole value" },
        { "A=it's", ".env:1: a quote inside a value; put quotes around the whole value" },
        { "A=1\nB=2\nA=3", ".env:3: A is set in line 1 already" },
        { "A=\xFF", ".env:1: not valid UTF-8" },
        { "# fine\n# \xC3\n", ".env:2: not valid UTF-8" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct settings_env env = { .count = 4242 };
        struct bh_error error = { .message = "" };
        const int result = bh_settings_env_parse(bh_str_from(cases[i].text), ".env", &env, &error);
        if (!cases[i].message) { /* a bare CR is a blank nowhere: it becomes part of the value */
            assert_int_equal(result, 0);
            assert_string_equal(env.entries[0].value, "1\rB=2");
            bh_settings_env_fini(&env);
            continue;
        }
        assert_int_equal(result, BH_ESYNTAX);
        assert_string_equal(error.message, cases[i].message);
        assert_int_equal(env.count, 4242);
    }
    struct bh_error error;
    assert_int_equal(
        bh_settings_env_parse(BH_STR("A=1\0B=2"), "x", &(struct settings_env){ 0 }, &error),
        BH_ESYNTAX);
    assert_string_equal(error.message, "x:1: a NUL byte");
}

static void test_limits(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 20);
    struct settings_env env;
    struct bh_error error;
    for (int i = 0; i < 1024; i++)
        bh_buf_printf(&text, "NAME_%d=%d\n", i, i);
    assert_int_equal(bh_settings_env_parse(bh_buf_peek(&text), "x", &env, &error), 0);
    assert_int_equal(env.count, 1024);
    bh_settings_env_fini(&env);
    bh_buf_append_str(&text, BH_STR("ONE_MORE=1"));
    assert_int_equal(bh_settings_env_parse(bh_buf_peek(&text), "x", &env, &error), BH_ESYNTAX);
    assert_string_equal(error.message, "x:1025: too many settings");

    bh_buf_clear(&text);
    while (text.size < SETTINGS_ENV_BYTES_MAX)
        bh_buf_append_byte(&text, '#');
    assert_int_equal(bh_settings_env_parse(bh_buf_peek(&text), "x", &env, &error), 0);
    assert_int_equal(env.count, 0);
    bh_settings_env_fini(&env);
    bh_buf_append_byte(&text, '#');
    assert_int_equal(bh_settings_env_parse(bh_buf_peek(&text), "x", &env, &error), BH_ELIMIT);
    assert_string_equal(error.message, "x: larger than 65536 bytes");
}

/* ---- Files ---- */

static char folder[] = "/tmp/test_settings_env.XXXXXX";
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

static int read_path(struct settings_env *const env, char message[300])
{
    struct bh_error error = { .message = "" };
    const int result = bh_settings_env_read(path, env, &error);
    snprintf(message, 300, "%s", error.message);
    return result;
}

static void write_path(const char *const text, const size_t size)
{
    FILE *const file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_files(void **const state)
{
    (void)state;
    char message[300];
    struct settings_env env = { .count = 4242 };
    assert_int_equal(read_path(&env, message), 0); /* not there */
    assert_int_equal(env.count, 0);
    bh_settings_env_fini(&env);

    write_path("A=1\n", 4);
    assert_int_equal(read_path(&env, message), 0);
    assert_int_equal(env.count, 1);
    bh_settings_env_fini(&env);

    write_path("", 0);
    assert_int_equal(read_path(&env, message), 0);
    assert_int_equal(env.count, 0);
    bh_settings_env_fini(&env);

    char *const large = calloc(1, 1 << 20);
    memset(large, '\n', 1 << 20);
    write_path(large, SETTINGS_ENV_BYTES_MAX);
    assert_int_equal(read_path(&env, message), 0);
    bh_settings_env_fini(&env);
    write_path(large, SETTINGS_ENV_BYTES_MAX + 1);
    assert_int_equal(read_path(&env, message), BH_ELIMIT);
    write_path(large, 1 << 20);
    assert_int_equal(read_path(&env, message), BH_ELIMIT);
    free(large);
    unlink(path);
}

static void test_what_is_no_file(void **const state)
{
    (void)state;
    char message[300];
    char expected[300];
    struct settings_env env;
    snprintf(expected, sizeof(expected), "%s: not a regular file", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(read_path(&env, message), BH_EINVAL);
    assert_string_equal(message, expected);
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: it must not wait */
    assert_int_equal(read_path(&env, message), BH_EINVAL);
    assert_string_equal(message, expected);
    unlink(path);
    assert_int_equal(symlink(path, path), 0);
    assert_int_equal(read_path(&env, message), BH_EIO);
    unlink(path);
    write_path("A=1\n", 4);
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0)
        assert_int_equal(read_path(&env, message), BH_EACCESS);
    unlink(path);
}

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    write_path("A=1\nB='2'\n", 10);
    int refused = 0;
    for (unsigned n = 1;; n++) {
        char message[300];
        struct settings_env env;
        fail_alloc_arm(n);
        const int result = read_path(&env, message);
        const bool struck = fail_alloc_disarm();
        assert_int_equal(result, struck ? BH_ENOMEM : 0);
        refused += struck;
        if (!struck) {
            bh_settings_env_fini(&env);
            break;
        }
    }
    assert_true(refused >= 3);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),      cmocka_unit_test(test_malformed_lines_are_named),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_files),
        cmocka_unit_test(test_what_is_no_file), cmocka_unit_test(test_exhausted_heap),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
