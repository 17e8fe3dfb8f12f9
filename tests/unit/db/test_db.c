/* Queries, values, errors and transactions, in fibers and in threads without a loop. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <math.h>

enum {
    SQL_CREATE,
    SQL_CREATE_CHILD,
    SQL_INSERT,
    SQL_INSERT_CHILD,
    SQL_SELECT,
    SQL_COUNT,
    SQL_DELETE,
    SQL_ECHO,
    SQL_RETURNING,
    SQL_NO_TEXT,
    SQL_TWO,
    SQL_WRONG,
    SQL_STATEMENTS
};

#define STATEMENT(id, text) [SQL_##id] = { .name = #id, .sqlite = (text), .index = SQL_##id }

static const struct bh_statement sql[SQL_STATEMENTS] = {
    STATEMENT(CREATE, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
                      " size INTEGER CHECK (size >= 0)) STRICT"),
    STATEMENT(CREATE_CHILD, "CREATE TABLE child (t INTEGER NOT NULL REFERENCES t (id))"),
    STATEMENT(INSERT, "INSERT INTO t (id, name, size) VALUES (?1, ?2, ?3)"),
    STATEMENT(INSERT_CHILD, "INSERT INTO child VALUES (?1)"),
    STATEMENT(SELECT, "SELECT id, name, size FROM t ORDER BY id"),
    STATEMENT(COUNT, "SELECT count(*) FROM t"),
    STATEMENT(DELETE, "DELETE FROM t WHERE id >= ?1"),
    STATEMENT(ECHO, "SELECT ?1, typeof(?1), length(?1)"),
    STATEMENT(RETURNING, "INSERT INTO t (name, size) SELECT value, 0 FROM json_each(?1)"
                         " RETURNING hex(randomblob(100000))"),
    STATEMENT(NO_TEXT, NULL),
    STATEMENT(TWO, "SELECT 1; SELECT 2"),
    STATEMENT(WRONG, "SELECT x FROM nowhere"),
};

struct test {
    struct test_database *database;
    struct bh_db *db;
    struct bh_arena *arena;
    struct bh_error error;
    struct bh_db_rows rows;
};

static void open_with_table(struct test *const test, void **const state)
{
    struct test_database *const database = *state;
    struct bh_db_options options = test_database_options(database);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    test_database_reopen(database, &options);
    *test = (struct test){ .database = database, .db = database->db, .arena = database->arena };
    assert_int_equal(
        bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_CREATE], NULL, 0, NULL, NULL, &test->error), 0);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_CREATE_CHILD], NULL, 0, NULL, NULL,
                                 &test->error),
                     0);
}

static int insert(struct test *const test, const int64_t id, const char *const name,
                  const int64_t size)
{
    const struct bh_db_value values[] = { bh_db_int(id), bh_db_text(bh_str_from(name)),
                                          bh_db_int(size) };
    return bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_INSERT], values, 3, test->arena, &test->rows,
                       &test->error);
}

static int64_t count(struct test *const test)
{
    const int result = bh_db_query(test->db, BH_DB_READ, &sql[SQL_COUNT], NULL, 0, test->arena,
                                   &test->rows, &test->error);
    assert_int_equal(result, 0);
    return bh_db_int_at(&test->rows, 0, 0);
}

static int transaction_insert(struct test *const test, struct bh_db_transaction *const transaction,
                              const int64_t id, const char *const name)
{
    const struct bh_db_value values[] = { bh_db_int(id), bh_db_text(bh_str_from(name)),
                                          bh_db_null() };
    return bh_db_transaction_query(transaction, &sql[SQL_INSERT], values, 3, test->arena,
                                   &test->rows, &test->error);
}

/* ---- Values ---- */

static void echo(struct test *const test, const struct bh_db_value value)
{
    const int result = bh_db_query(test->db, BH_DB_READ, &sql[SQL_ECHO], &value, 1, test->arena,
                                   &test->rows, &test->error);
    assert_int_equal(result, 0);
    const struct bh_db_value *const back = bh_db_at(&test->rows, 0, 0);
    assert_int_equal(back->type, value.type);
}

