/* Timing, counting by fingerprint, slow and repeated statements; over a real database. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "bulkhead/db/postgres.h"
#include "bulkhead/db/trace.h"
#include "db/db_metrics.h"
#include "db/trace.h"

enum { SQL_CREATE, SQL_INSERT, SQL_LIST, SQL_COUNT, SQL_WRONG, SQL_STEPS, SQL_STATEMENTS };

#define STATEMENT(id, its_name, its_sqlite, its_postgres) \
    [id] = { .name = (its_name), .sqlite = (its_sqlite), .postgres = (its_postgres), .index = (id) }

static const struct bh_statement sql[SQL_STATEMENTS] = {
    STATEMENT(SQL_CREATE, "create", "CREATE TABLE t (a)", "CREATE TABLE t (a bigint)"),
    STATEMENT(SQL_INSERT, "insert", "INSERT INTO t VALUES (?1)", "INSERT INTO t VALUES ($1)"),
    STATEMENT(SQL_LIST, "list", "SELECT a FROM t\n  WHERE a > 0", "SELECT a FROM t\n  WHERE a > 0"),
    STATEMENT(SQL_COUNT, "count", "SELECT count(*) FROM t", "SELECT count(*) FROM t"),
    STATEMENT(SQL_WRONG, "wrong", "SELECT a FROM nowhere", "SELECT a FROM nowhere"),
    STATEMENT(SQL_STEPS, "steps",
              "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)"
              " SELECT max(x) FROM n",
              "SELECT max(x) FROM generate_series(1, $1::bigint) AS n (x)"),
};

static struct test_database *database;

static int setup(void **const state)
{
    bh_trace_setup(&(struct bh_trace_options){ .slow_us = BH_SECOND_US, .runs_maximum = 10 });
    const int result = test_database_setup(state);
    database = *state;
    struct bh_db_options options = test_database_options(database);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    /* One connection that writes, as SQLite has. */
    options.postgres = &(struct bh_postgres_options){
        .read_minimum = 1, .read_maximum = 4, .write_minimum = 1, .write_maximum = 1
    };
    test_database_reopen(database, &options);
    return result;
}

static int run(const int index, const int64_t parameter)
{
    const struct bh_db_value value = bh_db_int(parameter);
    const bool has_parameter = index == SQL_INSERT || index == SQL_STEPS;
    const bool writes = index == SQL_CREATE || index == SQL_INSERT;
    struct bh_db_rows rows;
    bh_arena_reset(database->arena);
    return bh_db_query(database->db, writes ? BH_DB_WRITE : BH_DB_READ, &sql[index], &value,
                       has_parameter, database->arena, &rows, &database->error);
}

/* The figures of a name since the process began; all zero if it has not run. */
static struct bh_trace_row row_of(const char *const name)
{
    static struct bh_trace_row rows[BH_TRACE_ROWS_MAX];
    const size_t count = bh_trace_read(rows);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i];
    }
    return (struct bh_trace_row){ 0 };
}

/* ---- Log ---- */

static int log_pipe[2];

static void log_begin(void)
{
    bh_log_flush(); /* repeats of before */
    assert_int_equal(pipe2(log_pipe, O_CLOEXEC), 0);
    bh_log_setup(BH_LOG_WARNING, BH_LOG_JSON, log_pipe[1]);
}

/* What was logged since log_begin. */
static const char *log_end(void)
{
    static char text[65536];
    size_t size = 0;
    bh_log_setup(BH_LOG_INFO, BH_LOG_TEXT, STDERR_FILENO);
    close(log_pipe[1]);
    for (ssize_t got; (got = read(log_pipe[0], text + size, sizeof(text) - 1 - size)) > 0;)
        size += (size_t)got;
    text[size] = '\0';
    close(log_pipe[0]);
    return text;
}

static int lines_in(const char *text)
{
    int lines = 0;
    while ((text = strchr(text, '\n'))) {
        lines++;
        text++;
    }
    return lines;
}

/* ---- Counting ---- */

