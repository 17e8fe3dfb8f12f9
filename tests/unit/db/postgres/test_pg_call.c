/* Deadlines that the server keeps too: what it is told of them, and that it stops by itself. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

enum { SQL_LIMIT, SQL_SLOW_LIMIT, SQL_SLEEP, SQL_STATEMENTS };

#define LIMIT_TEXT                                                                      \
    "SELECT (extract(epoch FROM current_setting('statement_timeout')::interval) * 1000" \
    ")::bigint"

static const struct bh_statement sql[SQL_STATEMENTS] = {
    [SQL_LIMIT] = { .name = "LIMIT", .postgres = LIMIT_TEXT, .index = SQL_LIMIT },
    [SQL_SLOW_LIMIT] = { .name = "SLOW_LIMIT",
                         .postgres = LIMIT_TEXT,
                         .index = SQL_SLOW_LIMIT,
                         .is_slow = true },
    [SQL_SLEEP] = { .name = "SLEEP",
                    .postgres = "SELECT pg_sleep($1)",
                    .index = SQL_SLEEP,
                    .is_slow = true },
};

enum { OWN_MS = 30000 }; /* the driver's default */

static int setup(void **const state)
{
    if (test_database_setup(state) != 0)
        return -1;
    struct test_database *const test = *state;
    struct bh_db_options options = test_database_options(test);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    test_database_reopen(test, &options);
    return 0;
}

static void deadline_in(const uint64_t us)
{
    bh_fiber_set_deadline(bh_time_now_us() + us);
}

/* What the server lets the statement take, in ms. */
static int64_t limit_of(struct test_database *const test, const enum bh_db_lane lane,
                        const int index)
{
    struct bh_db_rows rows;
    if (bh_db_query(test->db, lane, &sql[index], NULL, 0, test->arena, &rows, &test->error) != 0)
        fail_msg("%s", test->error.message);
    return bh_db_int_at(&rows, 0, 0);
}

static int64_t limit_in(struct test_database *const test,
                        struct bh_db_transaction *const transaction)
{
    struct bh_db_rows rows;
    if (bh_db_transaction_query(transaction, &sql[SQL_LIMIT], NULL, 0, test->arena, &rows,
                                &test->error) != 0)
        fail_msg("%s", test->error.message);
    return bh_db_int_at(&rows, 0, 0);
}

static void assert_nearly(const int64_t limit_ms, const int64_t deadline_ms)
{
    if (limit_ms > deadline_ms + 1 || limit_ms < deadline_ms / 2)
        fail_msg("%lld ms for a deadline in %lld ms", (long long)limit_ms, (long long)deadline_ms);
}

/* ---- What the server is told ---- */

static void slow_statements_are_limited(void *const argument)
{
    struct test_database *const test = argument;
    static const enum bh_db_lane lanes[] = { BH_DB_READ, BH_DB_WRITE };
    for (size_t i = 0; i < BH_COUNT_OF(lanes); i++) {
        for (int round = 0; round < 3; round++) { /* prepared with it, and before */
            deadline_in(20 * BH_SECOND_US);
            assert_nearly(limit_of(test, lanes[i], SQL_SLOW_LIMIT), 20000);
            assert_int_equal(limit_of(test, lanes[i], SQL_LIMIT), OWN_MS); /* it is shared */
            bh_fiber_set_deadline(BH_NEVER_US);
            assert_int_equal(limit_of(test, lanes[i], SQL_SLOW_LIMIT), OWN_MS);
        }
        deadline_in(60 * BH_SECOND_US);
        assert_int_equal(limit_of(test, lanes[i], SQL_SLOW_LIMIT), OWN_MS);
    }
}

static void test_single_statements(void **const state)
{
    in_fiber_run(slow_statements_are_limited, *state);
}

