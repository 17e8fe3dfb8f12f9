/* What is PostgreSQL's own: types, prepared statements under DDL, COPY, cancellation, losses. */
#include "cmocka_setup.h"
#include "in_fiber.h"
#include "prng.h"

#include "db/database.h"

#include <math.h>
#include <signal.h>

#include "bulkhead/db/postgres.h"
#include "bulkhead/loop/standing.h"

enum {
    SQL_ECHO_INT,
    SQL_ECHO_DOUBLE,
    SQL_ECHO_TEXT,
    SQL_ECHO_BLOB,
    SQL_INTO_ANY,
    SQL_TYPES,
    SQL_ODD,
    SQL_NUMBERS,
    SQL_STAR,
    SQL_ADD_COLUMN,
    SQL_COPY,
    SQL_INSERT,
    SQL_COUNT,
    SQL_SLEEP,
    SQL_SHORT_SLEEP,
    SQL_RUNNING,
    SQL_TERMINATE,
    SQL_MY_PID,
    SQL_STATEMENTS
};

#define STATEMENT(id, text) [SQL_##id] = { .name = #id, .postgres = (text), .index = SQL_##id }

static const struct bh_statement sql[SQL_STATEMENTS] = {
    STATEMENT(ECHO_INT, "SELECT $1::bigint"),
    STATEMENT(ECHO_DOUBLE, "SELECT $1::float8"),
    STATEMENT(ECHO_TEXT, "SELECT $1::text, length($1::text)"),
    STATEMENT(ECHO_BLOB, "SELECT $1::bytea, octet_length($1::bytea)"),
    STATEMENT(INTO_ANY,
              "INSERT INTO any_types VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *"),
    STATEMENT(TYPES,
              "SELECT true, 1::int2, -2::int4, 3::int8, 0.5::float4, -0.25::float8, 't'::text,"
              " 'v'::varchar, 'c'::char(3), 'n'::name, '[1]'::json, '{\"a\":1}'::jsonb,"
              " '\\x00ff'::bytea, NULL::int, pg_sleep(0), 7::oid"),
    STATEMENT(ODD, "SELECT now()"),
    STATEMENT(NUMBERS, "SELECT x::numeric, x FROM unnest($1::text[]) x"),
    STATEMENT(STAR, "SELECT * FROM t"),
    STATEMENT(ADD_COLUMN, "ALTER TABLE t ADD COLUMN more bigint DEFAULT 5"),
    STATEMENT(COPY, "COPY t (id, name) FROM STDIN (FORMAT binary)"),
    STATEMENT(INSERT, "INSERT INTO t (id, name) VALUES ($1, $2)"),
    STATEMENT(COUNT, "SELECT count(*) FROM t"),
    [SQL_SLEEP] = { .name = "SLEEP",
                    .postgres = "SELECT pg_sleep($1)",
                    .index = SQL_SLEEP,
                    .is_slow = true },
    STATEMENT(SHORT_SLEEP, "SELECT $1::bigint FROM pg_sleep($2)"),
    STATEMENT(RUNNING, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                       " AND query LIKE 'SELECT pg_sleep%' AND datname = current_database()"),
    STATEMENT(TERMINATE, "SELECT pg_terminate_backend($1)"),
    STATEMENT(MY_PID, "SELECT pg_backend_pid()"),
};

static const char schema[] =
    "CREATE TABLE any_types (a int2, b int4, c bool, d float8, e text, f jsonb, g bytea,"
    " h bigint); CREATE TABLE t (id bigint PRIMARY KEY, name text)";

struct test {
    struct test_database *database;
    struct bh_db *db;
    struct bh_arena *arena;
    struct bh_error error;
    struct bh_db_rows rows;
};

static void reopen(struct test *const test, const struct bh_postgres_options *const postgres)
{
    struct bh_db_options options = test_database_options(test->database);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    options.transaction_idle_timeout_us = 300 * BH_MS_US;
    options.waiters_maximum = 10000;
    options.postgres = postgres;
    test_database_reopen(test->database, &options);
    test->db = test->database->db;
}

static int setup(void **const state)
{
    if (test_database_setup(state) != 0)
        return -1;
    struct test *const test = calloc(1, sizeof(*test));
    assert_non_null(test);
    test->database = *state;
    test->arena = test->database->arena;
    test_database_server(test->database->url, schema);
    reopen(test, NULL);
    *state = test;
    return 0;
}

