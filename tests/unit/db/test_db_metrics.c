/* Durations by statement stay bounded, and what is counted is what was done. */
#include "cmocka_setup.h"

#include "db/database.h"

#include "db/db_metrics.h"

static bool exposes(const char *const line)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 1024 * 1024);
    bh_metrics_expose(&buf, false);
    bh_buf_append_byte(&buf, '\0');
    assert_int_equal(bh_buf_error(&buf), 0);
    const bool found = strstr(buf.data, line) != NULL;
    bh_buf_fini(&buf);
    return found;
}

static void test_counts(void **const state)
{
    struct test_database *const test = *state;
    static const struct bh_statement one = { .name = "one", .sqlite = "SELECT 1" };
    static const struct bh_statement wrong = { .name = "wrong", .sqlite = "SELECT" };
    for (int i = 0; i < 3; i++)
        assert_int_equal(bh_db_query(test->db, BH_DB_READ, &one, NULL, 0, NULL, NULL, NULL), 0);
    assert_int_equal(bh_db_query(test->db, BH_DB_READ, &wrong, NULL, 0, NULL, NULL, NULL),
                     BH_EINTERNAL);
    assert_true(exposes("db_query_duration_seconds_count{statement=\"one\"} 3\n"));
    assert_true(exposes("db_acquire_wait_seconds_count{lane=\"read\"} 4\n"));
    assert_true(exposes("db_errors_total{code=\"BH_EINTERNAL\"} 1\n"));
    assert_true(exposes("db_connections{lane=\"read\"} 4\n"));
    assert_true(exposes("db_connections{lane=\"write\"} 1\n"));
    assert_true(exposes("db_connections_active{lane=\"read\"} 0\n"));
    assert_true(exposes("db_calls_waiting{lane=\"read\"} 0\n"));
    bh_db_close(test->db);
    test->db = NULL;
    assert_true(exposes("db_connections{lane=\"read\"} 0\n"));
}

static void test_names_are_bounded(void **const state)
{
    (void)state;
    static char names[200][16];
    bh_metric last = -1;
    int different = 0;
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "statement_%d", i);
        const bh_metric metric = bh_db_metrics_statement(names[i]);
        different += metric != last;
        last = metric;
    }
    assert_in_range(different, 50, 65);
    assert_int_equal(bh_db_metrics_statement("one more"), last);
    assert_int_not_equal(bh_db_metrics_statement(names[0]), last);
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_counts),
        TEST(test_names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