static void test_statements_are_counted(void **const state)
{
    (void)state;
    const struct bh_trace_row before = row_of("insert");
    assert_int_equal(run(SQL_CREATE, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(run(SQL_INSERT, i + 1), 0);
    assert_int_equal(run(SQL_LIST, 0), 0);
    assert_int_not_equal(run(SQL_WRONG, 0), 0);

    const struct bh_trace_row insert = row_of("insert");
    assert_int_equal(insert.executions - before.executions, 3);
    assert_int_equal(insert.rows - before.rows, 3);
    assert_int_equal(insert.errors, 0);
    assert_true(insert.executed_us > 0 && insert.mean_us <= insert.maximum_us);
    assert_true(insert.p95_us <= insert.maximum_us);
    const struct bh_trace_row list = row_of("list");
    assert_int_equal(list.rows, 3);
    assert_string_equal(list.text, database->server ? "SELECT a FROM t WHERE a > $1"
                                                    : "SELECT a FROM t WHERE a > ?");
    const struct bh_trace_row wrong = row_of("wrong");
    assert_int_equal(wrong.executions, 1);
    assert_int_equal(wrong.errors, 1);
}

static int count_steps(struct bh_sqlite_session *const session, void *const argument,
                       struct bh_error *const reterr)
{
    (void)session;
    (void)reterr;
    const uint64_t until_us = bh_time_now_us() + *(const uint64_t *)argument;
    while (bh_time_now_us() < until_us) {
    }
    return 0;
}

static void test_sqlite_runs_are_timed(void **const state)
{
    (void)state;
    uint64_t spin_us = 20000;
    assert_int_equal(bh_sqlite_run(database->db, BH_DB_READ, "spin", count_steps, &spin_us, NULL),
                     0);
    const struct bh_trace_row spin = row_of("spin");
    assert_int_equal(spin.executions, 1);
    assert_true(spin.executed_us >= spin_us && spin.p95_us >= spin_us);
    struct bh_buf metrics;
    bh_buf_init(&metrics, 1 << 20);
    bh_metrics_expose(&metrics, false);
    assert_int_equal(bh_buf_error(&metrics), 0);
    bh_buf_append_byte(&metrics, '\0');
    assert_non_null(strstr(bh_buf_peek(&metrics).data,
                           "db_query_duration_seconds_count{statement=\"spin\"} 1"));
    bh_buf_fini(&metrics);
}

static void test_transactions_are_timed(void **const state)
{
    (void)state;
    const uint64_t begins = row_of("begin").executions, commits = row_of("commit").executions;
    const uint64_t rollbacks = row_of("rollback").executions;
    struct bh_db_transaction *transaction;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bh_db_begin(database->db, BH_DB_WRITE, &transaction, NULL), 0);
        if (i == 0)
            assert_int_equal(bh_db_commit(transaction, NULL), 0);
        else
            bh_db_rollback(transaction);
    }
    assert_int_equal(row_of("begin").executions - begins, 2);
    assert_int_equal(row_of("commit").executions - commits, 1);
    assert_int_equal(row_of("rollback").executions - rollbacks, 1);
}

static void count_in_fiber(void *const argument)
{
    struct bh_db_rows rows;
    assert_int_equal(bh_db_query(database->db, BH_DB_WRITE, &sql[SQL_COUNT], NULL, 0,
                                 database->arena, &rows, NULL),
                     0);
    *(bool *)argument = true;
}

#define HELD_US 50000

static void waits_for_the_writer(void *const argument)
{
    uint64_t *const elapsed_us = argument;
    bool has_ended = false;
    struct bh_db_transaction *holder;
    assert_int_equal(bh_db_begin(database->db, BH_DB_WRITE, &holder, NULL), 0);
    const uint64_t begun_us = bh_time_now_us();
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), count_in_fiber, &has_ended), 0);
    assert_int_equal(bh_fiber_sleep(HELD_US), 0);
    bh_db_rollback(holder);
    while (!has_ended)
        assert_int_equal(bh_fiber_sleep(1000), 0);
    *elapsed_us = bh_time_now_us() - begun_us;
}

static void test_waiting_is_no_execution(void **const state)
{
    (void)state;
    uint64_t elapsed_us;
    const struct bh_trace_row before = row_of("count");
    assert_int_equal(run(SQL_CREATE, 0), 0);
    in_fiber_run(waits_for_the_writer, &elapsed_us);
    const struct bh_trace_row row = row_of("count");
    const uint64_t waited_us = row.waited_us - before.waited_us;
    assert_int_equal(row.executions - before.executions, 1);
    assert_true(waited_us >= HELD_US - 1000);
    assert_true(row.executed_us > before.executed_us);
    assert_true(waited_us + row.executed_us - before.executed_us <= elapsed_us);
}

static void *run_many(void *const argument)
{
    (void)argument;
    for (int i = 0; i < 500; i++) {
        struct bh_trace_span span;
        bh_trace_begin(&span, "threads", "SELECT a FROM threads");
        span.granted_us = span.ended_us = span.begun_us + 1;
        span.rows = 2;
        bh_trace_end(&span, i % 5 == 0 ? BH_ECONFLICT : 0);
    }
    return NULL;
}