static int teardown(void **const state)
{
    struct test *const test = *state;
    *state = test->database;
    free(test);
    return test_database_teardown(state);
}

static int query(struct test *const test, const int index,
                 const struct bh_db_value *const parameters, const size_t count)
{
    return bh_db_query(test->db, BH_DB_WRITE, &sql[index], parameters, count, test->arena,
                       &test->rows, &test->error);
}

static void runs(struct test *const test, const int index,
                 const struct bh_db_value *const parameters, const size_t count)
{
    if (query(test, index, parameters, count) != 0)
        fail_msg("%s", test->error.message);
}

/* A body in a fiber, with the database closed behind it as every test wants it. */
static void in_a_fiber(void **const state, bh_fiber_function *const body)
{
    in_fiber_run(body, *state);
}

/* ---- Values ---- */

static void values_come_back(void *const argument)
{
    struct test *const test = argument;
    static const int64_t integers[] = { 0, -1, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < BH_COUNT_OF(integers); i++) {
        runs(test, SQL_ECHO_INT, (struct bh_db_value[]){ bh_db_int(integers[i]) }, 1);
        assert_true(bh_db_int_at(&test->rows, 0, 0) == integers[i]);
    }
    static const double doubles[] = { 0.0, -1.5, 1e308, 5e-324, 0.1, INFINITY, -INFINITY };
    for (size_t i = 0; i < BH_COUNT_OF(doubles); i++) {
        runs(test, SQL_ECHO_DOUBLE, (struct bh_db_value[]){ bh_db_double(doubles[i]) }, 1);
        assert_true(bh_db_double_at(&test->rows, 0, 0) == doubles[i]);
    }
    runs(test, SQL_ECHO_DOUBLE, (struct bh_db_value[]){ bh_db_double(NAN) }, 1);
    assert_true(isnan(bh_db_double_at(&test->rows, 0, 0)));
    static const struct bh_str texts[] = {
        BH_STR("x"), BH_STR(""), BH_STR("İğşü \xF0\x9F\x93\x9A"), BH_STR("'\\\n\"$1"), { NULL, 0 }
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        runs(test, SQL_ECHO_TEXT, (struct bh_db_value[]){ bh_db_text(texts[i]) }, 1);
        assert_false(bh_db_is_null_at(&test->rows, 0, 0));
        assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 0), texts[i]));
    }
    static const struct bh_str blobs[] = { BH_STR("with\0zero"), BH_STR("\xff\xfe"), BH_STR("") };
    for (size_t i = 0; i < BH_COUNT_OF(blobs); i++) {
        runs(test, SQL_ECHO_BLOB, (struct bh_db_value[]){ bh_db_blob(blobs[i]) }, 1);
        assert_int_equal(bh_db_at(&test->rows, 0, 0)->type, BH_DB_BLOB);
        assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 0), blobs[i]));
        assert_int_equal(bh_db_int_at(&test->rows, 0, 1), blobs[i].size);
    }
    runs(test, SQL_ECHO_BLOB, (struct bh_db_value[]){ bh_db_null() }, 1);
    assert_true(bh_db_is_null_at(&test->rows, 0, 0));
}

static void test_values(void **const state)
{
    in_a_fiber(state, values_come_back);
}

static void columns_decide_the_type(void *const argument)
{
    struct test *const test = argument;
    const struct bh_str json = BH_STR("{\"k\": [1]}");
    struct bh_db_value values[] = { bh_db_int(1),
                                    bh_db_int(1),
                                    bh_db_int(1),
                                    bh_db_double(2.5),
                                    bh_db_text(json),
                                    bh_db_text(json),
                                    bh_db_blob(BH_STR("\0b")),
                                    bh_db_null() };
    runs(test, SQL_INTO_ANY, values, 8);
    for (size_t column = 0; column < 3; column++)
        assert_int_equal(bh_db_int_at(&test->rows, 0, column), 1);
    assert_true(bh_db_double_at(&test->rows, 0, 3) == 2.5);
    assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 5), BH_STR("{\"k\": [1]}")));
    assert_int_equal(bh_db_text_at(&test->rows, 0, 6).size, 2);
    assert_true(bh_db_is_null_at(&test->rows, 0, 7));
    assert_int_equal(test->rows.changes, 1);
    values[0] = bh_db_int(40000);
    assert_int_equal(query(test, SQL_INTO_ANY, values, 8), BH_EINVAL);
    assert_string_equal(test->error.sqlstate, "22003");
}

