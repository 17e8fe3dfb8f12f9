/* What only SQLite has: the hook, work on the connection itself, settings, a log that stays
 * short. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { SQL_INSERT, SQL_COUNT, SQL_FOREVER, SQL_STATEMENTS };

static const struct bh_statement sql[SQL_STATEMENTS] = {
    { .name = "insert", .sqlite = "INSERT INTO t VALUES (?1)", .index = SQL_INSERT },
    { .name = "count", .sqlite = "SELECT count(*) FROM t", .index = SQL_COUNT },
    { .name = "forever",
      .sqlite = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
                " SELECT max(x) FROM n",
      .index = SQL_FOREVER },
};

static const struct bh_statement create = { .name = "create", .sqlite = "CREATE TABLE t (a)" };

static void reopen(void **const state, const unsigned read_connections)
{
    struct test_database *const test = *state;
    struct bh_db_options options = test_database_options(test);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    options.read_connections = read_connections;
    test_database_reopen(test, &options);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &create, NULL, 0, NULL, NULL, NULL), 0);
}

/* ---- Hook and data ---- */

struct counts {
    atomic_uint readers, writers, destroyed;
};

static void forty_two(sqlite3_context *const context, const int count, sqlite3_value **const values)
{
    (void)count;
    (void)values;
    sqlite3_result_int(context, 42);
}

static int hook(sqlite3 *const connection, const bool writer, void *const argument)
{
    struct counts *const counts = argument;
    atomic_fetch_add(writer ? &counts->writers : &counts->readers, 1);
    return sqlite3_create_function(connection, "forty_two", 0, SQLITE_UTF8, NULL, forty_two, NULL,
                                   NULL) == SQLITE_OK
               ? 0
               : BH_EINTERNAL;
}

static int failing_hook(sqlite3 *const connection, const bool writer, void *const argument)
{
    (void)connection;
    (void)argument;
    return writer ? 0 : BH_EUNSUPPORTED;
}

static void count_destroyed(void *const data)
{
    struct counts *const counts = data;
    atomic_fetch_add(&counts->destroyed, 1);
}

static int keep_data(struct bh_sqlite_session *const session, void *const argument,
                     struct bh_error *const reterr)
{
    (void)reterr;
    assert_true(!bh_sqlite_session_data(session) || bh_sqlite_session_data(session) == argument);
    bh_sqlite_session_set_data(session, argument, count_destroyed);
    return 7;
}

static void test_hook_and_data(void **const state)
{
    struct test_database *const test = *state;
    struct counts counts = { 0 };
    bh_sqlite_set_connect_hook(hook, &counts);
    reopen(state, 3);
    assert_int_equal(counts.readers, 3);
    assert_int_equal(counts.writers, 1);
    static const struct bh_statement call = { .name = "call", .sqlite = "SELECT forty_two()" };
    struct bh_db_rows rows;
    assert_int_equal(bh_db_query(test->db, BH_DB_READ, &call, NULL, 0, test->arena, &rows, NULL),
                     0);
    assert_int_equal(bh_db_int_at(&rows, 0, 0), 42);

    assert_int_equal(bh_sqlite_run(test->db, BH_DB_WRITE, "run", keep_data, &counts, NULL), 7);
    assert_int_equal(counts.destroyed, 0);
    assert_int_equal(bh_sqlite_run(test->db, BH_DB_WRITE, "run", keep_data, &counts, NULL), 7);
    assert_int_equal(counts.destroyed, 1); /* replaced */
    bh_db_close(test->db);
    test->db = NULL;
    assert_int_equal(counts.destroyed, 2);

    bh_sqlite_set_connect_hook(failing_hook, NULL);
    const struct bh_db_options options = test_database_options(test);
    assert_int_equal(bh_db_open(&options, &test->db, &test->error), BH_EUNSUPPORTED);
    assert_non_null(strstr(test->error.message, "preparing a connection failed"));
    bh_sqlite_set_connect_hook(NULL, NULL);
}

/* ---- Work on the connection itself ---- */

