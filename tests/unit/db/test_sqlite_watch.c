/* The mark of an SQLite file: another one after every commit, whoever commits. */
#include "cmocka_setup.h"

#include <sys/wait.h>

#include "bulkhead/db/changes.h"
#include "database.h"

static const struct bh_statement create = EMPTY_STATEMENT("CREATE TABLE t (n INTEGER)");
static const struct bh_statement insert = EMPTY_STATEMENT("INSERT INTO t VALUES (1)");
static const struct bh_statement count = EMPTY_STATEMENT("SELECT count(*) FROM t");

static void run(struct test_database *const test, const enum bh_db_lane lane,
                const struct bh_statement *const statement)
{
    struct bh_db_rows rows;
    assert_int_equal(
        bh_db_query(test->db, lane, statement, NULL, 0, test->arena, &rows, &test->error), 0);
}

static uint64_t mark_of(struct test_database *const test)
{
    uint64_t mark = 0;
    assert_true(bh_db_change_mark(test->db, &mark));
    return mark;
}

static int compare(const void *const a, const void *const b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void test_stays_while_nothing_is_committed(void **const state)
{
    struct test_database *const test = *state;
    run(test, BH_DB_WRITE, &create);
    const uint64_t before = mark_of(test);
    for (unsigned i = 0; i < 20; i++)
        run(test, BH_DB_READ, &count);
    struct bh_db_transaction *transaction = NULL;
    assert_int_equal(bh_db_begin(test->db, BH_DB_WRITE, &transaction, &test->error), 0);
    assert_int_equal(
        bh_db_transaction_query(transaction, &insert, NULL, 0, NULL, NULL, &test->error), 0);
    assert_int_equal(mark_of(test), before);
    bh_db_rollback(transaction);
    assert_int_equal(mark_of(test), before);
    run(test, BH_DB_WRITE, &insert);
    assert_int_not_equal(mark_of(test), before);
}

/* Also across the log's being emptied and begun anew. */
static void test_never_comes_again(void **const state)
{
    struct test_database *const test = *state;
    static uint64_t marks[600];
    run(test, BH_DB_WRITE, &create);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(test->path, &other), SQLITE_OK);
    for (size_t i = 0; i < BH_COUNT_OF(marks); i++) {
        if (i % 7 == 0)
            sqlite3_wal_checkpoint_v2(other, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        run(test, BH_DB_WRITE, &insert);
        marks[i] = mark_of(test);
    }
    sqlite3_close(other);
    qsort(marks, BH_COUNT_OF(marks), sizeof(marks[0]), compare);
    for (size_t i = 1; i < BH_COUNT_OF(marks); i++)
        assert_int_not_equal(marks[i - 1], marks[i]);
}

/* A process that commits one row for each byte it is sent, and says so. */
static void commit_on_demand(const char *const path, const int from, const int to)
{
    char byte;
    sqlite3 *connection = NULL;
    int result = SQLITE_OK;
    while (result == SQLITE_OK && read(from, &byte, 1) == 1) {
        if (connection == NULL)
            result = sqlite3_open(path, &connection);
        if (result == SQLITE_OK)
            result = sqlite3_exec(connection, "INSERT INTO t VALUES (2)", NULL, NULL, NULL);
        byte = (char)result;
        if (write(to, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

static void test_another_process_changes_it(void **const state)
{
    struct test_database *const test = *state;
    int ask[2], answer[2];
    assert_int_equal(pipe(ask), 0);
    assert_int_equal(pipe(answer), 0);
    run(test, BH_DB_WRITE, &create);
    const pid_t child = fork(); /* has no connection of its own yet, and touches none of ours */
    assert_true(child >= 0);
    if (child == 0)
        commit_on_demand(test->path, ask[0], answer[1]);
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t before = mark_of(test);
        char byte = 1;
        assert_int_equal(write(ask[1], &byte, 1), 1);
        assert_int_equal(read(answer[0], &byte, 1), 1);
        assert_int_equal(byte, SQLITE_OK);
        assert_int_not_equal(mark_of(test), before);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (unsigned i = 0; i < 2; i++) {
        close(ask[i]);
        close(answer[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stays_while_nothing_is_committed, test_database_setup,
                                        test_database_teardown),
        cmocka_unit_test_setup_teardown(test_never_comes_again, test_database_setup,
                                        test_database_teardown),
        cmocka_unit_test_setup_teardown(test_another_process_changes_it, test_database_setup,
                                        test_database_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