static void test_parameter_types(void **const state)
{
    in_a_fiber(state, columns_decide_the_type);
}

static void results_have_their_types(void *const argument)
{
    struct test *const test = argument;
    runs(test, SQL_TYPES, NULL, 0);
    static const int64_t integers[] = { 1, 1, -2, 3 };
    for (size_t i = 0; i < BH_COUNT_OF(integers); i++) {
        assert_int_equal(bh_db_at(&test->rows, 0, i)->type, BH_DB_INT);
        assert_int_equal(bh_db_int_at(&test->rows, 0, i), integers[i]);
    }
    assert_true(bh_db_double_at(&test->rows, 0, 4) == 0.5);
    assert_true(bh_db_double_at(&test->rows, 0, 5) == -0.25);
    static const struct bh_str texts[] = { BH_STR("t"),     BH_STR("v"),   BH_STR("c  "),
                                           BH_STR("n"),     BH_STR("[1]"), BH_STR("{\"a\": 1}"),
                                           BH_STR("\0\xff") };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++)
        assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 6 + i), texts[i]));
    assert_int_equal(bh_db_at(&test->rows, 0, 12)->type, BH_DB_BLOB);
    assert_true(bh_db_is_null_at(&test->rows, 0, 13));
    assert_true(bh_db_is_null_at(&test->rows, 0, 14));
    assert_int_equal(bh_db_int_at(&test->rows, 0, 15), 7);
    assert_int_equal(query(test, SQL_ODD, NULL, 0), BH_EUNSUPPORTED);
    assert_non_null(strstr(test->error.message, "column \"now\""));
    assert_non_null(strstr(test->error.message, "cast it"));
}

static void test_result_types(void **const state)
{
    in_a_fiber(state, results_have_their_types);
}

static void numbers_read_as_written(void *const argument)
{
    struct test *const test = argument;
    const struct bh_db_value list = bh_db_text(
        BH_STR("{0,1,-1.5,12345678901234567890.000123,0.0001,10000,100000000,0.00,-0.10,99999999,"
               "0.00000000001,1000000000000000000000,NaN,Infinity,-Infinity,10000.0001}"));
    runs(test, SQL_NUMBERS, &list, 1);
    assert_int_equal(test->rows.row_count, 16);
    for (size_t row = 0; row < test->rows.row_count; row++) {
        const struct bh_str number = bh_db_text_at(&test->rows, row, 0);
        const struct bh_str written = bh_db_text_at(&test->rows, row, 1);
        if (!bh_str_equal(number, written))
            fail_msg("%.*s was read as %.*s", BH_STR_ARGS(written), BH_STR_ARGS(number));
    }
}

static void test_numeric(void **const state)
{
    in_a_fiber(state, numbers_read_as_written);
}

static void texts_that_are_none_are_refused(void *const argument)
{
    struct test *const test = argument;
    const struct bh_db_value nul = bh_db_text(BH_STR("a\0b"));
    assert_int_equal(query(test, SQL_ECHO_TEXT, &nul, 1), BH_EINVAL);
    assert_non_null(strstr(test->error.message, "parameter 1 holds a NUL byte"));
    const struct bh_db_value broken = bh_db_text(BH_STR("a\xff"));
    assert_int_equal(query(test, SQL_ECHO_TEXT, &broken, 1), BH_EINVAL);
    assert_string_equal(test->error.sqlstate, "22021");
    const struct bh_db_value two[] = { bh_db_int(1), bh_db_int(2) };
    assert_int_equal(query(test, SQL_ECHO_INT, two, 2), BH_EINVAL);
    assert_non_null(strstr(test->error.message, "takes 1 parameters, 2 given"));
    runs(test, SQL_ECHO_INT, two, 1);
}

static void test_refused_values(void **const state)
{
    in_a_fiber(state, texts_that_are_none_are_refused);
}

/* ---- Prepared statements ---- */

