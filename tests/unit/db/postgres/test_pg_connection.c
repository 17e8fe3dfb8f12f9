/*
 * Reads that share a segment: fibers that ask in the same turn of a loop, some of which fail. That
 * they do share is seen by the transaction's time, which all statements of one have in common.
 */
#include "cmocka_setup.h"
#include "in_fiber.h"
#include "prng.h"

#include "db/database.h"

enum { SQL_DIVIDE, SQL_INVERSE, SQL_OTHER, SQL_INSERT, SQL_STATEMENTS };

#define STATEMENT(id, text) [SQL_##id] = { .name = #id, .postgres = (text), .index = SQL_##id }
#define BEGUN "extract(epoch FROM transaction_timestamp())::float8"

static const struct bh_statement sql[SQL_STATEMENTS] = {
    STATEMENT(DIVIDE, "SELECT 100 / $1::bigint, " BEGUN),
    STATEMENT(INVERSE, "SELECT 100 / $1::bigint, " BEGUN), /* not prepared before it is asked */
    STATEMENT(OTHER, "SELECT 100 / $1::bigint, " BEGUN),   /* nor this */
    STATEMENT(INSERT, "INSERT INTO t VALUES ($1)"),
};

enum { MEMBERS = 8 };

struct member {
    struct crowd *crowd;
    struct bh_fiber *fiber;
    enum bh_db_lane lane;
    int statement;
    int64_t number; /* 0: the statement fails */
    int code;
    int64_t quotient;
    double begun;
    char sqlstate[6];
};

struct crowd {
    struct test_database *test;
    struct bh_fiber *waiter;
    unsigned left;
    struct member members[MEMBERS];
};

static int setup(void **const state)
{
    if (test_database_setup(state) != 0)
        return -1;
    struct test_database *const test = *state;
    test_database_server(test->url, "CREATE TABLE t (id bigint PRIMARY KEY)");
    struct bh_db_options options = test_database_options(test);
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    test_database_reopen(test, &options);
    return 0;
}

static void ask(void *const argument)
{
    struct member *const member = argument;
    struct crowd *const crowd = member->crowd;
    struct bh_arena *arena;
    struct bh_db_rows rows;
    struct bh_error error = { 0 };
    member->fiber = bh_fiber_current();
    assert_int_equal(bh_arena_create(4096, &arena), 0);
    const struct bh_db_value value = bh_db_int(member->number);
    member->code = bh_db_query(crowd->test->db, member->lane, &sql[member->statement], &value, 1,
                               arena, &rows, &error);
    if (member->code)
        memcpy(member->sqlstate, error.sqlstate, sizeof(member->sqlstate));
    else if (rows.row_count == 1) {
        member->quotient = bh_db_int_at(&rows, 0, 0);
        member->begun = bh_db_double_at(&rows, 0, 1);
    }
    bh_arena_destroy(arena);
    member->fiber = NULL;
    if (--crowd->left == 0)
        bh_fiber_wake(crowd->waiter);
}

static void begin(struct crowd *const crowd, const int statement)
{
    for (int i = 0; i < MEMBERS; i++) {
        struct member *const member = &crowd->members[i];
        member->crowd = crowd;
        member->statement = statement;
        member->lane = BH_DB_READ;
        member->number = i + 1;
        member->code = 1;
    }
}

/* All at once. */
static void start(struct crowd *const crowd)
{
    crowd->waiter = bh_fiber_current();
    crowd->left = MEMBERS;
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), ask, &crowd->members[i]), 0);
}

static void finish(const struct crowd *const crowd)
{
    while (crowd->left > 0)
        assert_int_equal(bh_fiber_park(), 0);
}

static void run(struct crowd *const crowd)
{
    start(crowd);
    finish(crowd);
}

static void assert_answered(const struct member *const member)
{
    assert_int_equal(member->code, 0);
    assert_int_equal(member->quotient, 100 / member->number);
}

static void assert_failed(const struct member *const member)
{
    assert_int_not_equal(member->code, 0);
    assert_string_equal(member->sqlstate, "22012"); /* division by zero */
}