static int leaves_transaction(struct bh_sqlite_session *const session, void *const argument,
                              struct bh_error *const reterr)
{
    sqlite3_stmt *statement;
    const char *const first = argument;
    assert_int_equal(sqlite3_exec(bh_sqlite_handle(session), first, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(bh_sqlite_prepare(session, &sql[SQL_INSERT], &statement, reterr), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    return 0;
}

static int leaves_statement(struct bh_sqlite_session *const session, void *const argument,
                            struct bh_error *const reterr)
{
    (void)argument;
    sqlite3_stmt *statement;
    assert_int_equal(bh_sqlite_prepare(session, &sql[SQL_COUNT], &statement, reterr), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    return 0;
}

static void test_leftovers(void **const state)
{
    struct test_database *const test = *state;
    reopen(state, 1);
    char begin[] = "BEGIN IMMEDIATE";
    struct bh_db_rows rows;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            bh_sqlite_run(test->db, BH_DB_WRITE, "run", leaves_transaction, begin, &test->error),
            BH_EINTERNAL);
        assert_non_null(strstr(test->error.message, "left a transaction open"));
        assert_int_equal(
            bh_sqlite_run(test->db, BH_DB_READ, "run", leaves_statement, NULL, &test->error),
            BH_EINTERNAL);
        assert_int_equal(bh_db_query(test->db, BH_DB_READ, &sql[SQL_COUNT], NULL, 0, test->arena,
                                     &rows, &test->error),
                         0);
        assert_int_equal(bh_db_int_at(&rows, 0, 0), 0);
    }
}

static int prepares_many(struct bh_sqlite_session *const session, void *const argument,
                         struct bh_error *const reterr)
{
    static struct bh_statement loose[40];
    int *const prepared = argument;
    for (*prepared = 0; *prepared < 40; (*prepared)++) {
        sqlite3_stmt *statement;
        loose[*prepared] = (struct bh_statement){ .name = "loose", .sqlite = "SELECT 1" };
        const int code = bh_sqlite_prepare(session, &loose[*prepared], &statement, reterr);
        if (code)
            return code;
    }
    return 0;
}

static void test_statements_outside_of_the_table(void **const state)
{
    struct test_database *const test = *state;
    reopen(state, 1);
    int prepared;
    assert_int_equal(
        bh_sqlite_run(test->db, BH_DB_READ, "run", prepares_many, &prepared, &test->error),
        BH_ELIMIT);
    assert_non_null(strstr(test->error.message, "add it to the table"));
    assert_in_range(prepared, 12, 16);
}

static int long_work(struct bh_sqlite_session *const session, void *const argument,
                     struct bh_error *const reterr)
{
    const bool in_sqlite = *(const bool *)argument;
    for (int code; !in_sqlite && !(code = bh_sqlite_check(session));)
        sched_yield();
    if (!in_sqlite)
        return bh_sqlite_check(session);
    sqlite3_stmt *statement;
    assert_int_equal(bh_sqlite_prepare(session, &sql[SQL_FOREVER], &statement, reterr), 0);
    const int result = sqlite3_step(statement);
    assert_int_equal(result, SQLITE_INTERRUPT);
    return bh_sqlite_error(bh_sqlite_handle(session), result, "long work", reterr);
}

static void long_work_is_interrupted(void *const argument)
{
    struct test_database *const test = argument;
    for (int i = 0; i < 2; i++) {
        bool in_sqlite = i == 1;
        bh_fiber_set_deadline(bh_time_now_us() + 10 * BH_MS_US);
        assert_int_equal(
            bh_sqlite_run(test->db, BH_DB_READ, "run", long_work, &in_sqlite, &test->error),
            BH_ETIMEDOUT);
    }
}

static void test_interrupted_work(void **const state)
{
    reopen(state, 1);
    in_fiber_run(long_work_is_interrupted, *state);
}

/* ---- Settings ---- */

static void check_pragma(sqlite3 *const connection, const char *const name, const int expected)
{
    char text[64];
    snprintf(text, sizeof(text), "PRAGMA %s", name);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(connection, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    if (sqlite3_column_int(statement, 0) != expected)
        fail_msg("%s is %d", name, sqlite3_column_int(statement, 0));
    sqlite3_finalize(statement);
}

static int check_settings(struct bh_sqlite_session *const session, void *const argument,
                          struct bh_error *const reterr)
{
    (void)reterr;
    const bool writer = argument != NULL;
    sqlite3 *const connection = bh_sqlite_handle(session);
    check_pragma(connection, "synchronous", 1);
    check_pragma(connection, "foreign_keys", 1);
    check_pragma(connection, "temp_store", 2);
    check_pragma(connection, "trusted_schema", 0);
    check_pragma(connection, "query_only", !writer);
    if (writer)
        check_pragma(connection, "wal_autocheckpoint", 0);
    /* A text in double quotes is a mistake, and the schema cannot be written by hand. */
    assert_int_equal(sqlite3_exec(connection, "SELECT \"text\" FROM t", NULL, NULL, NULL),
                     SQLITE_ERROR);
    assert_int_equal(sqlite3_exec(connection,
                                  "PRAGMA writable_schema = ON; DELETE FROM "
                                  "sqlite_schema",
                                  NULL, NULL, NULL),
                     SQLITE_ERROR);
    assert_int_equal(sqlite3_exec(connection, "SELECT load_extension('x')", NULL, NULL, NULL),
                     SQLITE_ERROR);
    return 0;
}

static void test_settings(void **const state)
{
    struct test_database *const test = *state;
    reopen(state, 1);
    assert_int_equal(bh_sqlite_run(test->db, BH_DB_READ, "run", check_settings, NULL, NULL), 0);
    assert_int_equal(bh_sqlite_run(test->db, BH_DB_WRITE, "run", check_settings, test, NULL), 0);
}

static void test_file_name_is_no_uri(void **const state)
{
    struct test_database *const test = *state;
    char before[512];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(test->folder), 0);
    struct bh_db_options options = test_database_options(test);
    options.url = "sqlite:file:x?mode=memory";
    test_database_reopen(test, &options);
    assert_int_equal(access("file:x?mode=memory", F_OK), 0);
    assert_int_equal(chdir(before), 0);
}

/* ---- The log ---- */

static off_t log_size(const struct test_database *const test)
{
    char path[80];
    snprintf(path, sizeof(path), "%s-wal", test->path);
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : 0;
}

static off_t write_much(struct test_database *const test, const int times)
{
    static char bytes[1024 * 1024];
    off_t largest = 0;
    for (int i = 0; i < times; i++) {
        const struct bh_db_value value = bh_db_blob(
            (struct bh_str){ .data = bytes, .size = sizeof(bytes) });
        assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_INSERT], &value, 1, NULL, NULL,
                                     &test->error),
                         0);
        const off_t size = log_size(test);
        if (size > largest)
            largest = size;
    }
    return largest;
}

