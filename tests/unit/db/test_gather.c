/* Lookups that share a statement: everybody gets their own row, whoever comes, leaves or fails. */
#include "cmocka_setup.h"
#include "in_fiber.h"
#include "prng.h"

#include "db/database.h"

#include "bulkhead/db/gate.h"
#include "bulkhead/db/gather.h"
#include "bulkhead/loop/standing.h"

enum { SQL_CREATE, SQL_FILL, SQL_ONE, SQL_SOME, SQL_SLOW_ONE, SQL_SLOW_SOME, SQL_DROP, SQL_COUNT };

#define STATEMENT(id, sqlite_text, postgres_text)                                            \
    [SQL_##id] = {                                                                           \
        .name = #id, .sqlite = (sqlite_text), .postgres = (postgres_text), .index = SQL_##id \
    }
#define ROWS "SELECT id, name, note FROM t WHERE scope = "
#define SQLITE_KEYS "(SELECT value FROM json_each(?2))"
#define POSTGRES_KEYS "(SELECT value::bigint FROM json_array_elements_text($2::json))"
/* Some milliseconds, before which nobody has an answer. */
#define SQLITE_WORK                                                                           \
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) " ROWS \
    "?1 AND (SELECT count(*) FROM n) > 0"
#define POSTGRES_WORK ROWS "$1 AND (SELECT pg_sleep(0.02)) IS NOT NULL"

static const struct bh_statement sql[SQL_COUNT] = {
    STATEMENT(CREATE,
              "CREATE TABLE t (scope INTEGER, id INTEGER, name TEXT, note TEXT,"
              " PRIMARY KEY (scope, id)) STRICT",
              "CREATE TABLE t (scope bigint, id bigint, name text, note text,"
              " PRIMARY KEY (scope, id))"),
    STATEMENT(FILL,
              "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100)"
              " INSERT INTO t SELECT s.x, n.x, 'row ' || s.x || '/' || n.x,"
              " CASE WHEN n.x % 2 = 0 THEN 'even' END FROM n, (SELECT 1 AS x UNION SELECT 2) s",
              "INSERT INTO t SELECT s, n, 'row ' || s || '/' || n,"
              " CASE WHEN n % 2 = 0 THEN 'even' END"
              " FROM generate_series(1, 100) n, generate_series(1, 2) s"),
    STATEMENT(ONE, ROWS "?1 AND id = ?2", ROWS "$1 AND id = $2"),
    STATEMENT(SOME, ROWS "?1 AND id IN " SQLITE_KEYS, ROWS "$1 AND id IN " POSTGRES_KEYS),
    STATEMENT(SLOW_ONE, SQLITE_WORK " AND id = ?2", POSTGRES_WORK " AND id = $2"),
    STATEMENT(SLOW_SOME, SQLITE_WORK " AND id IN " SQLITE_KEYS,
              POSTGRES_WORK " AND id IN " POSTGRES_KEYS),
    STATEMENT(DROP, "DROP TABLE t", "DROP TABLE t"),
};

static const struct bh_db_lookup quick = { &sql[SQL_ONE], &sql[SQL_SOME] };
static const struct bh_db_lookup slow = { &sql[SQL_SLOW_ONE], &sql[SQL_SLOW_SOME] };

static struct bh_db *db;
static unsigned statements; /* since the last time that it was set to 0 */

/* ---- Counting statements ---- */

static int gate_enter(void *const argument, const enum bh_db_lane lane, const uint64_t now_us,
                      uint64_t *const ret_permit, struct bh_error *const reterr)
{
    (void)argument;
    (void)lane;
    (void)now_us;
    (void)reterr;
    *ret_permit = 0;
    statements++;
    return 0;
}

static void gate_leave(void *const argument, const enum bh_db_lane lane, const uint64_t permit,
                       const enum bh_db_outcome outcome, const uint64_t longest_us,
                       const uint64_t now_us)
{
    (void)argument;
    (void)lane;
    (void)permit;
    (void)outcome;
    (void)longest_us;
    (void)now_us;
}

static void gate_host(void *const argument, const enum bh_db_lane lane, const bool is_down)
{
    (void)argument;
    (void)lane;
    (void)is_down;
}

