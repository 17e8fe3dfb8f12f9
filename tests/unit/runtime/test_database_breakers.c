#include "cmocka_setup.h"

#include "bulkhead/runtime/database_breakers.h"
#include "db/database.h"

static struct bh_database_breakers *breakers;

static const struct bh_statement create_table = { .name = "create",
                                                  .sqlite = "CREATE TABLE t (a)" };
static const struct bh_statement insert = { .name = "insert",
                                            .sqlite = "INSERT INTO t VALUES (1)" };
static const struct bh_statement wrong = { .name = "wrong",
                                           .sqlite = "SELECT nothing FROM nowhere" };

static int setup(void **const state)
{
    struct bh_breaker_options options;
    bh_breaker_options_default(&options);
    options.calls_minimum = 4;
    assert_int_equal(bh_database_breakers_create(&options, &breakers, NULL), 0);
    const int result = test_database_setup(state);
    struct test_database *const test = *state;
    struct bh_db_options database = test_database_options(test);
    database.gate = bh_database_breakers_gate(breakers);
    test_database_reopen(test, &database);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &create_table, NULL, 0, NULL, NULL, NULL),
                     0);
    return result;
}

static int teardown(void **const state)
{
    const int result = test_database_teardown(state);
    bh_database_breakers_destroy(breakers);
    return result;
}

static struct bh_breaker_status status_of(const enum bh_db_lane lane)
{
    struct bh_breaker_status statuses[2];
    assert_int_equal(bh_breaker_list(statuses, 2, bh_time_now_us()), 2);
    assert_string_equal(statuses[lane].dependency, "database");
    assert_string_equal(statuses[lane].operation, lane == BH_DB_READ ? "read" : "write");
    return statuses[lane];
}

static int fail_as_told(struct bh_sqlite_session *const session, void *const argument,
                        struct bh_error *const reterr)
{
    (void)session;
    return bh_error_set(reterr, *(const int *)argument, "as told");
}

static void fail_times(struct bh_db *const db, const unsigned times, int code)
{
    for (unsigned i = 0; i < times; i++)
        assert_int_equal(bh_sqlite_run(db, BH_DB_READ, "test", fail_as_told, &code, NULL), code);
}

static void test_a_lane_that_fails_is_left_alone(void **const state)
{
    const struct test_database *const test = *state;
    fail_times(test->db, 4, BH_EIO);
    assert_int_equal(status_of(BH_DB_READ).state, BH_BREAKER_OPEN);
    struct bh_error error;
    struct bh_db_transaction *transaction;
    assert_int_equal(bh_db_begin(test->db, BH_DB_READ, &transaction, &error), BH_EUNAVAILABLE);
    assert_int_equal(error.retry_s, 60);
    assert_int_equal(bh_db_query(test->db, BH_DB_READ, &wrong, NULL, 0, NULL, NULL, &error),
                     BH_EUNAVAILABLE);
    assert_int_equal(status_of(BH_DB_READ).rejected, 2);
    assert_int_equal(status_of(BH_DB_WRITE).state, BH_BREAKER_CLOSED);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &insert, NULL, 0, NULL, NULL, NULL), 0);
}

static void test_what_is_not_its_fault_does_not_count(void **const state)
{
    const struct test_database *const test = *state;
    fail_times(test->db, 4, BH_ECANCELED);
    assert_int_equal(status_of(BH_DB_READ).calls, 0);
    fail_times(test->db, 4, BH_EINVAL);
    for (unsigned i = 0; i < 4; i++)
        assert_true(bh_db_query(test->db, BH_DB_READ, &wrong, NULL, 0, NULL, NULL, NULL) < 0);
    assert_int_equal(status_of(BH_DB_READ).calls, 8);
    assert_int_equal(status_of(BH_DB_READ).failed, 0);
}

static void test_a_transaction_is_one_call(void **const state)
{
    const struct test_database *const test = *state;
    const unsigned before = status_of(BH_DB_WRITE).calls;
    struct bh_db_transaction *transaction;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, NULL), 0);
        for (unsigned j = 0; j < 3; j++)
            assert_int_equal(
                bh_db_transaction_query(transaction, &insert, NULL, 0, NULL, NULL, NULL), 0);
        if (i == 0)
            assert_int_equal(bh_db_commit(transaction, NULL), 0);
        else
            bh_db_rollback(transaction);
    }
    assert_int_equal(status_of(BH_DB_WRITE).calls, before + 2);
    assert_int_equal(status_of(BH_DB_WRITE).failed, 0);
}

static void test_the_pool_holds_it_open(void **const state)
{
    const struct test_database *const test = *state;
    const struct bh_db_gate *const gate = bh_database_breakers_gate(breakers);
    gate->host(gate->argument, BH_DB_WRITE, true);
    assert_int_equal(status_of(BH_DB_WRITE).state, BH_BREAKER_OPEN);
    assert_true(status_of(BH_DB_WRITE).is_held);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &insert, NULL, 0, NULL, NULL, NULL), 0);
    gate->host(gate->argument, BH_DB_WRITE, false);
    assert_int_equal(status_of(BH_DB_WRITE).state, BH_BREAKER_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_lane_that_fails_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_its_fault_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_transaction_is_one_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_pool_holds_it_open, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
