#include "cmocka_setup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "aborts.h"
#include "bulkhead/base/metrics.h"
#include "fail_alloc.h"

enum { PLAIN, LABELLED, GAUGE, TIMES, FALLING, OTHERS, REFUSED_TIMES, LAST };

static struct bh_metric_family families[] = {
    [PLAIN] = BH_METRIC_FAMILY(COUNTER, "test_plain_total", "Plain."),
    [LABELLED] = BH_METRIC_FAMILY(COUNTER, "test_labelled_total", "Labelled.", "one", "two"),
    [GAUGE] = BH_METRIC_FAMILY(GAUGE, "test_gauge", "Gauge."),
    [TIMES] = BH_METRIC_FAMILY(HISTOGRAM, "test_times_seconds", "Times.", "route"),
    [FALLING] = BH_METRIC_FAMILY(GAUGE, "test_falling", "Rises here, falls there.", "which"),
    [OTHERS] = BH_METRIC_FAMILY(COUNTER, "test_others_total", "Too many children.", "name"),
    [REFUSED_TIMES] = BH_METRIC_FAMILY(HISTOGRAM, "test_refused_seconds", "No room.", "name"),
    [LAST] = BH_METRIC_FAMILY(COUNTER, "test_last_total", "Registered when all is full.", "name"),
};

static int set_up(void **const state)
{
    (void)state;
    bh_metrics_register(families, LAST);
    bh_metrics_register(families, LAST); /* idempotent */
    return 0;
}

/* The number behind `sample` and a blank in the exposition, or -1. */
static long long exposed(const char *const sample)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 16 << 20);
    bh_metrics_expose(&text, false);
    bh_buf_append_byte(&text, '\0');
    assert_int_equal(bh_buf_error(&text), 0);
    char line[200];
    snprintf(line, sizeof(line), "\n%s ", sample);
    const char *const at = strstr(text.data, line);
    return at ? strtoll(at + strlen(line), NULL, 10) : -1;
}

static void test_children(void **const state)
{
    (void)state;
    const char *const values[] = { "a", "b" };
    const char *const swapped[] = { "b", "a" };
    const bh_metric child = bh_metrics_child(&families[LABELLED], values, 2);
    assert_int_equal(bh_metrics_child(&families[LABELLED], values, 2), child);
    assert_int_not_equal(bh_metrics_child(&families[LABELLED], swapped, 2), child);
    bh_metrics_add(child, 3);
    bh_metrics_add(child, 4);
    assert_int_equal(bh_metrics_value(child), 7);
    assert_int_equal(exposed("test_labelled_total{one=\"a\",two=\"b\"}"), 7);
    assert_int_equal(exposed("test_labelled_total{one=\"b\",two=\"a\"}"), 0);
    assert_int_equal(exposed("test_labelled_total{one=\"other\",two=\"other\"}"), -1);
    assert_int_equal(exposed("test_plain_total"), 0);

    /* values that would be one text if they were joined carelessly */
    const char *const tricky[] = { "a\",two=\"b", "" };
    const char *const plain[] = { "a", "b\",two=\"" };
    assert_int_not_equal(bh_metrics_child(&families[LABELLED], tricky, 2),
                         bh_metrics_child(&families[LABELLED], plain, 2));
}

/* ---- Threads ---- */

struct adder {
    bh_metric metric;
    int64_t amount;
    int times;
    pthread_barrier_t *barrier; /* all add, and hold their block, at the same time */
};

static void *add_often(void *const argument)
{
    const struct adder *const adder = argument;
    if (adder->barrier)
        pthread_barrier_wait(adder->barrier);
    for (int i = 0; i < adder->times; i++)
        bh_metrics_add(adder->metric, adder->amount);
    if (adder->barrier)
        pthread_barrier_wait(adder->barrier);
    return NULL;
}

static void run_threads(struct adder *const adders, const int count)
{
    pthread_t threads[128];
    assert_in_range(count, 1, BH_COUNT_OF(threads));
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, &adders[i]), 0);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* More threads at a time than there are blocks: the rest shares one, and no count is lost. */
static void test_many_threads_at_a_time(void **const state)
{
    (void)state;
    enum { COUNT = 100, TIMES_EACH = 100000 };
    const bh_metric metric = bh_metrics_child(&families[PLAIN], NULL, 0);
    const int64_t before = bh_metrics_value(metric);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, COUNT);
    struct adder adders[COUNT];
    for (int i = 0; i < COUNT; i++)
        adders[i] = (struct adder){ metric, 3, TIMES_EACH, &barrier };
    run_threads(adders, COUNT);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(bh_metrics_value(metric) - before, 3 * COUNT * TIMES_EACH);
}

