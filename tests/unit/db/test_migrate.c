/* Migrations: applied once, in order, wholly or not at all, and only to a database that is ours. */
#include "cmocka_setup.h"

#include "db/database.h"

#include <pthread.h>
#include <sys/wait.h>

#include "bulkhead/db/migrate.h"

#define MIGRATION(number, label, text)                                         \
    {                                                                          \
        .version = number, .name = label, .sqlite = (text), .postgres = (text) \
    }
#define STATEMENT(label, sqlite_text, postgres_text)                        \
    {                                                                       \
        .name = label, .sqlite = (sqlite_text), .postgres = (postgres_text) \
    }

static const struct bh_migration three[] = {
    MIGRATION(1, "0001_one", "CREATE TABLE one (a INT); CREATE TABLE two (b INT);"),
    MIGRATION(2, "0002_two", "INSERT INTO one VALUES (1), (2)"),
    MIGRATION(3, "0003_three", "ALTER TABLE two ADD COLUMN c INT; UPDATE one SET a = a * 10;"),
};

static const struct bh_statement sum_of_one = STATEMENT("sum_of_one", "SELECT sum(a) FROM one",
                                                        "SELECT sum(a) FROM one");
static const struct bh_statement tables = STATEMENT(
    "tables", "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
    "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");

static int64_t number(struct test_database *const test, const struct bh_statement *const statement)
{
    struct bh_db_rows rows;
    const int result = bh_db_query(test->db, BH_DB_READ, statement, NULL, 0, test->arena, &rows,
                                   &test->error);
    if (result)
        fail_msg("%s", test->error.message);
    return bh_db_int_at(&rows, 0, 0);
}

static void migrates(struct test_database *const test, const struct bh_migration *const migrations,
                     const size_t count, const unsigned before, const unsigned after)
{
    struct bh_migrate_report report;
    if (bh_migrate(test->db, migrations, count, &report, &test->error) != 0)
        fail_msg("%s", test->error.message);
    assert_int_equal(report.version_before, before);
    assert_int_equal(report.version_after, after);
    assert_int_equal(report.applied, after - before);
}

static void stops(struct test_database *const test, const struct bh_migration *const migrations,
                  const size_t count, const int code, const char *const message)
{
    assert_int_equal(bh_migrate(test->db, migrations, count, NULL, &test->error), code);
    if (!strstr(test->error.message, message))
        fail_msg("\"%s\" does not tell \"%s\"", test->error.message, message);
}

static void test_applies_what_is_missing(void **const state)
{
    struct test_database *const test = *state;
    migrates(test, three, 0, 0, 0);
    migrates(test, three, 2, 0, 2);
    assert_int_equal(number(test, &sum_of_one), 3);
    migrates(test, three, 2, 2, 2);
    migrates(test, three, 3, 2, 3);
    migrates(test, three, 3, 3, 3);
    assert_int_equal(number(test, &sum_of_one), 30);
}

static void test_newer_database(void **const state)
{
    struct test_database *const test = *state;
    migrates(test, three, 3, 0, 3);
    stops(test, three, 2, BH_ECONFLICT, "newer than this program: it has migration \"0003_three\"");
    migrates(test, three, 3, 3, 3);
}

static void test_changed_migration(void **const state)
{
    struct test_database *const test = *state;
    migrates(test, three, 2, 0, 2);
    struct bh_migration changed[] = { three[0], three[1], three[2] };
    changed[1].sqlite = changed[1].postgres = "INSERT INTO one VALUES (1), (3)";
    stops(test, changed, 3, BH_ECONFLICT, "\"0002_two\" has changed since it was applied");
    assert_int_equal(number(test, &sum_of_one), 3);
}

static void test_gaps(void **const state)
{
    struct test_database *const test = *state;
    const struct bh_migration gap[] = { three[0], three[2] };
    stops(test, gap, 2, BH_EINVAL, "\"0003_three\" has version 3 where 2 is due");
    static const struct bh_migration without_text[] = { { .version = 1, .name = "0001_x" } };
    stops(test, without_text, 1, BH_EUNSUPPORTED, "no text for ");
    migrates(test, three, 3, 0, 3);
    static const struct bh_statement lose = STATEMENT(
        "lose", "DELETE FROM schema_migrations WHERE version = 2",
        "DELETE FROM schema_migrations WHERE version = 2");
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &lose, NULL, 0, NULL, NULL, NULL), 0);
    stops(test, three, 3, BH_ECORRUPT, "has a gap: 3 stands where 2 is due");
}

static void test_foreign_database(void **const state)
{
    struct test_database *const test = *state;
    static const struct bh_statement table = STATEMENT("table", "CREATE TABLE places (a INT)",
                                                       "CREATE TABLE places (a INT)");
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &table, NULL, 0, NULL, NULL, NULL), 0);
    stops(test, three, 3, BH_ECONFLICT, "belongs to another program");
    assert_int_equal(number(test, &tables), 1);
}

static void test_a_failing_migration_leaves_nothing(void **const state)
{
    struct test_database *const test = *state;
    static const struct {
        const char *text, *message;
        int code;
    } cases[] = {
        { "CREATE TABLE x (a INT); INSERT INTO nowhere VALUES (1)", "nowhere", BH_EINTERNAL },
        { "CREATE TABLE x (a INT); COMMIT; CREATE TABLE y (a INT)", "runs in a transaction already",
          BH_EINVAL },
        { "CREATE TABLE x (a INT); COMMIT; BEGIN; CREATE TABLE y (a INT)",
          "runs in a transaction already", BH_EINVAL },
        { "CREATE TABLE x (a INT); ROLLBACK", "runs in a transaction already", BH_EINVAL },
    };
    migrates(test, three, 1, 0, 1);
    const int64_t before = number(test, &tables);
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct bh_migration broken[] = { three[0], MIGRATION(2, "0002_x", cases[i].text) };
        stops(test, broken, 2, cases[i].code, cases[i].message);
        assert_int_equal(number(test, &tables), before);
    }
    migrates(test, three, 3, 1, 3);
}

/* Eight processes start on an empty database; on SQLite, on a file that does not exist yet. */
static void test_processes_at_once(void **const state)
{
    struct test_database *const test = *state;
    bh_db_close(test->db);
    test->db = NULL;
    if (!test->server)
        assert_int_equal(unlink(test->path), 0);
    enum { PROCESSES = 8 };
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            const struct bh_db_options options = test_database_options(test);
            int result = bh_db_open(&options, &test->db, &test->error);
            if (!result)
                result = bh_migrate(test->db, three, 3, NULL, &test->error);
            if (result)
                fprintf(stderr, "%s\n", test->error.message);
            bh_db_close(result ? NULL : test->db);
            _exit(result ? 1 : 0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    const struct bh_db_options options = test_database_options(test);
    test_database_reopen(test, &options);
    migrates(test, three, 3, 3, 3);
    assert_int_equal(number(test, &sum_of_one), 30);
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_applies_what_is_missing), TEST(test_newer_database),
        TEST(test_changed_migration),       TEST(test_gaps),
        TEST(test_foreign_database),        TEST(test_a_failing_migration_leaves_nothing),
        TEST(test_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