static void ddl_does_not_break_statements(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_transaction *transaction;
    runs(test, SQL_STAR, NULL, 0);
    assert_int_equal(test->rows.column_count, 2);
    runs(test, SQL_ADD_COLUMN, NULL, 0);
    runs(test, SQL_STAR, NULL, 0);
    assert_int_equal(test->rows.column_count, 3);

    /* Inside a transaction nothing is repeated: it fails, and the next one works. */
    static const char drop[] = "ALTER TABLE t DROP COLUMN more";
    test_database_server(test->database->url, drop);
    int failures = 0;
    for (int i = 0; i < 40; i++) { /* whichever connection it was prepared on */
        assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
        const int result = bh_db_transaction_query(transaction, &sql[SQL_STAR], NULL, 0,
                                                   test->arena, &test->rows, &test->error);
        failures += result != 0;
        if (!result)
            assert_int_equal(test->rows.column_count, 2);
        bh_db_rollback(transaction);
    }
    assert_true(failures <= 10); /* once a connection */
    runs(test, SQL_STAR, NULL, 0);
    assert_int_equal(test->rows.column_count, 2);
}

static void test_ddl(void **const state)
{
    in_a_fiber(state, ddl_does_not_break_statements);
}

/* ---- COPY ---- */

enum { COPIED = 20000 };

static struct bh_db_value *rows_to_copy(void)
{
    static char names[COPIED][16];
    struct bh_db_value *const values = calloc((size_t)COPIED * 2, sizeof(*values));
    assert_non_null(values);
    for (int i = 0; i < COPIED; i++) {
        snprintf(names[i], sizeof(names[i]), "name %d", i);
        values[i * 2] = bh_db_int(i);
        values[i * 2 + 1] = i % 10 == 9 ? bh_db_null() : bh_db_text(bh_str_from(names[i]));
    }
    return values;
}

static void rows_are_copied(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_value *const values = rows_to_copy();
    struct bh_db_transaction *transaction;
    static const int ways[] = { SQL_COPY, SQL_INSERT };
    for (size_t way = 0; way < BH_COUNT_OF(ways); way++) {
        int64_t changes = 0;
        assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
        if (bh_db_transaction_many(transaction, &sql[ways[way]], values, 2, COPIED, &changes,
                                   &test->error) != 0)
            fail_msg("%s", test->error.message);
        assert_int_equal(changes, COPIED);
        assert_int_equal(bh_db_transaction_query(transaction, &sql[SQL_COUNT], NULL, 0, test->arena,
                                                 &test->rows, &test->error),
                         0);
        assert_int_equal(bh_db_int_at(&test->rows, 0, 0), COPIED);
        /* Again: the keys are there, and the connection survives. */
        assert_int_equal(bh_db_transaction_many(transaction, &sql[ways[way]], values, 2, COPIED,
                                                &changes, &test->error),
                         BH_EEXISTS);
        bh_db_rollback(transaction);
    }
    values[1] = bh_db_text(BH_STR("a\0b"));
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(
        bh_db_transaction_many(transaction, &sql[SQL_COPY], values, 2, COPIED, NULL, &test->error),
        BH_EINVAL);
    bh_db_rollback(transaction);
    assert_int_equal(query(test, SQL_COPY, NULL, 0), BH_EINVAL); /* COPY needs rows */
    runs(test, SQL_COUNT, NULL, 0);
    assert_int_equal(bh_db_int_at(&test->rows, 0, 0), 0);
    free(values);
}

static void test_copy(void **const state)
{
    in_a_fiber(state, rows_are_copied);
}

/* ---- Cancellation ---- */

struct sleeper {
    struct test *test;
    struct bh_fiber *fiber;
    bool in_transaction;
    int result;
    bool has_ended;
};

static void sleep_in_the_database(void *const argument)
{
    struct sleeper *const sleeper = argument;
    struct test *const test = sleeper->test;
    const struct bh_db_value seconds = bh_db_double(30);
    struct bh_error error;
    sleeper->fiber = bh_fiber_current();
    if (sleeper->in_transaction) {
        struct bh_db_transaction *transaction;
        assert_int_equal(bh_db_begin(test->db, BH_DB_READ, &transaction, &error), 0);
        sleeper->result = bh_db_transaction_query(transaction, &sql[SQL_SLEEP], &seconds, 1, NULL,
                                                  NULL, &error);
        assert_int_equal(bh_db_commit(transaction, &error), sleeper->result);
    } else {
        sleeper->result = bh_db_query(test->db, BH_DB_READ, &sql[SQL_SLEEP], &seconds, 1, NULL,
                                      NULL, &error);
    }
    sleeper->has_ended = true;
}

static int64_t running(struct test *const test)
{
    runs(test, SQL_RUNNING, NULL, 0);
    return bh_db_int_at(&test->rows, 0, 0);
}

