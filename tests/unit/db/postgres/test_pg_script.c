/* Which texts of several statements begin or end a transaction. */
#include "cmocka_setup.h"

#include "db/postgres/pg_script.h"

static void test_transactions_are_found(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "BEGIN",
        "commit;",
        "CREATE TABLE a (b int); COMMIT; CREATE TABLE c (d int)",
        "INSERT INTO a VALUES ('x;y''z'); rollback",
        "-- a comment\n/* one /* in another */ */ START TRANSACTION",
        "SELECT 1; END",
        "SELECT 1;\n\n  ABORT ;",
        "PREPARE TRANSACTION 'x'",
        "SELECT $a$ ; $b$ ; $a$; COMMIT",
        "SELECT E'\\'; COMMIT' || 'x'; COMMIT",
        "SELECT a$b; COMMIT",
        "SELECT \"a;b\"; COMMIT AND CHAIN",
        "SELECT $1; COMMIT",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!bh_pg_script_has_transaction(texts[i]))
            fail_msg("not found: %s", texts[i]);
    }
}

static void test_others_are_left_alone(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ;; -- COMMIT\n",
        "CREATE TABLE begin_end (commit_at int)",
        "INSERT INTO a VALUES ('; COMMIT; ', \"; COMMIT;\")",
        "/* ; COMMIT; /* ; COMMIT */ ; COMMIT */ SELECT 1",
        "DO $$ BEGIN PERFORM 1; COMMIT; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN; RETURN 1; END; $body$",
        "SAVEPOINT a; ROLLBACK TO a; RELEASE a",
        "SELECT E'\\'; COMMIT; --'",
        "SELECT 'it''s; COMMIT'",
        "PREPARE plan AS SELECT 1",
        "SELECT 1 -- ; COMMIT",
        "SELECT 'open; COMMIT",
        "SELECT $open$ ; COMMIT",
        "/* open ; COMMIT",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (bh_pg_script_has_transaction(texts[i]))
            fail_msg("found in: %s", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transactions_are_found),
        cmocka_unit_test(test_others_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