/* Hundreds of threads, one after the other: their blocks and counts go on in the next. */
static void test_threads_that_end_leave_their_counts(void **const state)
{
    (void)state;
    const bh_metric metric = bh_metrics_child(&families[PLAIN], NULL, 0);
    const int64_t before = bh_metrics_value(metric);
    for (int i = 0; i < 300; i++) {
        struct adder adder = { .metric = metric, .amount = 1, .times = 10 };
        run_threads(&adder, 1);
    }
    assert_int_equal(bh_metrics_value(metric) - before, 3000);
}

static void test_gauges_fall_in_other_threads(void **const state)
{
    (void)state;
    const char *const which = "threads";
    const bh_metric metric = bh_metrics_child(&families[FALLING], &which, 1);
    struct adder adders[] = { { metric, 5, 1000, NULL },
                              { metric, -2, 1000, NULL },
                              { metric, -4, 1000, NULL } };
    run_threads(adders, 3);
    assert_int_equal(bh_metrics_value(metric), -1000);
    assert_int_equal(exposed("test_falling{which=\"threads\"}"), -1000);
    bh_metrics_add(metric, 1001);
    assert_int_equal(exposed("test_falling{which=\"threads\"}"), 1);
}

/* ---- Histograms ---- */

static void test_buckets(void **const state)
{
    (void)state;
    const char *const route = "edges";
    const bh_metric metric = bh_metrics_child(&families[TIMES], &route, 1);
    static const uint64_t times_us[] = { 0, 100, 101, 250, 1000000, 1000001, 60000000, 60000001 };
    for (size_t i = 0; i < BH_COUNT_OF(times_us); i++)
        bh_metrics_observe_us(metric, times_us[i]);
    static const struct {
        const char *bound;
        int count;
    } cases[] = { { "0.0001", 2 }, { "0.00025", 4 }, { "0.5", 4 },  { "1.0", 5 },
                  { "2.5", 6 },    { "30.0", 6 },    { "60.0", 7 }, { "+Inf", 8 } };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        char sample[100];
        snprintf(sample, sizeof(sample), "test_times_seconds_bucket{route=\"edges\",le=\"%s\"}",
                 cases[i].bound);
        assert_int_equal(exposed(sample), cases[i].count);
    }
    assert_int_equal(exposed("test_times_seconds_count{route=\"edges\"}"), 8);
    assert_int_equal(exposed("test_times_seconds_sum{route=\"edges\"}"), 122);
    for (int i = 0; i < 1000; i++)
        bh_metrics_observe_us(metric,
                              UINT64_MAX); /* absurd, but neither negative nor overflowing */
    assert_true(exposed("test_times_seconds_sum{route=\"edges\"}") > 0);
    assert_int_equal(exposed("test_times_seconds_count{route=\"edges\"}"), 1008);
}

static atomic_bool observers_stop;

static void *observe_until_stopped(void *const argument)
{
    const bh_metric metric = *(const bh_metric *)argument;
    for (uint64_t us = 1; !atomic_load(&observers_stop); us = us * 7 % 100000007)
        bh_metrics_observe_us(metric, us);
    return NULL;
}

/* While others count, no exposition may show a bucket below the one before it, a +Inf that is not
 * the count, or any of them below what the last exposition showed. */
