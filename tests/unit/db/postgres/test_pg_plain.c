/*
 * COPY against a server and a socket that do not wait for each other. libpq's two sending functions
 * are wrapped: a socket that is full at one moment and empty at the next is a matter of
 * microseconds, and of luck, without that.
 */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <dlfcn.h>

enum { ROWS = 20000, DEADLINE_SECONDS = 20 };
enum { SQL_COPY, SQL_COUNT, SQL_STATEMENTS };

static const struct bh_statement sql[SQL_STATEMENTS] = {
    [SQL_COPY] = { .name = "copy",
                   .postgres = "COPY t (id, name) FROM STDIN (FORMAT binary)",
                   .index = SQL_COPY },
    [SQL_COUNT] = { .name = "count", .postgres = "SELECT count(*) FROM t", .index = SQL_COUNT },
};

static const char schema[] = "CREATE TABLE t (id bigint PRIMARY KEY, name text)";

/* Each row that comes in makes the server send more than it has received. */
static const char talkative[] =
    "CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE WARNING '%', repeat('x', 400); RETURN NEW; END $$;"
    " CREATE TRIGGER talk BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION talk()";

/* ---- A socket that was full a moment ago ---- */

static bool is_full_at_first; /* after each piece of a COPY, when it is asked for the first time */
static bool is_told_full;
static unsigned times_full;

int PQputCopyData(PGconn *const conn, const char *const buffer, const int nbytes)
{
    static int (*real)(PGconn *, const char *, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "PQputCopyData");
    is_told_full = is_full_at_first;
    return real(conn, buffer, nbytes);
}

int PQflush(PGconn *const conn)
{
    static int (*real)(PGconn *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "PQflush");
    const int left = real(conn);
    if (!is_told_full || left < 0)
        return left;
    is_told_full = false;
    times_full++;
    return 1;
}

/* ---- Tests ---- */

static int setup(void **const state)
{
    if (test_database_setup(state) != 0)
        return -1;
    struct test_database *const test = *state;
    test_database_server(test->url, schema);
    struct bh_db_options options = test_database_options(test);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    test_database_reopen(test, &options);
    return 0;
}

static void copy_all(void *const argument)
{
    struct test_database *const test = argument;
    struct bh_db_value *const values = calloc((size_t)ROWS * 2, sizeof(*values));
    assert_non_null(values);
    for (int64_t i = 0; i < ROWS; i++) {
        values[i * 2] = bh_db_int(i);
        values[i * 2 + 1] = bh_db_text(BH_STR("a name of some length, so that sockets fill"));
    }
    bh_fiber_set_deadline(bh_time_now_us() + DEADLINE_SECONDS * BH_SECOND_US);
    struct bh_db_transaction *transaction;
    int64_t changes = 0;
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    if (bh_db_transaction_many(transaction, &sql[SQL_COPY], values, 2, ROWS, &changes,
                               &test->error) != 0)
        fail_msg("%s", test->error.message);
    assert_int_equal(changes, ROWS);
    assert_int_equal(bh_db_commit(transaction, &test->error), 0);
    struct bh_db_rows rows;
    assert_int_equal(bh_db_query(test->db, BH_DB_READ, &sql[SQL_COUNT], NULL, 0, test->arena, &rows,
                                 &test->error),
                     0);
    assert_int_equal(bh_db_int_at(&rows, 0, 0), ROWS);
    free(values);
}

/* It hung there: libpq had something left, which the next look at the socket sent; then only what
 * the server says was waited for, and a server that waits for data says nothing. */
static void test_sent_while_it_was_about_to_wait(void **const state)
{
    is_full_at_first = true;
    times_full = 0;
    in_fiber_run(copy_all, *state);
    is_full_at_first = false;
    assert_true(times_full > 5);
}

/* Neither side may wait for the other to read. */
static void test_server_talks_meanwhile(void **const state)
{
    const struct test_database *const test = *state;
    test_database_server(test->url, talkative);
    in_fiber_run(copy_all, *state);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sent_while_it_was_about_to_wait),
        TEST(test_server_talks_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