static void every_type_comes_back(void *const argument)
{
    struct test *const test = argument;
    static const int64_t integers[] = { 0, -1, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < BH_COUNT_OF(integers); i++) {
        echo(test, bh_db_int(integers[i]));
        assert_true(bh_db_int_at(&test->rows, 0, 0) == integers[i]);
    }
    static const double doubles[] = { 0.0, -1.5, 1e308, INFINITY };
    for (size_t i = 0; i < BH_COUNT_OF(doubles); i++) {
        echo(test, bh_db_double(doubles[i]));
        assert_true(bh_db_double_at(&test->rows, 0, 0) == doubles[i]);
    }
    static const struct bh_str texts[] = {
        BH_STR("x"), BH_STR(""), BH_STR("İğşü \xF0\x9F\x93\x9A"), BH_STR("with\0zero"), { NULL, 0 }
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        echo(test, bh_db_text(texts[i]));
        assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 0), texts[i]));
        assert_false(bh_db_is_null_at(&test->rows, 0, 0));
        echo(test, bh_db_blob(texts[i]));
        assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 0), texts[i]));
        assert_true(bh_str_equal(bh_db_text_at(&test->rows, 0, 1), BH_STR("blob")));
    }
    echo(test, bh_db_null());
    assert_true(bh_db_is_null_at(&test->rows, 0, 0));
    assert_int_equal(bh_db_int_at(&test->rows, 0, 0), 0);
    assert_int_equal(bh_db_text_at(&test->rows, 0, 0).size, 0);
}

static void test_types(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(every_type_comes_back, &test);
}

static void many_rows_come_in_order(void *const argument)
{
    struct test *const test = argument;
    for (int64_t id = 1; id <= 100; id++) {
        char name[32];
        snprintf(name, sizeof(name), "name %lld", (long long)id);
        assert_int_equal(insert(test, id, name, id * 10), 0);
        assert_int_equal(test->rows.changes, 1);
        assert_int_equal(test->rows.row_count, 0);
    }
    assert_int_equal(bh_db_query(test->db, BH_DB_READ, &sql[SQL_SELECT], NULL, 0, test->arena,
                                 &test->rows, &test->error),
                     0);
    assert_int_equal(test->rows.row_count, 100);
    assert_int_equal(test->rows.column_count, 3);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(bh_db_int_at(&test->rows, i, 0), i + 1);
        assert_int_equal(bh_db_int_at(&test->rows, i, 2), (i + 1) * 10);
    }
    const struct bh_db_value from = bh_db_int(51);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_DELETE], &from, 1, test->arena,
                                 &test->rows, &test->error),
                     0);
    assert_int_equal(test->rows.changes, 50);
    assert_int_equal(count(test), 50);
}

static void test_rows(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(many_rows_come_in_order, &test);
}

/* ---- Errors ---- */

static void errors_are_told(void *const argument)
{
    struct test *const test = argument;
    assert_int_equal(insert(test, 1, "one", 1), 0);
    assert_int_equal(insert(test, 1, "other", 1), BH_EEXISTS);
    assert_string_equal(test->error.sqlstate, "23505");
    assert_int_equal(insert(test, 2, "one", 1), BH_EEXISTS);
    assert_non_null(strstr(test->error.message, "t.name"));
    assert_int_equal(insert(test, 2, "two", -1), BH_ECONFLICT);
    assert_string_equal(test->error.sqlstate, "23514");
    struct bh_db_value values[] = { bh_db_int(3), bh_db_null(), bh_db_null() };
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_INSERT], values, 3, test->arena,
                                 &test->rows, &test->error),
                     BH_ECONFLICT);
    assert_string_equal(test->error.sqlstate, "23502");
    values[1] = bh_db_text(BH_STR("three"));
    values[2] = bh_db_text(BH_STR("a text"));
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_INSERT], values, 3, test->arena,
                                 &test->rows, &test->error),
                     BH_EINVAL);
    const struct bh_db_value parent = bh_db_int(99);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_INSERT_CHILD], &parent, 1,
                                 test->arena, &test->rows, &test->error),
                     BH_ECONFLICT);
    assert_string_equal(test->error.sqlstate, "23503");
    assert_int_equal(count(test), 1);
}