/* In how many transactions they ran. */
static unsigned transactions(const struct crowd *const crowd)
{
    unsigned count = 0;
    for (int i = 0; i < MEMBERS; i++) {
        bool is_new = true;
        for (int j = 0; j < i; j++)
            is_new &= crowd->members[j].begun != crowd->members[i].begun;
        count += is_new;
    }
    return count;
}

/* ---- Tests ---- */

/* A busy machine may let the pool predict more work than one segment takes, and under
 * ThreadSanitizer it always does. */
static void reads_share(void *const argument)
{
    struct crowd crowd = { .test = argument };
    unsigned fewest = MEMBERS;
    for (int round = 0; round < 1000 && fewest > 1; round++) {
        begin(&crowd, SQL_DIVIDE);
        run(&crowd);
        for (int i = 0; i < MEMBERS; i++)
            assert_answered(&crowd.members[i]);
        const unsigned count = transactions(&crowd);
        fewest = count < fewest ? count : fewest;
    }
    assert_int_equal(fewest, 1);
}

static void test_sharing(void **const state)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    in_fiber_run(reads_share, *state);
}

/* Whichever fails, the others are answered; also when the failure is the first to need a
 * preparation, and those behind it need another. */
static void others_are_answered(void *const argument)
{
    struct crowd crowd = { .test = argument };
    for (int round = 0; round < MEMBERS; round++) {
        begin(&crowd, round == 0 ? SQL_INVERSE : SQL_DIVIDE);
        crowd.members[round].number = 0;
        crowd.members[MEMBERS - 1].statement = SQL_OTHER;
        run(&crowd);
        for (int i = 0; i < MEMBERS; i++) {
            if (crowd.members[i].number == 0)
                assert_failed(&crowd.members[i]);
            else
                assert_answered(&crowd.members[i]);
        }
    }
}

static void test_failures(void **const state)
{
    in_fiber_run(others_are_answered, *state);
}

static void all_fail(void *const argument)
{
    struct crowd crowd = { .test = argument };
    begin(&crowd, SQL_DIVIDE);
    for (int i = 0; i < MEMBERS; i++)
        crowd.members[i].number = 0;
    run(&crowd);
    for (int i = 0; i < MEMBERS; i++)
        assert_failed(&crowd.members[i]);
    begin(&crowd, SQL_DIVIDE);
    run(&crowd);
    for (int i = 0; i < MEMBERS; i++)
        assert_answered(&crowd.members[i]);
}

static void test_all_fail(void **const state)
{
    in_fiber_run(all_fail, *state);
}

/* Those who leave take nobody's answer with them. */
static void some_leave(void *const argument)
{
    struct crowd crowd = { .test = argument };
    uint64_t seed = 1;
    for (int round = 0; round < 200; round++) {
        begin(&crowd, SQL_DIVIDE);
        crowd.members[prng_next(&seed) % MEMBERS].number = 0;
        start(&crowd);
        for (uint64_t turns = prng_next(&seed) % 3; turns > 0; turns--)
            bh_fiber_yield();
        struct member *const leaver = &crowd.members[prng_next(&seed) % MEMBERS];
        if (leaver->fiber)
            bh_fiber_cancel(leaver->fiber);
        finish(&crowd);
        for (int i = 0; i < MEMBERS; i++) {
            const struct member *const member = &crowd.members[i];
            if (member == leaver && member->code == BH_ECANCELED)
                continue;
            if (member->number == 0)
                assert_failed(member);
            else
                assert_answered(member);
        }
    }
}

static void test_leaving(void **const state)
{
    in_fiber_run(some_leave, *state);
}

/* A change's failure is its own, and so is its success. */
static void changes_stand_alone(void *const argument)
{
    struct crowd crowd = { .test = argument };
    begin(&crowd, SQL_INSERT);
    for (int i = 0; i < MEMBERS; i++) {
        crowd.members[i].lane = BH_DB_WRITE;
        crowd.members[i].number = i / 2; /* each key twice */
    }
    run(&crowd);
    for (int i = 0; i < MEMBERS; i += 2) {
        assert_int_equal(crowd.members[i].code, 0);
        assert_int_equal(crowd.members[i + 1].code, BH_EEXISTS);
    }
}

static void test_changes(void **const state)
{
    in_fiber_run(changes_stand_alone, *state);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sharing), TEST(test_failures), TEST(test_all_fail),
        TEST(test_leaving), TEST(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