/* Milliseconds until that many sleep in the database. */
static uint64_t wait_for_running(struct test *const test, const int64_t count)
{
    const uint64_t since_us = bh_time_now_us();
    while (running(test) != count) {
        if (bh_time_now_us() - since_us > 5 * BH_SECOND_US)
            fail_msg("not %d running", (int)count);
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    }
    return (bh_time_now_us() - since_us) / BH_MS_US;
}

static void nobody_waits_for_a_slow_statement(void *const argument)
{
    struct test *const test = argument;
    for (int round = 0; round < 6; round++) {
        struct sleeper sleeper = { .test = test, .in_transaction = round % 2 };
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), sleep_in_the_database, &sleeper), 0);
        wait_for_running(test, 1);
        bh_fiber_cancel(sleeper.fiber);
        const uint64_t stopped_ms = wait_for_running(test, 0);
        assert_true(stopped_ms <= 1000); /* some ms where nothing else runs */
        assert_true(sleeper.has_ended);
        assert_int_equal(sleeper.result, BH_ECANCELED);
    }
    /* The connections are as good as new. */
    for (int i = 0; i < 20; i++) {
        const struct bh_db_value number = bh_db_int(i);
        assert_int_equal(bh_db_query(test->db, BH_DB_READ, &sql[SQL_ECHO_INT], &number, 1,
                                     test->arena, &test->rows, &test->error),
                         0);
        assert_int_equal(bh_db_int_at(&test->rows, 0, 0), i);
    }
}

static void test_cancel(void **const state)
{
    in_a_fiber(state, nobody_waits_for_a_slow_statement);
}

static void deadlines_stop_statements(void *const argument)
{
    struct test *const test = argument;
    const struct bh_db_value seconds = bh_db_double(30);
    const uint64_t since_us = bh_time_now_us();
    bh_fiber_set_deadline(since_us + 200 * BH_MS_US);
    assert_int_equal(query(test, SQL_SLEEP, &seconds, 1), BH_ETIMEDOUT);
    assert_true(bh_time_now_us() - since_us < BH_SECOND_US);
    bh_fiber_set_deadline(BH_NEVER_US);
    wait_for_running(test, 0);
}

static void test_deadline(void **const state)
{
    in_a_fiber(state, deadlines_stop_statements);
}

static void the_server_stops_long_statements(void *const argument)
{
    struct test *const test = argument;
    const struct bh_db_value seconds[] = { bh_db_int(1), bh_db_double(30) };
    assert_int_equal(query(test, SQL_SHORT_SLEEP, seconds, 2), BH_ETIMEDOUT);
    assert_string_equal(test->error.sqlstate, "57014");
    runs(test, SQL_ECHO_INT, seconds, 1);
}

static void test_statement_timeout(void **const state)
{
    struct test *const test = *state;
    reopen(test, &(struct bh_postgres_options){ .statement_timeout_us = 200 * BH_MS_US });
    in_a_fiber(state, the_server_stops_long_statements);
}

/* ---- Many at once, cancelled at random ---- */

struct crowd {
    struct test *test;
    unsigned left;
    unsigned answered, canceled;
    struct bh_fiber *waiter;
    uint64_t seed;
};

struct member {
    struct crowd *crowd;
    struct bh_fiber *fiber;
    int64_t number;
};

static void ask_for_my_number(void *const argument)
{
    struct member *const member = argument;
    struct crowd *const crowd = member->crowd;
    struct bh_arena *arena;
    struct bh_db_rows rows;
    struct bh_error error;
    member->fiber = bh_fiber_current();
    assert_int_equal(bh_arena_create(4096, &arena), 0);
    const struct bh_db_value values[] = { bh_db_int(member->number),
                                          bh_db_double((double)(member->number % 7) / 2000) };
    const int result = bh_db_query(crowd->test->db, BH_DB_READ, &sql[SQL_SHORT_SLEEP], values, 2,
                                   arena, &rows, &error);
    if (!result) {
        assert_int_equal(rows.row_count, 1);
        assert_int_equal(bh_db_int_at(&rows, 0, 0), member->number);
        crowd->answered++;
    } else {
        if (result != BH_ECANCELED)
            fail_msg("%s", error.message);
        crowd->canceled++;
    }
    bh_arena_destroy(arena);
    member->fiber = NULL;
    if (--crowd->left == 0)
        bh_fiber_wake(crowd->waiter);
}