static void limits_follow_the_deadline(void *const argument)
{
    struct test_database *const test = argument;
    struct bh_db_transaction *transaction;
    for (int round = 0; round < 2; round++) {
        deadline_in(20 * BH_SECOND_US);
        assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
        const int64_t first_ms = limit_in(test, transaction);
        assert_nearly(first_ms, 20000);
        assert_int_equal(limit_in(test, transaction), first_ms); /* not worth another text */
        deadline_in(5 * BH_SECOND_US);
        assert_nearly(limit_in(test, transaction), 5000);
        bh_fiber_set_deadline(BH_NEVER_US);
        assert_int_equal(limit_in(test, transaction), OWN_MS);
        deadline_in(10 * BH_SECOND_US); /* the first that is nearer than any statement's limit */
        assert_nearly(limit_in(test, transaction), 10000);
        bh_fiber_set_deadline(BH_NEVER_US);
        assert_int_equal(bh_db_commit(transaction, &test->error), 0);
        assert_int_equal(limit_of(test, BH_DB_WRITE, SQL_SLOW_LIMIT), OWN_MS);
    }
}

static void test_transactions(void **const state)
{
    in_fiber_run(limits_follow_the_deadline, *state);
}

/* ---- What it does by itself ---- */

/* Returns when it sleeps no more, or if it was over too soon to be seen. */
static const char until_it_has_stopped[] =
    "DO $$ DECLARE asleep bool; seen bool := false; BEGIN FOR i IN 1..500 LOOP "
    "PERFORM pg_stat_clear_snapshot(); "
    "asleep := EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active'"
    " AND query LIKE 'SELECT pg_sleep%' AND datname = current_database()); "
    "IF NOT asleep AND (seen OR i > 50) THEN RETURN; END IF; "
    "seen := seen OR asleep; PERFORM pg_sleep(0.01); END LOOP; "
    "RAISE EXCEPTION 'the server has not stopped it'; END $$";

struct sleeper {
    struct test_database *test;
    struct bh_db_transaction *transaction; /* NULL: a single statement */
    bool is_sent, has_ended;
    int result;
};

static void oversleep(void *const argument)
{
    struct sleeper *const sleeper = argument;
    const struct test_database *const test = sleeper->test;
    const struct bh_db_value seconds = bh_db_double(30);
    deadline_in(200 * BH_MS_US);
    sleeper->is_sent = true; /* before anybody else runs: a connection is free */
    sleeper->result = sleeper->transaction
                          ? bh_db_transaction_query(sleeper->transaction, &sql[SQL_SLEEP], &seconds,
                                                    1, NULL, NULL, NULL)
                          : bh_db_query(test->db, BH_DB_READ, &sql[SQL_SLEEP], &seconds, 1, NULL,
                                        NULL, NULL);
    sleeper->has_ended = true;
}

/* While the server is asked, this loop stands still: it can cancel nothing. */
static void assert_stopped(struct sleeper *const sleeper)
{
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), oversleep, sleeper), 0);
    while (!sleeper->is_sent)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    test_database_server(sleeper->test->url, until_it_has_stopped);
    while (!sleeper->has_ended)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    assert_int_equal(sleeper->result, BH_ETIMEDOUT);
}

static void the_server_stops_by_itself(void *const argument)
{
    struct test_database *const test = argument;
    struct bh_db_transaction *transaction;
    assert_int_equal(limit_of(test, BH_DB_READ, SQL_SLOW_LIMIT), OWN_MS);
    assert_stopped(&(struct sleeper){ .test = test });

    assert_int_equal(bh_db_begin(test->db, BH_DB_READ, &transaction, &test->error), 0);
    assert_int_equal(limit_in(test, transaction), OWN_MS);
    assert_stopped(&(struct sleeper){ .test = test, .transaction = transaction });
    bh_db_rollback(transaction);
    assert_int_equal(limit_of(test, BH_DB_READ, SQL_SLOW_LIMIT), OWN_MS);
}

static void test_server_stops(void **const state)
{
    in_fiber_run(the_server_stops_by_itself, *state);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_single_statements),
        TEST(test_transactions),
        TEST(test_server_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