static void test_constraints(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(errors_are_told, &test);
}

static int query_of(struct test *const test, const int index)
{
    return bh_db_query(test->db, BH_DB_READ, &sql[index], NULL, 0, test->arena, &test->rows,
                       &test->error);
}

static void unusable_statements_are_refused(void *const argument)
{
    struct test *const test = argument;
    assert_int_equal(query_of(test, SQL_NO_TEXT), BH_EUNSUPPORTED);
    assert_int_equal(query_of(test, SQL_TWO), BH_EINVAL);
    assert_int_equal(query_of(test, SQL_WRONG), BH_EINTERNAL);
    assert_non_null(strstr(test->error.message, "nowhere"));
    assert_int_equal(query_of(test, SQL_ECHO), BH_EINVAL);
    assert_non_null(strstr(test->error.message, "takes 1 parameters, 0 given"));
    /* The read lane does not write. */
    const struct bh_db_value from = bh_db_int(0);
    assert_int_equal(
        bh_db_query(test->db, BH_DB_READ, &sql[SQL_DELETE], &from, 1, NULL, NULL, &test->error),
        BH_EACCESS);
    assert_int_equal(count(test), 0);
}

static void test_unusable_statements(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(unusable_statements_are_refused, &test);
}

static void full_arena_undoes_the_change(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_value names = bh_db_text(BH_STR("[\"a\"]"));
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_RETURNING], &names, 1, test->arena,
                                 &test->rows, &test->error),
                     0);
    assert_int_equal(test->rows.row_count, 1);
    assert_int_equal(count(test), 1);
    /* Ten rows of 200 kB do not fit into 1 MiB. */
    names = bh_db_text(BH_STR("[1,2,3,4,5,6,7,8,9,10]"));
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &sql[SQL_RETURNING], &names, 1, test->arena,
                                 &test->rows, &test->error),
                     BH_ELIMIT);
    bh_arena_reset(test->arena);
    assert_int_equal(count(test), 1);
}

static void test_arena_limit(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(full_arena_undoes_the_change, &test);
}

static void huge_values_are_refused(void *const argument)
{
    struct test *const test = argument;
    const size_t size = 65 * 1024 * 1024;
    char *const bytes = calloc(1, size);
    assert_non_null(bytes);
    const struct bh_db_value value = bh_db_blob((struct bh_str){ bytes, size });
    assert_int_equal(bh_db_query(test->db, BH_DB_READ, &sql[SQL_ECHO], &value, 1, test->arena,
                                 &test->rows, &test->error),
                     BH_ELIMIT);
    free(bytes);
    echo(test, bh_db_int(1));
}

static void test_huge_values(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(huge_values_are_refused, &test);
}

/* ---- Transactions ---- */

static void transactions_are_whole(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_transaction *transaction;
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(transaction_insert(test, transaction, 1, "a"), 0);
    assert_int_equal(count(test), 0);
    assert_int_equal(bh_db_commit(transaction, &test->error), 0);
    assert_int_equal(count(test), 1);

    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(transaction_insert(test, transaction, 2, "b"), 0);
    bh_db_rollback(transaction);
    bh_db_rollback(NULL);
    assert_int_equal(count(test), 1);

    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(transaction_insert(test, transaction, 3, "c"), 0);
    assert_int_equal(transaction_insert(test, transaction, 1, "again"), BH_EEXISTS);
    assert_int_equal(transaction_insert(test, transaction, 4, "d"), BH_EEXISTS);
    assert_non_null(strstr(test->error.message, "has failed before"));
    assert_int_equal(bh_db_commit(transaction, &test->error), BH_EEXISTS);
    assert_int_equal(count(test), 1);
}

static void test_transactions(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(transactions_are_whole, &test);
}