/* More threads than there are sets of counts, all at once and while somebody reads. */
static void test_threads_lose_nothing(void **const state)
{
    (void)state;
    enum { THREADS = 80 };
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, NULL), 0);
    assert_true(row_of("threads").executions <= THREADS * 500);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const struct bh_trace_row row = row_of("threads");
    assert_int_equal(row.executions, THREADS * 500);
    assert_int_equal(row.errors, THREADS * 100);
    assert_int_equal(row.rows, THREADS * 1000);
    assert_int_equal(row.waited_us, THREADS * 500);
}

static void record(const char *const name, const char *const text, const uint64_t duration_us)
{
    struct bh_trace_span span;
    bh_trace_begin(&span, name, text);
    span.granted_us = span.begun_us;
    span.ended_us = span.begun_us + duration_us;
    bh_trace_end(&span, 0);
}

static void test_quantile(void **const state)
{
    (void)state;
    for (uint64_t us = 1; us <= 10000; us++)
        record("quantile", "SELECT a FROM quantile", us);
    const struct bh_trace_row row = row_of("quantile");
    assert_int_equal(row.executions, 10000);
    assert_int_equal(row.maximum_us, 10000);
    assert_int_equal(row.mean_us, 5000);
    assert_in_range(row.p95_us, 9500 * 94 / 100, 9500 * 106 / 100);
    static struct bh_trace_durations durations[BH_TRACE_DURATIONS_MAX];
    uint64_t executions = 0;
    const size_t count = bh_trace_read_durations(&row, durations);
    for (size_t i = 0; i < count; i++) {
        assert_true(durations[i].begin_us < durations[i].end_us && durations[i].executions > 0);
        assert_true(i == 0 || durations[i - 1].end_us == durations[i].begin_us);
        executions += durations[i].executions;
    }
    assert_int_equal(executions, row.executions);
    assert_int_equal(durations[0].begin_us, 1);
    assert_true(durations[count - 1].begin_us <= 10000 && durations[count - 1].end_us > 10000);
    record("quantile_one", "SELECT a FROM quantile_one", 1234567);
    assert_in_range(row_of("quantile_one").p95_us, 1234567 * 94 / 100, 1234567);
    record("quantile_day", "SELECT a FROM quantile_day", 86400 * BH_SECOND_US);
    assert_in_range(row_of("quantile_day").p95_us, 134 * BH_SECOND_US, 86400 * BH_SECOND_US);
}

/* ---- Slow ---- */

static void test_slow_is_logged_once(void **const state)
{
    (void)state;
    bh_trace_setup(&(struct bh_trace_options){ .slow_us = 100000, .runs_maximum = 10 });
    static const struct bh_log_context context = { .request_id = BH_STR("id-7"),
                                                   .route = BH_STR("/slow/{id}") };
    log_begin();
    bh_log_context_set(&context);
    record("slow", "SELECT a FROM slow WHERE secret = 'hidden'", 99999);
    record("slow", "SELECT a FROM slow WHERE secret = 'hidden'", 100000);
    bh_log_context_set(NULL);
    const char *const text = log_end();
    assert_int_equal(lines_in(text), 1);
    assert_non_null(strstr(text, "SELECT a FROM slow WHERE secret = ?"));
    assert_non_null(strstr(text, "0.1 s for 0 rows"));
    assert_non_null(strstr(text, "\"request_id\":\"id-7\",\"route\":\"/slow/{id}\""));
    assert_null(strstr(text, "hidden"));
    assert_int_equal(row_of("slow").slow, 1);
}

static void test_no_parameters_in_the_log(void **const state)
{
    (void)state;
    bh_trace_setup(&(struct bh_trace_options){ .slow_us = 0, .runs_maximum = 10 });
    log_begin();
    assert_int_equal(run(SQL_STEPS, 123321), 0);
    const char *const text = log_end();
    assert_int_equal(lines_in(text), 1);
    assert_null(strstr(text, "123321"));
    assert_non_null(strstr(text, "for 1 rows"));
}

/* ---- N+1 ---- */

static void request_of(const struct bh_log_context *const context, const int runs)
{
    bh_fiber_set_log_context(context);
    for (int i = 0; i < runs; i++)
        record("repeated", "SELECT a FROM repeated", 1);
    bh_fiber_set_log_context(NULL);
}

static void ten(void *const argument)
{
    request_of(argument, 10);
}

static void twelve(void *const argument)
{
    request_of(argument, 12);
}