static void test_log_stays_short(void **const state)
{
    struct test_database *const test = *state;
    reopen(state, 1);
    assert_true(write_much(test, 100) < 16 * 1024 * 1024);

    /* A reader that stays keeps the log from being used anew; when it leaves, the log shrinks. */
    struct bh_db_transaction *reader;
    struct bh_db_rows rows;
    assert_int_equal(bh_db_begin(test->db, BH_DB_READ, &reader, NULL), 0);
    assert_int_equal(
        bh_db_transaction_query(reader, &sql[SQL_COUNT], NULL, 0, test->arena, &rows, NULL), 0);
    assert_true(write_much(test, 40) > 32 * 1024 * 1024);
    bh_db_rollback(reader);
    for (int i = 0; log_size(test) > 0; i++) {
        assert_in_range(i, 0, 1000);
        usleep(10000); /* an idle writer empties it by itself */
    }
}

/* Readers come and go all the time, so that there is never a moment without one. */
struct busy_readers {
    struct bh_db *db;
    atomic_bool end;
};

static void *read_without_pause(void *const argument)
{
    struct busy_readers *const readers = argument;
    while (!atomic_load(&readers->end)) {
        struct bh_db_transaction *reader;
        bh_assert(bh_db_begin(readers->db, BH_DB_READ, &reader, NULL) == 0);
        bh_assert(bh_db_transaction_query(reader, &sql[SQL_COUNT], NULL, 0, NULL, NULL, NULL) == 0);
        usleep(20000);
        bh_db_rollback(reader);
    }
    return NULL;
}

static void test_log_is_bounded_among_readers(void **const state)
{
    struct test_database *const test = *state;
    reopen(state, 3);
    struct busy_readers readers = { .db = test->db };
    pthread_t threads[3];
    for (size_t i = 0; i < BH_COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_without_pause, &readers), 0);
        usleep(6000);
    }
    const off_t largest = write_much(test, 150);
    atomic_store(&readers.end, true);
    for (size_t i = 0; i < BH_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(largest < 110 * 1024 * 1024);
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hook_and_data),
        TEST(test_leftovers),
        TEST(test_statements_outside_of_the_table),
        TEST(test_interrupted_work),
        TEST(test_settings),
        TEST(test_file_name_is_no_uri),
        TEST(test_log_stays_short),
        TEST(test_log_is_bounded_among_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
