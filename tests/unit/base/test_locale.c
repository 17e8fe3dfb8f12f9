/* Numbers in JSON and metrics keep their decimal point in a locale that writes a comma. The locale
 * is made for the test, so it needs none installed. */
#include "cmocka_setup.h"

#include <ftw.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/metrics.h"

static char folder[] = "/tmp/test_locale.XXXXXX";
static bool has_comma;

static const char source[] = "LC_NUMERIC\n"
                             "decimal_point \"<U002C>\"\n"
                             "thousands_sep \"<U002E>\"\n"
                             "grouping 3;3\n"
                             "END LC_NUMERIC\n";

/* Runs localedef; its warnings about the categories that are not there are expected. */
static bool make_locale(void)
{
    const pid_t child = fork();
    if (child == 0) {
        FILE *const file = chdir(folder) == 0 ? fopen("comma", "we") : NULL;
        if (!file || fputs(source, file) < 0 || fclose(file) != 0 ||
            !freopen("/dev/null", "w", stderr))
            _exit(1);
        execlp("localedef", "localedef", "--no-archive", "-c", "-i", "comma", "./comma_locale",
               (char *)NULL);
        _exit(1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return false;
    return setlocale(LC_NUMERIC, "comma_locale") != NULL;
}

static int set_up(void **const state)
{
    (void)state;
    if (!mkdtemp(folder) || setenv("LOCPATH", folder, 1) != 0)
        return -1;
    char text[16] = "";
    if (make_locale())
        snprintf(text, sizeof(text), "%.1f", 1.5);
    has_comma = strcmp(text, "1,5") == 0;
    return 0;
}

static int remove_entry(const char *const path, const struct stat *const status, const int type,
                        struct FTW *const place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static int tear_down(void **const state)
{
    (void)state;
    setlocale(LC_NUMERIC, "C");
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_json(void **const state)
{
    (void)state;
    if (!has_comma)
        skip(); /* no localedef here */
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1 << 16);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_array_begin(&json);
    bh_json_double(&json, 0.25);
    bh_json_double(&json, 1.0 / 3);
    bh_json_double(&json, 5e-324);
    bh_json_fixed(&json, -1234567.891, 2);
    bh_json_fixed(&json, 1234567.891, 0);
    bh_json_array_end(&json);
    assert_true(bh_str_equal(bh_buf_peek(&buf),
                             BH_STR("[0.25,0.3333333333333333,5e-324,-1234567.89,1234568]")));
    json_t *tree = NULL;
    assert_int_equal(bh_json_parse(bh_buf_peek(&buf), 2, &tree, NULL), 0);
    assert_true(json_real_value(json_array_get(tree, 0)) * 4 == 1.0);
    json_decref(tree);
}

static double read_third(void *const argument)
{
    (void)argument;
    return 1.0 / 3;
}

static void test_metrics(void **const state)
{
    (void)state;
    if (!has_comma)
        skip();
    static struct bh_metric_family families[] = {
        BH_METRIC_FAMILY(GAUGE, "test_third", "A third."),
        BH_METRIC_FAMILY(HISTOGRAM, "test_seconds", "Times."),
    };
    bh_metrics_register(families, BH_COUNT_OF(families));
    bh_metrics_gauge_callback(&families[0], read_third, NULL);
    bh_metrics_observe_us(bh_metrics_child(&families[1], NULL, 0), 1500001);
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 16);
    bh_metrics_expose(&text, true);
    bh_buf_append_byte(&text, '\0');
    assert_non_null(strstr(text.data, "\ntest_third 0.3333333333333333\n"));
    assert_non_null(strstr(text.data, "\ntest_seconds_bucket{le=\"2.5\"} 1\n"));
    assert_non_null(strstr(text.data, "\ntest_seconds_sum 1.500001\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