static const struct bh_db_gate gate = { .enter = gate_enter,
                                        .leave = gate_leave,
                                        .host = gate_host };

/* ---- Callers ---- */

struct caller {
    int64_t scope, key;
    const struct bh_db_lookup *lookup;
    size_t arena_bytes;   /* 0: enough */
    uint64_t duration_us; /* its time; 0: no limit */
    uint32_t tenant;
    unsigned *running; /* callers not yet done, of `waiting`'s concern */
    struct bh_fiber *waiting;
    struct bh_fiber *fiber; /* NULL when it has ended */
    int result;
    bool has_row;
    char name[32];
};

static void look_up(void *const argument)
{
    struct caller *const caller = argument;
    struct bh_arena *arena;
    struct bh_db_rows rows;
    struct bh_error error;
    caller->fiber = bh_fiber_current();
    bh_fiber_set_standing((struct bh_fiber_standing){ .tenant = caller->tenant });
    if (caller->duration_us != 0)
        bh_fiber_set_deadline(bh_time_now_us() + caller->duration_us);
    assert_int_equal(bh_arena_create(caller->arena_bytes ? caller->arena_bytes : 65536, &arena), 0);
    caller->result = bh_db_look_up(db, caller->lookup ? caller->lookup : &quick, caller->scope,
                                   caller->key, arena, &rows, &error);
    if (caller->result == 0) {
        assert_true(rows.row_count <= 1);
        assert_int_equal(rows.column_count, 3);
        caller->has_row = rows.row_count == 1;
    } else {
        assert_int_equal(error.code, caller->result);
    }
    if (caller->has_row) {
        assert_int_equal(bh_db_int_at(&rows, 0, 0), caller->key);
        assert_int_equal(bh_db_is_null_at(&rows, 0, 2), caller->key % 2 != 0);
        snprintf(caller->name, sizeof(caller->name), "%.*s",
                 BH_STR_ARGS(bh_db_text_at(&rows, 0, 1)));
    }
    bh_arena_destroy(arena);
    caller->fiber = NULL;
    if (--*caller->running == 0)
        bh_fiber_wake(caller->waiting);
}

/* Starts all of them in this turn; they wait. */
static void start(struct caller *const callers, const unsigned count, unsigned *const running)
{
    *running = count;
    for (unsigned i = 0; i < count; i++) {
        callers[i].running = running;
        callers[i].waiting = bh_fiber_current();
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), look_up, &callers[i]), 0);
    }
}

static void finish(const unsigned *const running)
{
    while (*running > 0)
        bh_fiber_park_uncancelable();
}

static void run_all(struct caller *const callers, const unsigned count)
{
    unsigned running;
    start(callers, count, &running);
    finish(&running);
}

static void has_own_row(const struct caller *const caller)
{
    char name[32];
    assert_int_equal(caller->result, 0);
    assert_int_equal(caller->has_row, caller->key >= 1 && caller->key <= 100);
    snprintf(name, sizeof(name), "row %d/%d", (int)caller->scope, (int)caller->key);
    if (caller->has_row)
        assert_string_equal(caller->name, name);
}

/* ---- Tests ---- */

static void open_filled(void **const state)
{
    struct test_database *const database = *state;
    struct bh_db_options options = test_database_options(database);
    options.statements = sql;
    options.statement_count = SQL_COUNT;
    options.gate = &gate;
    test_database_reopen(database, &options);
    db = database->db;
    for (int i = SQL_CREATE; i <= SQL_FILL; i++)
        assert_int_equal(bh_db_query(db, BH_DB_WRITE, &sql[i], NULL, 0, NULL, NULL, NULL), 0);
    statements = 0;
}

static void a_turn_is_a_statement(void *const argument)
{
    (void)argument;
    struct caller callers[BH_DB_GATHER_KEYS] = { 0 };
    for (unsigned i = 0; i < BH_DB_GATHER_KEYS; i++) /* some twice, the last one is missing */
        callers[i] = (struct caller){ .scope = 1, .key = i == 15 ? 1000 : 1 + i / 2 };
    run_all(callers, BH_DB_GATHER_KEYS);
    for (unsigned i = 0; i < BH_DB_GATHER_KEYS; i++)
        has_own_row(&callers[i]);
    assert_int_equal(statements, 1);
    statements = 0;
    for (unsigned i = 0; i < 3; i++)
        run_all(&callers[i], 1);
    assert_int_equal(statements, 3);
}