static void no_answer_goes_astray(void *const argument)
{
    enum { MEMBERS = 400, ROUNDS = 5 };
    struct test *const test = argument;
    static struct member members[MEMBERS];
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {
            .test = test, .left = MEMBERS, .waiter = bh_fiber_current(), .seed = (uint64_t)round + 1
        };
        for (int i = 0; i < MEMBERS; i++) {
            members[i] = (struct member){ .crowd = &crowd, .number = round * MEMBERS + i };
            assert_int_equal(bh_fiber_spawn(bh_loop_current(), ask_for_my_number, &members[i]), 0);
        }
        while (crowd.left > 0) {
            struct member *const member = &members[prng_next(&crowd.seed) % MEMBERS];
            if (member->fiber && prng_next(&crowd.seed) % 2)
                bh_fiber_cancel(member->fiber);
            assert_int_equal(bh_fiber_sleep(BH_MS_US / 2), 0);
        }
        assert_int_equal(crowd.answered + crowd.canceled, MEMBERS);
        assert_true(crowd.canceled > 0 && crowd.answered > 0);
    }
}

static void test_crowd(void **const state)
{
    in_a_fiber(state, no_answer_goes_astray);
}

/* ---- Who comes first ---- */

struct taker {
    struct test *test;
    struct bh_fiber_standing standing;
    bool is_granted, is_to_end, has_ended;
    int result;
    struct bh_error error;
};

static void hold_a_connection(void *const argument)
{
    struct taker *const taker = argument;
    struct bh_db_transaction *transaction;
    bh_fiber_set_standing(taker->standing);
    taker->result = bh_db_begin(taker->test->db, BH_DB_WRITE, &transaction, &taker->error);
    taker->is_granted = taker->result == 0;
    while (taker->is_granted && !taker->is_to_end)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    if (taker->is_granted)
        bh_db_rollback(transaction);
    taker->has_ended = true;
}

static void await(const bool *const is_so)
{
    while (!*is_so)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
}

static void end_taker(struct taker *const taker)
{
    taker->is_to_end = true;
    await(&taker->has_ended);
}

static void the_line_goes_by_standing(void *const argument)
{
    struct test *const test = argument;
    enum { A, B, C, AGAIN, OTHER, LOW, HIGH, COUNT };
    struct taker takers[COUNT];
    for (int i = 0; i < COUNT; i++)
        takers[i] = (struct taker){ .test = test, .standing = { .tenant = 1 } };
    takers[OTHER].standing.tenant = 2;
    takers[LOW].standing = (struct bh_fiber_standing){ .priority = BH_FIBER_LOW };
    takers[HIGH].standing = (struct bh_fiber_standing){ .priority = BH_FIBER_HIGH };
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), hold_a_connection, &takers[i]), 0);
        if (i <= C)
            await(&takers[i].is_granted);
    }
    await(&takers[HIGH].is_granted); /* the reserve */
    end_taker(&takers[HIGH]);
    assert_int_equal(bh_fiber_sleep(100 * BH_MS_US), 0);
    assert_false(takers[AGAIN].is_granted || takers[OTHER].is_granted || takers[LOW].is_granted);
    end_taker(&takers[A]);
    await(&takers[OTHER].is_granted); /* its tenant has none, the first in line's has two */
    assert_false(takers[AGAIN].is_granted);
    assert_int_equal(bh_fiber_sleep(1100 * BH_MS_US), 0); /* the line stands for that long */
    end_taker(&takers[B]);
    await(&takers[AGAIN].is_granted);
    await(&takers[LOW].has_ended);
    assert_int_equal(takers[LOW].result, BH_EBUSY);
    assert_non_null(strstr(takers[LOW].error.message, "the line has been too long for a while"));
    end_taker(&takers[C]);
    end_taker(&takers[AGAIN]);
    end_taker(&takers[OTHER]);
}

static void test_standing(void **const state)
{
    reopen(*state, &(struct bh_postgres_options){ .loops = 1, .write_maximum = 4 });
    in_a_fiber(state, the_line_goes_by_standing);
}

/* ---- Losses ---- */