static void test_exposition_is_never_torn(void **const state)
{
    (void)state;
    enum { OBSERVERS = 3, LINES = 20 };
    const char *const route = "torn";
    bh_metric metric = bh_metrics_child(&families[TIMES], &route, 1);
    pthread_t threads[OBSERVERS];
    for (int i = 0; i < OBSERVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, observe_until_stopped, &metric), 0);
    long long last[LINES] = { 0 };
    for (int round = 0; round < 200 || last[LINES - 1] < 1000; round++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
        bh_buf_init(&text, 16 << 20);
        bh_metrics_expose(&text, round % 2 == 0);
        bh_buf_append_byte(&text, '\0');
        const char *at = strstr(text.data, "test_times_seconds_bucket{route=\"torn\"");
        assert_non_null(at);
        long long counts[LINES] = { 0 };
        int line = 0;
        for (int i = 0; i < LINES + 1; i++) { /* 19 buckets, the sum, the count */
            const char *const blank = strchr(at, ' ');
            if (i != LINES - 1)
                counts[line++] = strtoll(blank, NULL, 10);
            at = strchr(at, '\n') + 1;
        }
        assert_int_equal(strncmp(at, "test_times_seconds", 18) == 0 && strstr(at, "torn"), 0);
        for (int i = 0; i < LINES; i++) {
            assert_true(counts[i] >= last[i]);
            assert_true(i == 0 || counts[i] >= counts[i - 1]);
        }
        assert_int_equal(counts[LINES - 2], counts[LINES - 1]);
        memcpy(last, counts, sizeof(last));
    }
    atomic_store(&observers_stop, true);
    for (int i = 0; i < OBSERVERS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Callbacks ---- */

static double read_number(void *const argument)
{
    return *(const double *)argument;
}

static void test_callback(void **const state)
{
    (void)state;
    double number = 41;
    bh_metrics_gauge_callback(&families[GAUGE], read_number, &number);
    assert_int_equal(exposed("test_gauge"), 41);
    number = -7;
    assert_int_equal(exposed("test_gauge"), -7);
    bh_metrics_gauge_callback(&families[GAUGE], NULL, NULL);
    assert_int_equal(exposed("test_gauge"), 0);
}

static void test_callback_of_a_child(void **const state)
{
    (void)state;
    const struct bh_metric_family *const family = &families[FALLING];
    const char *const names[] = { "read", "counted" };
    const bh_metric metric = bh_metrics_child(family, &names[0], 1);
    bh_metrics_add(bh_metrics_child(family, &names[1], 1), 3);
    double older = 41;
    double newer = 42;
    bh_metrics_child_callback(family, metric, read_number, &older);
    assert_int_equal(exposed("test_falling{which=\"read\"}"), 41);
    assert_int_equal(exposed("test_falling{which=\"counted\"}"), 3);
    bh_metrics_child_callback(family, metric, read_number, &newer);
    bh_metrics_child_callback(family, metric, NULL, &older);
    assert_int_equal(exposed("test_falling{which=\"read\"}"), 42);
    bh_metrics_child_callback(family, metric, NULL, &newer);
    assert_int_equal(exposed("test_falling{which=\"read\"}"), 0);
}

/* ---- Mistakes of programmers ---- */

static void register_one(void *const family)
{
    bh_metrics_register(family, 1);
}

static void ask_child_of(void *const family)
{
    (void)bh_metrics_child(family, NULL, 0);
}

static void observe_counter(void *const metric)
{
    bh_metrics_observe_us(*(const bh_metric *)metric, 1);
}

static void add_to_histogram(void *const metric)
{
    bh_metrics_add(*(const bh_metric *)metric, 1);
}

static void add_to_nothing(void *const metric)
{
    (void)metric;
    bh_metrics_add(4095, 1);
}

static void test_mistakes_abort(void **const state)
{
    (void)state;
    struct bh_metric_family wrong[] = {
        BH_METRIC_FAMILY(COUNTER, "test_requests", "A counter's name ends in _total."),
        BH_METRIC_FAMILY(GAUGE, "test_gauge_total", "A gauge's does not."),
        BH_METRIC_FAMILY(GAUGE, "test-gauge", "A name has no dash."),
        BH_METRIC_FAMILY(GAUGE, "9test", "Nor a digit in front."),
        BH_METRIC_FAMILY(GAUGE, "", "Nor is it empty."),
        BH_METRIC_FAMILY(GAUGE, "test_bad_label", "Label.", "a b"),
        BH_METRIC_FAMILY(GAUGE, "test_bad_label", "Label.", "a:b"),
        BH_METRIC_FAMILY(HISTOGRAM, "test_bad_label", "Label.", "le"),
        BH_METRIC_FAMILY(GAUGE, "test_bad_label", "Label.", "__name__"),
        BH_METRIC_FAMILY(GAUGE, "test_plain", "OpenMetrics calls test_plain_total so."),
        BH_METRIC_FAMILY(COUNTER, "test_labelled_total", "Other labels.", "one", "three"),
        BH_METRIC_FAMILY(HISTOGRAM, "test_gauge", "Another type."),
        BH_METRIC_FAMILY(GAUGE, "test_bad_help", "\xFF"),
    };
    for (size_t i = 0; i < BH_COUNT_OF(wrong); i++)
        assert_true(aborts(register_one, &wrong[i]));
    assert_true(aborts(ask_child_of, &wrong[0]));
    assert_true(aborts(ask_child_of, &families[LABELLED]));
    const char *const route = "mistake";
    bh_metric times = bh_metrics_child(&families[TIMES], &route, 1);
    bh_metric plain = bh_metrics_child(&families[PLAIN], NULL, 0);
    assert_true(aborts(observe_counter, &plain));
    assert_true(aborts(add_to_histogram, &times));
    assert_true(aborts(add_to_nothing, NULL));
}

/* ---- Limits: the last tests, they use everything up ---- */

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    const long long refused = exposed("metrics_children_refused_total");
    const char *const name = "no memory for this one";
    for (unsigned n = 1; n <= 2; n++) {
        fail_alloc_arm(n);
        const bh_metric metric = bh_metrics_child(&families[OTHERS], &name, 1);
        assert_true(fail_alloc_disarm());
        bh_metrics_add(metric, 1);
        assert_int_equal(exposed("test_others_total{name=\"other\"}"), n);
        assert_int_equal(exposed("metrics_children_refused_total"), refused + n);
    }
    struct bh_buf text;
    bh_buf_init(&text, 16 << 20);
    fail_alloc_arm(1);
    bh_metrics_expose(&text, false);
    fail_alloc_disarm();
    assert_true(bh_buf_error(&text) != 0);
    bh_buf_fini(&text);
}