static void test_lookups_of_a_turn_share_a_statement(void **const state)
{
    open_filled(state);
    in_fiber_run(a_turn_is_a_statement, NULL);
}

/* More than fit, two scopes and two tenants, mixed. */
static void nobody_gets_a_strangers_row(void *const argument)
{
    (void)argument;
    struct caller callers[200] = { 0 };
    for (unsigned i = 0; i < 200; i++)
        callers[i] = (struct caller){ .scope = 1 + i % 2, .key = i / 2 + 1, .tenant = i % 4 / 2 };
    run_all(callers, 200);
    for (unsigned i = 0; i < 200; i++)
        has_own_row(&callers[i]);
    const unsigned a_group = (50 + BH_DB_GATHER_KEYS - 1) / BH_DB_GATHER_KEYS;
    assert_int_equal(statements, 4 * a_group);
}

static void test_scopes_and_tenants_are_kept_apart(void **const state)
{
    open_filled(state);
    in_fiber_run(nobody_gets_a_strangers_row, NULL);
}

/* More scopes than gathers may be open at a time. */
static void many_scopes(void *const argument)
{
    (void)argument;
    struct caller callers[60] = { 0 };
    for (unsigned i = 0; i < 60; i++)
        callers[i] = (struct caller){ .scope = 1 + i % 30, .key = 7 };
    run_all(callers, 60);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(callers[i].result, 0);
        assert_int_equal(callers[i].has_row, callers[i].scope <= 2);
    }
}

static void test_more_scopes_than_may_be_open(void **const state)
{
    open_filled(state);
    in_fiber_run(many_scopes, NULL);
}

static void leader_leaves(void *const argument)
{
    (void)argument;
    struct caller callers[4] = { 0 };
    unsigned running;
    for (unsigned i = 0; i < 4; i++)
        callers[i] = (struct caller){ .scope = 1, .key = 1 + i };
    start(callers, 4, &running);
    bh_fiber_cancel(callers[0].fiber);
    finish(&running);
    assert_int_equal(callers[0].result, BH_ECANCELED);
    for (unsigned i = 1; i < 4; i++)
        has_own_row(&callers[i]);
    assert_int_equal(statements, 4);
}

static void test_others_go_on_when_the_leader_leaves(void **const state)
{
    open_filled(state);
    in_fiber_run(leader_leaves, NULL);
}

static void leader_is_late(void *const argument)
{
    (void)argument;
    struct caller callers[3] = { 0 };
    for (unsigned i = 0; i < 3; i++)
        callers[i] = (struct caller){ .scope = 1, .key = 1 + i, .lookup = &slow };
    callers[0].duration_us = 2000;
    run_all(callers, 3);
    assert_int_equal(callers[0].result, BH_ETIMEDOUT);
    has_own_row(&callers[1]);
    has_own_row(&callers[2]);
}

static void test_others_go_on_when_the_leaders_time_is_over(void **const state)
{
    open_filled(state);
    in_fiber_run(leader_is_late, NULL);
}

static void leaders_arena_is_full(void *const argument)
{
    (void)argument;
    struct caller callers[3] = { 0 };
    for (unsigned i = 0; i < 3; i++)
        callers[i] = (struct caller){ .scope = 1, .key = 1 + i, .arena_bytes = i != 1 ? 16 : 0 };
    run_all(callers, 3);
    assert_int_equal(callers[0].result, BH_ELIMIT);
    has_own_row(&callers[1]);
    assert_int_equal(callers[2].result, BH_ELIMIT);
    callers[0].arena_bytes = 0;
    run_all(callers, 3);
    has_own_row(&callers[0]);
    has_own_row(&callers[1]);
    assert_int_equal(callers[2].result, BH_ELIMIT);
}

static void test_a_full_arena_is_its_owners_matter(void **const state)
{
    open_filled(state);
    in_fiber_run(leaders_arena_is_full, NULL);
}