static void idle_transactions_end(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_transaction *transaction;
    const struct bh_db_value values[] = { bh_db_int(1), bh_db_null() };
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(
        bh_db_transaction_query(transaction, &sql[SQL_INSERT], values, 2, NULL, NULL, NULL), 0);
    assert_int_equal(bh_fiber_sleep(600 * BH_MS_US), 0);
    assert_int_equal(
        bh_db_transaction_query(transaction, &sql[SQL_INSERT], values, 2, NULL, NULL, &test->error),
        BH_ETIMEDOUT);
    assert_string_equal(test->error.sqlstate, "25P03");
    assert_int_equal(bh_db_commit(transaction, &test->error), BH_ETIMEDOUT);
    runs(test, SQL_COUNT, NULL, 0);
    assert_int_equal(bh_db_int_at(&test->rows, 0, 0), 0);
}

static void test_idle_transaction(void **const state)
{
    in_a_fiber(state, idle_transactions_end);
}

static void a_lost_connection_is_told_and_replaced(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_transaction *transaction;
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(bh_db_transaction_query(transaction, &sql[SQL_MY_PID], NULL, 0, test->arena,
                                             &test->rows, &test->error),
                     0);
    const struct bh_db_value pid = bh_db_int(bh_db_int_at(&test->rows, 0, 0));
    runs(test, SQL_TERMINATE, &pid, 1);
    assert_int_equal(bh_db_transaction_query(transaction, &sql[SQL_MY_PID], NULL, 0, test->arena,
                                             &test->rows, &test->error),
                     BH_EUNAVAILABLE);
    assert_string_equal(test->error.sqlstate, "57P01");
    bh_db_rollback(transaction);
    runs(test, SQL_COUNT, NULL, 0);
}

static void test_terminated(void **const state)
{
    in_a_fiber(state, a_lost_connection_is_told_and_replaced);
}

static void a_silent_server_is_given_up(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_transaction *transaction;
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(bh_db_transaction_query(transaction, &sql[SQL_MY_PID], NULL, 0, test->arena,
                                             &test->rows, &test->error),
                     0);
    const pid_t pid = (pid_t)bh_db_int_at(&test->rows, 0, 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    const int result = bh_db_commit(transaction, &test->error);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(result, BH_EUNAVAILABLE);
    assert_non_null(strstr(test->error.message, "outcome is not known"));
    runs(test, SQL_COUNT, NULL, 0);
}

static void test_silent_server(void **const state)
{
    struct test *const test = *state;
    reopen(test, &(struct bh_postgres_options){ .statement_timeout_us = 200 * BH_MS_US });
    in_a_fiber(state, a_silent_server_is_given_up);
}

/* ---- Opening ---- */

static void does_not_open(struct test *const test, const char *const url, const int code,
                          const char *const words)
{
    struct bh_db_options options = test_database_options(test->database);
    struct bh_db *db = NULL;
    options.url = url;
    assert_int_equal(bh_db_open(&options, &db, &test->error), code);
    assert_null(db);
    if (!strstr(test->error.message, words))
        fail_msg("\"%s\" does not tell \"%s\"", test->error.message, words);
    assert_null(strstr(test->error.message, "s3cret"));
}

static void test_urls(void **const state)
{
    struct test *const test = *state;
    char url[200];
    does_not_open(test, "postgresql://me:s3cret%zz@127.0.0.1/x", BH_EINVAL, "malformed");
    does_not_open(test, "postgresql://me:s3cret@127.0.0.1:1/x", BH_EUNAVAILABLE,
                  "PostgreSQL at 127.0.0.1:1/x: connection to server at \"127.0.0.1\", port 1 "
                  "failed: Connection refused; start the server");
    does_not_open(test, "postgres://me:s3cret@no.such.host.invalid/x", BH_EUNAVAILABLE,
                  "check the host's name");
    snprintf(url, sizeof(url), "%s_not", test->database->url);
    does_not_open(test, url, BH_ENOTFOUND, "does not exist; create it");
    snprintf(url, sizeof(url), "%s?no_such_parameter=1", test->database->url);
    does_not_open(test, url, BH_EINVAL, "malformed");
    assert_string_equal(bh_db_backend(test->db), "postgresql");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_values),
        TEST(test_parameter_types),
        TEST(test_result_types),
        TEST(test_numeric),
        TEST(test_refused_values),
        TEST(test_ddl),
        TEST(test_copy),
        TEST(test_cancel),
        TEST(test_deadline),
        TEST(test_crowd),
        TEST(test_standing),
        TEST(test_statement_timeout),
        TEST(test_idle_transaction),
        TEST(test_terminated),
        TEST(test_silent_server),
        TEST(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