/* Another statement: the log counts equal lines within a second. */
static void twelve_of_two(void *const argument)
{
    bh_fiber_set_log_context(argument);
    for (int i = 0; i < 12; i++)
        record("repeated_two", "SELECT a FROM repeated_two", 1);
    bh_fiber_set_log_context(NULL);
}

static void repeats(void *const argument)
{
    struct bh_loop *const loop = bh_loop_current();
    static const struct bh_log_context one = { .request_id = BH_STR("1"), .route = BH_STR("/one") };
    static const struct bh_log_context two = { .request_id = BH_STR("2"), .route = BH_STR("/two") };
    (void)argument;
    assert_int_equal(bh_fiber_spawn(loop, ten, (void *)(uintptr_t)&one), 0);
    assert_int_equal(bh_fiber_spawn(loop, ten, (void *)(uintptr_t)&one), 0); /* another request */
    assert_int_equal(row_of("repeated").repeated_requests, 0);
    assert_int_equal(bh_fiber_spawn(loop, twelve, (void *)(uintptr_t)&one), 0);
    assert_int_equal(bh_fiber_spawn(loop, twelve, (void *)(uintptr_t)&one), 0); /* told already */
    assert_int_equal(bh_fiber_spawn(loop, twelve_of_two, (void *)(uintptr_t)&two), 0);
    assert_int_equal(bh_fiber_spawn(loop, twelve, NULL), 0); /* no request */
}

static void test_repeats_are_found(void **const state)
{
    (void)state;
    log_begin();
    in_fiber_run(repeats, NULL);
    const char *const text = log_end();
    assert_int_equal(lines_in(text), 2);
    assert_non_null(strstr(text, "\"request_id\":\"1\",\"route\":\"/one\""));
    assert_non_null(strstr(text, "\"request_id\":\"2\",\"route\":\"/two\""));
    assert_non_null(strstr(text, "ran more than 10 times in one request"));
    const struct bh_trace_row row = row_of("repeated");
    assert_int_equal(row.repeated_requests, 2);
    assert_int_equal(row.repeated_maximum, 12);
    assert_int_equal(row.executions, 2 * 10 + 3 * 12);
    assert_int_equal(row_of("repeated_two").repeated_requests, 1);
}

/* ---- Bounds ---- */

static char shapes[10000][48];

static void *run_all_shapes(void *const argument)
{
    (void)argument;
    for (int i = 0; i < 10000; i++)
        record("shapes", shapes[i], 1);
    return NULL;
}

/* Last: it fills the table for good. */
static void test_the_table_is_bounded(void **const state)
{
    (void)state;
    for (int i = 0; i < 10000; i++)
        snprintf(shapes[i], sizeof(shapes[i]), "SELECT a%d FROM t", i);
    pthread_t threads[4];
    for (size_t i = 0; i < BH_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_all_shapes, NULL), 0);
    for (size_t i = 0; i < BH_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    static struct bh_trace_row rows[BH_TRACE_ROWS_MAX];
    const size_t count = bh_trace_read(rows);
    assert_in_range(count, 2, BH_TRACE_ROWS_MAX);
    uint64_t executions = 0;
    for (size_t i = 0; i < count; i++)
        executions += strcmp(rows[i].name, "shapes") == 0 || strcmp(rows[i].name, "other") == 0
                          ? rows[i].executions
                          : 0;
    assert_int_equal(executions, 40000);
    assert_true(row_of("other").executions > 30000);
    assert_int_equal(row_of("other").fingerprint, 0);

    /* What was there before is still told apart. */
    const uint64_t before = row_of("quantile").executions;
    record("quantile", "SELECT a FROM quantile", 1);
    assert_int_equal(row_of("quantile").executions, before + (before > 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, test_database_teardown)
    const struct CMUnitTest both[] = {
        TEST(test_statements_are_counted),
        TEST(test_transactions_are_timed),
        TEST(test_waiting_is_no_execution),
        TEST(test_threads_lose_nothing),
        TEST(test_quantile),
        TEST(test_slow_is_logged_once),
        TEST(test_no_parameters_in_the_log),
        TEST(test_repeats_are_found),
        TEST(test_the_table_is_bounded),
    };
    const struct CMUnitTest sqlite_only[] = { TEST(test_sqlite_runs_are_timed) };
    int failed = 0;
    if (!getenv("TEST_POSTGRES_URL"))
        failed = cmocka_run_group_tests(sqlite_only, NULL, NULL);
    return failed + cmocka_run_group_tests(both, NULL, NULL);
}
