#include "cmocka_setup.h"

#include <float.h>
#include <math.h>

#include "bulkhead/base/metrics.h"

static struct bh_metric_family families[] = {
    BH_METRIC_FAMILY(COUNTER, "api_requests_total", "Requests, \"good\" \\ bad.\nAll of them.",
                     "path", "status"),
    BH_METRIC_FAMILY(GAUGE, "api_in_flight", "Requests being handled."),
    BH_METRIC_FAMILY(HISTOGRAM, "api_request_duration_seconds", "Time to answer.", "route"),
    BH_METRIC_FAMILY(GAUGE, "api_empty", "No child yet.", "name"),
    BH_METRIC_FAMILY(GAUGE, "api_measured", "Read at exposition."),
};

static double measured;

static double read_measured(void *const argument)
{
    (void)argument;
    return measured;
}

static int set_up(void **const state)
{
    (void)state;
    bh_metrics_register(families, BH_COUNT_OF(families));
    const char *const odd[] = { "C:\\dir \"x\"\nnext ç \xFF", "200" };
    const char *const even[] = { "", "404" };
    bh_metrics_add(bh_metrics_child(&families[0], odd, 2), 12);
    bh_metrics_add(bh_metrics_child(&families[0], even, 2), INT64_C(9007199254740993));
    bh_metrics_add(bh_metrics_child(&families[1], NULL, 0), 3);
    const char *const route = "/search";
    const bh_metric times = bh_metrics_child(&families[2], &route, 1);
    bh_metrics_observe_us(times, 90);
    bh_metrics_observe_us(times, 1200);
    bh_metrics_observe_us(times, 70000000);
    bh_metrics_gauge_callback(&families[4], read_measured, NULL);
    measured = 0.25;
    return 0;
}

#define COUNTER_SAMPLES                                                                           \
    "api_requests_total{path=\"C:\\\\dir \\\"x\\\"\\nnext ç \xEF\xBF\xBD\",status=\"200\"} 12\n" \
    "api_requests_total{path=\"\",status=\"404\"} 9007199254740993\n"

#define BUCKET(bound, count) \
    "api_request_duration_seconds_bucket{route=\"/search\",le=\"" bound "\"} " count "\n"

#define REST                                                                                       \
    "# HELP api_in_flight Requests being handled.\n"                                               \
    "# TYPE api_in_flight gauge\n"                                                                 \
    "api_in_flight 3\n"                                                                            \
    "# HELP api_request_duration_seconds Time to answer.\n"                                        \
    "# TYPE api_request_duration_seconds histogram\n" BUCKET("0.0001", "1") BUCKET("0.00025", "1") \
        BUCKET("0.0005", "1") BUCKET("0.001", "1") BUCKET("0.0025", "2") BUCKET("0.005", "2")      \
            BUCKET("0.01", "2") BUCKET("0.025", "2") BUCKET("0.05", "2") BUCKET("0.1", "2")        \
                BUCKET("0.25", "2") BUCKET("0.5", "2") BUCKET("1.0", "2") BUCKET("2.5", "2")       \
                    BUCKET("5.0", "2") BUCKET("10.0", "2") BUCKET("30.0", "2") BUCKET("60.0", "2") \
                        BUCKET(                                                                    \
                            "+Inf",                                                                \
                            "3") "api_request_duration_seconds_sum{route=\"/search\"} 70.00129\n"  \
                                 "api_request_duration_seconds_count{route=\"/search\"} 3\n"       \
                                 "# HELP api_empty No child yet.\n"                                \
                                 "# TYPE api_empty gauge\n"                                        \
                                 "# HELP api_measured Read at exposition.\n"                       \
                                 "# TYPE api_measured gauge\n"                                     \
                                 "api_measured 0.25\n"

static const char prometheus[] =
    "# HELP metrics_children_refused_total Label sets that found no room and were counted as "
    "\"other\".\n"
    "# TYPE metrics_children_refused_total counter\n"
    "metrics_children_refused_total 0\n"
    "# HELP api_requests_total Requests, \"good\" \\\\ bad.\\nAll of them.\n"
    "# TYPE api_requests_total counter\n" COUNTER_SAMPLES REST;

static const char openmetrics[] =
    "# HELP metrics_children_refused Label sets that found no room and were counted as "
    "\\\"other\\\".\n"
    "# TYPE metrics_children_refused counter\n"
    "metrics_children_refused_total 0\n"
    "# HELP api_requests Requests, \\\"good\\\" \\\\ bad.\\nAll of them.\n"
    "# TYPE api_requests counter\n" COUNTER_SAMPLES REST "# EOF\n";

static void check(const bool is_openmetrics, const char *const expected)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 20);
    bh_metrics_expose(&text, is_openmetrics);
    bh_buf_append_byte(&text, '\0');
    assert_int_equal(bh_buf_error(&text), 0);
    assert_string_equal(text.data, expected);
}

static void test_prometheus_to_the_letter(void **const state)
{
    (void)state;
    check(false, prometheus);
}

static void test_openmetrics_to_the_letter(void **const state)
{
    (void)state;
    check(true, openmetrics);
}

static void test_numbers_of_callbacks(void **const state)
{
    (void)state;
    static const struct {
        double value;
        const char *line;
    } cases[] = {
        { 0, "\napi_measured 0\n" },
        { 12345678901.0, "\napi_measured 12345678901\n" },
        { -3, "\napi_measured -3\n" },
        { 1.5e-9, "\napi_measured 1.5e-9\n" },
        { 1e300, "\napi_measured 1e300\n" },
        { DBL_MAX, "\napi_measured 1.7976931348623157e308\n" },
        { (double)NAN, "\napi_measured NaN\n" },
        { (double)INFINITY, "\napi_measured +Inf\n" },
        { (double)-INFINITY, "\napi_measured -Inf\n" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        measured = cases[i].value;
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
        bh_buf_init(&text, 1 << 20);
        bh_metrics_expose(&text, false);
        assert_true(bh_str_ends_with(bh_buf_peek(&text), bh_str_from(cases[i].line)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus_to_the_letter),
        cmocka_unit_test(test_openmetrics_to_the_letter),
        cmocka_unit_test(test_numbers_of_callbacks),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