static void test_too_long_labels(void **const state)
{
    (void)state;
    const long long before = exposed("test_others_total{name=\"other\"}");
    char *const longest = malloc(100001);
    memset(longest, '"', 100000);
    longest[100000] = '\0';
    const char *const value = longest;
    bh_metrics_add(bh_metrics_child(&families[OTHERS], &value, 1), 1);
    free(longest);
    assert_int_equal(exposed("test_others_total{name=\"other\"}"), (before > 0 ? before : 0) + 1);
}

static void test_no_slots_left(void **const state)
{
    (void)state;
    const long long refused = exposed("metrics_children_refused_total");
    const long long others = exposed("test_others_total{name=\"other\"}");
    for (int i = 0; i < 5000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        const char *const name = text;
        const bh_metric metric = bh_metrics_child(&families[OTHERS], &name, 1);
        bh_metrics_add(metric, 1);
        assert_int_equal(bh_metrics_child(&families[OTHERS], &name, 1), metric);
    }
    assert_int_equal(exposed("test_others_total{name=\"0\"}"), 1);
    assert_int_equal(exposed("test_others_total{name=\"4999\"}"), -1);
    const long long now_others = exposed("test_others_total{name=\"other\"}") - others;
    assert_in_range(now_others, 1000, 4999);
    /* each of these was asked for twice */
    assert_int_equal(exposed("metrics_children_refused_total") - refused, 2 * now_others);

    /* a histogram's room for "other" was kept at registration */
    const char *const name = "late";
    const bh_metric late = bh_metrics_child(&families[REFUSED_TIMES], &name, 1);
    bh_metrics_observe_us(late, 5);
    assert_int_equal(exposed("test_refused_seconds_count{name=\"other\"}"), 1);
    assert_int_equal(exposed("test_refused_seconds_bucket{name=\"other\",le=\"+Inf\"}"), 1);

    /* a family that comes when all is full has not even that: counted as refused, not shown */
    bh_metrics_register(&families[LAST], 1);
    const bh_metric nowhere = bh_metrics_child(&families[LAST], &name, 1);
    bh_metrics_add(nowhere, 1);
    assert_int_equal(exposed("test_last_total{name=\"late\"}"), -1);
    assert_int_equal(exposed("test_last_total{name=\"other\"}"), -1);
}

static void register_too_many(void *const argument)
{
    (void)argument;
    for (int i = 0; i < 300; i++) {
        static char names[300][32];
        static struct bh_metric_family many[300];
        snprintf(names[i], sizeof(names[i]), "test_family_%d", i);
        many[i] = (struct bh_metric_family){ .type = BH_METRIC_GAUGE,
                                             .name = names[i],
                                             .help = "One of many." };
        bh_metrics_register(&many[i], 1);
    }
}

static void test_too_many_families_abort(void **const state)
{
    (void)state;
    assert_true(aborts(register_too_many, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_many_threads_at_a_time),
        cmocka_unit_test(test_threads_that_end_leave_their_counts),
        cmocka_unit_test(test_gauges_fall_in_other_threads),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_exposition_is_never_torn),
        cmocka_unit_test(test_callback),
        cmocka_unit_test(test_callback_of_a_child),
        cmocka_unit_test(test_mistakes_abort),
        cmocka_unit_test(test_exhausted_heap),
        cmocka_unit_test(test_too_long_labels),
        cmocka_unit_test(test_no_slots_left),
        cmocka_unit_test(test_too_many_families_abort),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