static void a_read_transaction_sees_one_state(void *const argument)
{
    struct test *const test = argument;
    struct bh_db_transaction *transaction;
    assert_int_equal(bh_db_begin(test->db, BH_DB_READ, &transaction, &test->error), 0);
    for (int64_t id = 1; id <= 3; id++) {
        assert_int_equal(bh_db_transaction_query(transaction, &sql[SQL_COUNT], NULL, 0, test->arena,
                                                 &test->rows, &test->error),
                         0);
        assert_int_equal(bh_db_int_at(&test->rows, 0, 0), 0);
        assert_int_equal(insert(test, id, id == 1 ? "a" : id == 2 ? "b" : "c", 0), 0);
    }
    assert_int_equal(bh_db_commit(transaction, &test->error), 0);
    assert_int_equal(count(test), 3);
}

static void test_read_transaction(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(a_read_transaction_sees_one_state, &test);
}

static void many_rows_in_one_step(void *const argument)
{
    struct test *const test = argument;
    enum { ROWS = 1000 };
    static char names[ROWS][16];
    static struct bh_db_value values[ROWS * 3];
    for (int i = 0; i < ROWS; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        values[i * 3] = bh_db_int(i + 1);
        values[i * 3 + 1] = bh_db_text(bh_str_from(names[i]));
        values[i * 3 + 2] = bh_db_null();
    }
    struct bh_db_transaction *transaction;
    int64_t changes = 0;
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(bh_db_transaction_many(transaction, &sql[SQL_INSERT], values, 3, ROWS,
                                            &changes, &test->error),
                     0);
    assert_int_equal(changes, ROWS);
    assert_int_equal(
        bh_db_transaction_many(transaction, &sql[SQL_INSERT], values, 3, 0, &changes, &test->error),
        0);
    assert_int_equal(changes, 0);
    assert_int_equal(bh_db_commit(transaction, &test->error), 0);
    assert_int_equal(count(test), ROWS);

    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(
        bh_db_transaction_many(transaction, &sql[SQL_INSERT], values, 3, ROWS, NULL, &test->error),
        BH_EEXISTS);
    bh_db_rollback(transaction);
    assert_int_equal(count(test), ROWS);
}

static void test_many(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    in_fiber_run(many_rows_in_one_step, &test);
}

static void test_without_a_loop(void **const state)
{
    struct test test;
    open_with_table(&test, state);
    every_type_comes_back(&test);
    errors_are_told(&test);
    const struct bh_db_value from = bh_db_int(0);
    assert_int_equal(
        bh_db_query(test.db, BH_DB_WRITE, &sql[SQL_DELETE], &from, 1, NULL, NULL, &test.error), 0);
    transactions_are_whole(&test);
}

/* ---- URLs ---- */

static void refused(struct test_database *const test, const char *const url, const int code,
                    const char *const message)
{
    struct bh_db_options options = test_database_options(test);
    options.url = url;
    struct bh_db *db = NULL;
    assert_int_equal(bh_db_open(&options, &db, &test->error), code);
    assert_null(db);
    if (!strstr(test->error.message, message))
        fail_msg("\"%s\" does not tell \"%s\"", test->error.message, message);
}

static void test_urls(void **const state)
{
    struct test_database *const test = *state;
    refused(test, "", BH_EUNSUPPORTED, "use sqlite:PATH");
    refused(test, "library.db", BH_EUNSUPPORTED, "use sqlite:PATH");
    refused(test, "postgresql://me:secret@host/x", BH_EUNSUPPORTED, "postgresql:");
    assert_null(strstr(test->error.message, "secret"));
    refused(test, "sqlite:", BH_EINVAL, "names no file");
    refused(test, "sqlite::memory:", BH_EUNSUPPORTED, "/dev/shm");
    refused(test, "sqlite:///tmp/x.db", BH_EINVAL, "without \"//\"");
    refused(test, "sqlite:/tmp", BH_EINVAL, "name a file in it");
    refused(test, "sqlite:/nonexistent/x.db", BH_ENOTFOUND, "create its folder");
    assert_string_equal(bh_db_backend(test->db), "sqlite");
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_types),        TEST(test_rows),
        TEST(test_constraints),  TEST(test_unusable_statements),
        TEST(test_arena_limit),  TEST(test_huge_values),
        TEST(test_transactions), TEST(test_read_transaction),
        TEST(test_many),         TEST(test_without_a_loop),
        TEST(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