static void followers_leave(void *const argument)
{
    (void)argument;
    struct caller callers[5] = { 0 };
    unsigned running;
    for (unsigned i = 0; i < 5; i++)
        callers[i] = (struct caller){ .scope = 2, .key = 1 + i, .lookup = &slow };
    callers[2].duration_us = 2000;
    start(callers, 5, &running);
    bh_fiber_cancel(callers[1].fiber); /* before the statement */
    while (callers[2].fiber != NULL)   /* during it: its time is over then */
        assert_int_equal(bh_fiber_sleep(1000), 0);
    bh_fiber_cancel(callers[3].fiber);
    finish(&running);
    has_own_row(&callers[0]);
    assert_int_equal(callers[1].result, BH_ECANCELED);
    assert_int_equal(callers[2].result, BH_ETIMEDOUT);
    assert_int_equal(callers[3].result, BH_ECANCELED);
    has_own_row(&callers[4]);
    assert_int_equal(statements, 1);
}

static void test_others_go_on_when_followers_leave(void **const state)
{
    open_filled(state);
    in_fiber_run(followers_leave, NULL);
}

static void all_fail(void *const argument)
{
    (void)argument;
    struct caller callers[6] = { 0 };
    for (unsigned i = 0; i < 6; i++)
        callers[i] = (struct caller){ .scope = 1, .key = 1 + i };
    run_all(callers, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(callers[i].result, callers[0].result);
    assert_true(callers[0].result < 0);
    assert_int_equal(statements, 1);
}

static void test_an_error_of_the_database_is_everybodys(void **const state)
{
    open_filled(state);
    assert_int_equal(bh_db_query(db, BH_DB_WRITE, &sql[SQL_DROP], NULL, 0, NULL, NULL, NULL), 0);
    statements = 0;
    in_fiber_run(all_fail, NULL);
}

/* Callers come and leave at random moments; a seed that fails repeats. */
static void at_random(void *const argument)
{
    uint64_t seed = *(const uint64_t *)argument;
    for (unsigned round = 0; round < 40; round++) {
        struct caller callers[48] = { 0 };
        unsigned running;
        bool is_canceled[48] = { false };
        for (unsigned i = 0; i < 48; i++)
            callers[i] = (struct caller){ .scope = 1 + (int64_t)prng_below(&seed, 2),
                                          .key = 1 + (int64_t)prng_below(&seed, 110),
                                          .duration_us = prng_below(&seed, 4) == 0
                                                             ? 1 + prng_below(&seed, 300)
                                                             : 0 };
        start(callers, 48, &running);
        while (running > 0) {
            const unsigned i = (unsigned)prng_below(&seed, 48);
            if (callers[i].fiber != NULL && prng_below(&seed, 6) == 0) {
                is_canceled[i] = true;
                bh_fiber_cancel(callers[i].fiber);
            }
            bh_fiber_yield();
        }
        for (unsigned i = 0; i < 48; i++) {
            if (callers[i].result == 0)
                has_own_row(&callers[i]);
            else if (callers[i].result == BH_ECANCELED)
                assert_true(is_canceled[i]);
            else
                assert_true(callers[i].result == BH_ETIMEDOUT && callers[i].duration_us > 0);
        }
    }
}

static void test_callers_come_and_leave_at_random(void **const state)
{
    open_filled(state);
    for (uint64_t seed = 1; seed <= 5; seed++)
        in_fiber_run(at_random, &seed);
}

static void test_a_thread_without_a_loop_asks_for_itself(void **const state)
{
    struct test_database *const database = *state;
    struct bh_db_rows rows;
    open_filled(state);
    assert_int_equal(bh_db_look_up(db, &quick, 2, 9, database->arena, &rows, NULL), 0);
    assert_int_equal(rows.row_count, 1);
    assert_int_equal(bh_db_int_at(&rows, 0, 0), 9);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lookups_of_a_turn_share_a_statement),
        TEST(test_scopes_and_tenants_are_kept_apart),
        TEST(test_more_scopes_than_may_be_open),
        TEST(test_others_go_on_when_the_leader_leaves),
        TEST(test_others_go_on_when_the_leaders_time_is_over),
        TEST(test_a_full_arena_is_its_owners_matter),
        TEST(test_others_go_on_when_followers_leave),
        TEST(test_an_error_of_the_database_is_everybodys),
        TEST(test_callers_come_and_leave_at_random),
        TEST(test_a_thread_without_a_loop_asks_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
