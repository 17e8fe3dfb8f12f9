/* Waiting for a connection: order, limits, time-outs, cancellation, and connections that always
 * come back. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <pthread.h>
#include <sched.h>

#include "bulkhead/db/statistics.h"
#include "bulkhead/loop/standing.h"
#include "db/db_metrics.h"
#include "db/sqlite/sqlite_lane.h"

enum { SQL_INSERT, SQL_COUNT, SQL_FOREVER, SQL_STEPS, SQL_ALL, SQL_ADD_COLUMN, SQL_STATEMENTS };

#define STATEMENT(id, text) [SQL_##id] = { .name = #id, .sqlite = (text), .index = SQL_##id }
#define COUNTING(bound)                                                                     \
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < " bound ") " \
    "SELECT count(*) FROM n"

static const struct bh_statement sql[SQL_STATEMENTS] = {
    STATEMENT(INSERT, "INSERT INTO t VALUES (?1)"),
    STATEMENT(COUNT, "SELECT count(*) FROM t"),
    STATEMENT(FOREVER, COUNTING("1e18")),
    STATEMENT(STEPS, COUNTING("?1")),
    STATEMENT(ALL, "SELECT * FROM t"),
    STATEMENT(ADD_COLUMN, "ALTER TABLE t ADD COLUMN b DEFAULT 'new'"),
};

static const struct bh_statement create = { .name = "create", .sqlite = "CREATE TABLE t (a)" };

static struct bh_db *db;
static struct test_database *database;

static void open_lane(void **const state, struct bh_db_options options)
{
    database = *state;
    const struct bh_db_options usual = test_database_options(database);
    options.url = usual.url;
    options.statements = sql;
    options.statement_count = SQL_STATEMENTS;
    if (!options.read_connections)
        options.read_connections = usual.read_connections;
    if (!options.waiters_maximum)
        options.waiters_maximum = usual.waiters_maximum;
    if (!options.acquire_timeout_us)
        options.acquire_timeout_us = usual.acquire_timeout_us;
    test_database_reopen(database, &options);
    db = database->db;
    assert_int_equal(bh_db_query(db, BH_DB_WRITE, &create, NULL, 0, NULL, NULL, NULL), 0);
}

static int64_t value_of(const int index, const struct bh_db_value *const parameters,
                        const size_t parameter_count)
{
    struct bh_arena *arena;
    struct bh_db_rows rows;
    assert_int_equal(bh_arena_create(4096, &arena), 0);
    const int result = bh_db_query(db, BH_DB_READ, &sql[index], parameters, parameter_count, arena,
                                   &rows, &database->error);
    if (result)
        fail_msg("%s", database->error.message);
    const int64_t value = bh_db_int_at(&rows, 0, 0);
    bh_arena_destroy(arena);
    return value;
}

static int64_t count(void)
{
    return value_of(SQL_COUNT, NULL, 0);
}

static int64_t active(const enum bh_db_lane lane)
{
    return bh_metrics_value(bh_db_metrics_lane(lane).active);
}

static int64_t waiting(const enum bh_db_lane lane)
{
    return bh_metrics_value(bh_db_metrics_lane(lane).waiting);
}

/* A fiber that makes one call and remembers how it ended. */
struct caller {
    enum bh_db_lane lane;
    int index;
    uint64_t deadline_us;
    struct bh_fiber *fiber;
    struct bh_error error;
    int result;
    bool ended;
    unsigned place; /* among those that ended */
};

static unsigned ended_count;

static void call_once(void *const argument)
{
    struct caller *const caller = argument;
    caller->fiber = bh_fiber_current();
    if (caller->deadline_us)
        bh_fiber_set_deadline(caller->deadline_us);
    const bool has_parameter = caller->index == SQL_INSERT || caller->index == SQL_STEPS;
    const struct bh_db_value value = bh_db_int(20000);
    caller->result = bh_db_query(db, caller->lane, &sql[caller->index], &value, has_parameter, NULL,
                                 NULL, &caller->error);
    caller->place = ended_count++;
    caller->ended = true;
}

static void start(struct caller *const caller, const enum bh_db_lane lane, const int index)
{
    caller->lane = lane;
    caller->index = index;
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), call_once, caller), 0);
}

static void wait_for(const struct caller *const callers, const size_t count_)
{
    for (size_t i = 0; i < count_; i++) {
        while (!callers[i].ended)
            assert_int_equal(bh_fiber_sleep(200), 0);
    }
}

static struct bh_db_transaction *begin(const enum bh_db_lane lane)
{
    struct bh_db_transaction *transaction;
    if (bh_db_begin(db, lane, &transaction, &database->error) != 0)
        fail_msg("%s", database->error.message);
    return transaction;
}

/* ---- Order and limits ---- */

static void first_in_first_out(void *const argument)
{
    (void)argument;
    static const enum bh_db_lane lanes[] = { BH_DB_READ, BH_DB_WRITE };
    for (size_t l = 0; l < BH_COUNT_OF(lanes); l++) {
        enum { CALLERS = 50 };
        struct caller callers[CALLERS] = { 0 };
        struct bh_db_transaction *const holder = begin(lanes[l]);
        ended_count = 0;
        for (size_t i = 0; i < CALLERS; i++)
            start(&callers[i], lanes[l], lanes[l] == BH_DB_READ ? SQL_COUNT : SQL_INSERT);
        assert_int_equal(waiting(lanes[l]), CALLERS);
        assert_int_equal(active(lanes[l]), 1);
        assert_int_equal(ended_count, 0);
        bh_db_rollback(holder);
        wait_for(callers, CALLERS);
        for (size_t i = 0; i < CALLERS; i++) {
            assert_int_equal(callers[i].result, 0);
            assert_int_equal(callers[i].place, i);
        }
        assert_int_equal(waiting(lanes[l]), 0);
    }
}

static void test_order(void **const state)
{
    open_lane(state, (struct bh_db_options){ .read_connections = 1 });
    in_fiber_run(first_in_first_out, NULL);
}

static void too_many_are_refused(void *const argument)
{
    (void)argument;
    static const struct bh_log_context context = { .route = BH_STR("PATCH /slow") };
    struct caller callers[3] = { 0 };
    bh_fiber_set_log_context(&context);
    struct bh_db_transaction *const holder = begin(BH_DB_WRITE);
    bh_fiber_set_log_context(NULL);
    for (size_t i = 0; i < 3; i++)
        start(&callers[i], BH_DB_WRITE, SQL_INSERT);
    assert_true(callers[2].ended);
    assert_int_equal(callers[2].result, BH_EBUSY);
    assert_non_null(strstr(callers[2].error.message, "too many wait already"));
    assert_non_null(strstr(callers[2].error.message, "with \"begin\" for PATCH /slow"));
    struct bh_db_statistics now;
    bh_db_statistics(db, BH_DB_WRITE, &now);
    assert_int_equal(now.size, 1);
    assert_int_equal(now.total, 1);
    assert_int_equal(now.in_use, 1);
    assert_int_equal(now.waiting, 2);
    assert_int_equal(now.refused, 1);
    bh_db_rollback(holder);
    wait_for(callers, 3);
    bh_db_statistics(db, BH_DB_WRITE, &now);
    assert_int_equal(now.waiting, 0);
    assert_int_equal(now.granted, 4); /* create, begin, and two that waited */
    assert_int_equal(now.waited, 2);
    assert_int_equal(now.connected, 1);
    assert_int_equal(now.timed_out, 0);
    assert_int_equal(callers[0].result, 0);
    assert_int_equal(callers[1].result, 0);
    assert_int_equal(count(), 2);
}

static void test_waiters_maximum(void **const state)
{
    open_lane(state, (struct bh_db_options){ .waiters_maximum = 2 });
    in_fiber_run(too_many_are_refused, NULL);
}

static void waiting_has_an_end(void *const argument)
{
    (void)argument;
    struct caller callers[2] = { 0 };
    struct bh_db_transaction *const holder = begin(BH_DB_WRITE);
    const uint64_t since_us = bh_time_now_us();
    start(&callers[0], BH_DB_WRITE, SQL_INSERT);
    wait_for(callers, 1);
    assert_int_equal(callers[0].result, BH_EBUSY);
    assert_true(bh_time_now_us() - since_us >= 500 * BH_MS_US);
    assert_non_null(strstr(callers[0].error.message, "none became free in time; 1 of 1 are busy"));
    /* The read lane does not care. */
    assert_int_equal(count(), 0);
    start(&callers[1], BH_DB_WRITE, SQL_INSERT);
    bh_db_rollback(holder);
    wait_for(callers, 2);
    assert_int_equal(callers[1].result, 0);
}

static void test_acquire_timeout(void **const state)
{
    open_lane(state, (struct bh_db_options){ .acquire_timeout_us = 500 * BH_MS_US });
    in_fiber_run(waiting_has_an_end, NULL);
}

/* A query that outlasts the acquire time-out is not hurt by it: it has its connection. */
static void acquired_is_acquired(void *const argument)
{
    (void)argument;
    const struct bh_db_value steps = bh_db_int(3000000);
    const uint64_t since_us = bh_time_now_us();
    assert_int_equal(value_of(SQL_STEPS, &steps, 1), 3000000);
    assert_true(bh_time_now_us() - since_us > 10 * BH_MS_US);
}

static void test_acquire_timeout_spares_running(void **const state)
{
    open_lane(state, (struct bh_db_options){ .acquire_timeout_us = 10 * BH_MS_US });
    in_fiber_run(acquired_is_acquired, NULL);
}

static void leaving_the_queue(void *const argument)
{
    (void)argument;
    struct caller callers[4] = { 0 };
    struct bh_db_transaction *const holder = begin(BH_DB_WRITE);
    callers[1].deadline_us = bh_time_now_us() + 5 * BH_MS_US;
    for (size_t i = 0; i < 4; i++)
        start(&callers[i], BH_DB_WRITE, SQL_INSERT);
    bh_fiber_cancel(callers[0].fiber);
    bh_fiber_cancel(callers[2].fiber);
    wait_for(callers, 3);
    assert_int_equal(callers[0].result, BH_ECANCELED);
    assert_int_equal(callers[1].result, BH_ETIMEDOUT);
    assert_int_equal(callers[2].result, BH_ECANCELED);
    assert_int_equal(waiting(BH_DB_WRITE), 1);
    struct bh_db_statistics now;
    bh_db_statistics(db, BH_DB_WRITE, &now);
    assert_int_equal(now.timed_out, 1);
    assert_int_equal(now.waiting, 1);
    bh_db_rollback(holder);
    wait_for(callers, 4);
    assert_int_equal(callers[3].result, 0);
    assert_int_equal(count(), 1);

    struct caller late = { .deadline_us = 1 };
    start(&late, BH_DB_WRITE, SQL_INSERT);
    assert_true(late.ended);
    assert_int_equal(late.result, BH_ETIMEDOUT);
    assert_int_equal(count(), 1);
}

static void test_leaving_the_queue(void **const state)
{
    open_lane(state, (struct bh_db_options){ 0 });
    in_fiber_run(leaving_the_queue, NULL);
}

/* ---- Interruption ---- */

static void deadline_interrupts(void *const argument)
{
    (void)argument;
    for (int i = 0; i < 3; i++) {
        struct caller caller = { .deadline_us = bh_time_now_us() + 20 * BH_MS_US };
        start(&caller, BH_DB_READ, SQL_FOREVER);
        wait_for(&caller, 1);
        assert_int_equal(caller.result, BH_ETIMEDOUT);
        assert_int_equal(count(), 0);
    }
    assert_int_equal(active(BH_DB_READ), 0);
}

static void test_deadline_interrupts(void **const state)
{
    open_lane(state, (struct bh_db_options){ .read_connections = 1 });
    in_fiber_run(deadline_interrupts, NULL);
}

static void cancel_interrupts(void *const argument)
{
    (void)argument;
    struct caller callers[2] = { 0 };
    start(&callers[0], BH_DB_READ, SQL_FOREVER);
    start(&callers[1], BH_DB_READ, SQL_COUNT); /* behind it, on the same connection */
    assert_int_equal(bh_fiber_sleep(5 * BH_MS_US), 0);
    assert_false(callers[0].ended);
    bh_fiber_cancel(callers[0].fiber);
    wait_for(callers, 2);
    assert_int_equal(callers[0].result, BH_ECANCELED);
    assert_int_equal(callers[1].result, 0);
}

static void test_cancel_interrupts(void **const state)
{
    open_lane(state, (struct bh_db_options){ .read_connections = 1 });
    in_fiber_run(cancel_interrupts, NULL);
}

/* Cancels come at every moment of other fibers' short queries on the one connection; whoever was
 * not cancelled must never notice. */
struct crowd {
    struct caller callers[64];
    bool canceled[64];
};

static void late_cancels_hit_nobody_else(void *const argument)
{
    (void)argument;
    static struct crowd crowd;
    uint64_t random = UINT64_C(0x9E3779B97F4A7C15);
    unsigned hit = 0;
    for (unsigned round = 0; round < 100; round++) {
        memset(&crowd, 0, sizeof(crowd));
        for (size_t i = 0; i < 64; i++)
            start(&crowd.callers[i], BH_DB_READ, i % 16 ? SQL_COUNT : SQL_STEPS);
        for (unsigned i = 0; i < 24; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
            const size_t victim = (random >> 33) % 64;
            if (!crowd.callers[victim].ended) {
                crowd.canceled[victim] = true;
                bh_fiber_cancel(crowd.callers[victim].fiber);
            }
            if (random >> 63)
                bh_fiber_yield();
        }
        wait_for(crowd.callers, 64);
        for (size_t i = 0; i < 64; i++) {
            if (!crowd.canceled[i])
                assert_int_equal(crowd.callers[i].result, 0);
            hit += crowd.callers[i].result == BH_ECANCELED;
        }
    }
    assert_true(hit > 0);
    assert_int_equal(active(BH_DB_READ), 0);
    assert_int_equal(waiting(BH_DB_READ), 0);
}

static void test_late_cancels(void **const state)
{
    open_lane(state, (struct bh_db_options){ .read_connections = 1 });
    in_fiber_run(late_cancels_hit_nobody_else, NULL);
}

/* ---- Another process ---- */

static void another_process_has_the_lock(void *const argument)
{
    sqlite3 *const other = argument;
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct caller callers[4] = { { .deadline_us = bh_time_now_us() + 100 * BH_MS_US } };
    start(&callers[0], BH_DB_WRITE, SQL_INSERT);
    wait_for(callers, 1);
    assert_int_equal(callers[0].result, BH_EUNAVAILABLE);
    assert_non_null(strstr(callers[0].error.message, "another process holds"));

    start(&callers[1], BH_DB_WRITE, SQL_INSERT);
    assert_int_equal(bh_fiber_sleep(5 * BH_MS_US), 0);
    assert_false(callers[1].ended);
    bh_fiber_cancel(callers[1].fiber);
    wait_for(callers, 2);
    assert_int_equal(callers[1].result, BH_ECANCELED);

    /* Readers do not care, and a writer waits until the lock is free. */
    start(&callers[2], BH_DB_WRITE, SQL_INSERT);
    assert_int_equal(count(), 0);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    wait_for(callers, 3);
    assert_int_equal(callers[2].result, 0);

    /* Without a deadline the time-out of the options ends the wait. */
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    start(&callers[3], BH_DB_WRITE, SQL_INSERT);
    wait_for(callers, 4);
    assert_int_equal(callers[3].result, BH_EUNAVAILABLE);
    assert_int_equal(count(), 1);
}

static void test_another_process(void **const state)
{
    open_lane(state, (struct bh_db_options){ .acquire_timeout_us = BH_SECOND_US });
    sqlite3 *other;
    assert_int_equal(sqlite3_open(database->path, &other), SQLITE_OK);
    in_fiber_run(another_process_has_the_lock, other);
    sqlite3_close(other);
}

/* ---- Transactions ---- */

static int insert_into(struct bh_db_transaction *const transaction)
{
    const struct bh_db_value value = bh_db_int(1);
    return bh_db_transaction_query(transaction, &sql[SQL_INSERT], &value, 1, NULL, NULL, NULL);
}

struct canceled_writer {
    struct bh_fiber *fiber;
    bool commits;
    bool inserted;
    int result;
    bool ended;
};

static void writes_until_canceled(void *const argument)
{
    struct canceled_writer *const writer = argument;
    writer->fiber = bh_fiber_current();
    struct bh_db_transaction *const transaction = begin(BH_DB_WRITE);
    assert_int_equal(insert_into(transaction), 0);
    writer->inserted = true;
    assert_int_equal(bh_fiber_sleep(60 * BH_SECOND_US), BH_ECANCELED);
    if (writer->commits) {
        writer->result = bh_db_commit(transaction, NULL);
    } else {
        writer->result = insert_into(transaction);
        bh_db_rollback(transaction);
    }
    writer->ended = true;
}

static void canceled_writers_roll_back(void *const argument)
{
    (void)argument;
    for (int commits = 0; commits < 2; commits++) {
        struct canceled_writer writer = { .commits = commits != 0 };
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), writes_until_canceled, &writer), 0);
        while (!writer.inserted)
            bh_fiber_yield();
        bh_fiber_cancel(writer.fiber);
        while (!writer.ended)
            bh_fiber_yield();
        assert_int_equal(writer.result, BH_ECANCELED);
        assert_int_equal(count(), 0);
        assert_int_equal(active(BH_DB_WRITE), 0);
    }
}

static void test_canceled_writers(void **const state)
{
    open_lane(state, (struct bh_db_options){ 0 });
    in_fiber_run(canceled_writers_roll_back, NULL);
}

/* On a busy machine even begin and insert may be further apart than the time-out of this test. */
static struct bh_db_transaction *begin_and_insert(void)
{
    for (;;) {
        struct bh_db_transaction *const transaction = begin(BH_DB_WRITE);
        const int result = insert_into(transaction);
        if (!result)
            return transaction;
        assert_int_equal(result, BH_ETIMEDOUT);
        bh_db_rollback(transaction);
    }
}

static void silence_ends_a_transaction(void *const argument)
{
    (void)argument;
    struct bh_db_transaction *const silent = begin_and_insert();
    struct caller caller = { 0 };
    start(&caller, BH_DB_WRITE, SQL_INSERT);
    wait_for(&caller, 1);
    assert_int_equal(caller.result, 0);
    assert_int_equal(count(), 1);
    assert_int_equal(insert_into(silent), BH_ETIMEDOUT);
    assert_int_equal(bh_db_commit(silent, &database->error), BH_ETIMEDOUT);

    struct bh_db_transaction *const forgotten = begin_and_insert();
    while (active(BH_DB_WRITE) > 0)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    assert_int_equal(bh_db_commit(forgotten, &database->error), BH_ETIMEDOUT);
    assert_non_null(strstr(database->error.message, "idle for too long"));
    assert_int_equal(count(), 1);
    assert_int_equal(active(BH_DB_WRITE), 0);
}

static void test_idle_transaction(void **const state)
{
    open_lane(state, (struct bh_db_options){ .transaction_idle_timeout_us = 100 * BH_MS_US });
    in_fiber_run(silence_ends_a_transaction, NULL);
}

/* ---- Statements ---- */

static void statements_survive_a_new_schema(void *const argument)
{
    (void)argument;
    struct bh_db_rows rows;
    struct caller caller = { 0 };
    start(&caller, BH_DB_WRITE, SQL_INSERT);
    wait_for(&caller, 1);
    for (size_t columns = 1; columns <= 2; columns++) {
        for (int i = 0; i < 8; i++) { /* on every reader */
            assert_int_equal(bh_db_query(db, BH_DB_READ, &sql[SQL_ALL], NULL, 0, database->arena,
                                         &rows, &database->error),
                             0);
            assert_int_equal(rows.row_count, 1);
            assert_int_equal(rows.column_count, columns);
        }
        if (columns == 1)
            assert_int_equal(bh_db_query(db, BH_DB_WRITE, &sql[SQL_ADD_COLUMN], NULL, 0, NULL, NULL,
                                         &database->error),
                             0);
    }
    assert_true(bh_str_equal(bh_db_text_at(&rows, 0, 1), BH_STR("new")));
}

static void test_new_schema(void **const state)
{
    open_lane(state, (struct bh_db_options){ 0 });
    in_fiber_run(statements_survive_a_new_schema, NULL);
}

/* ---- Crowds ---- */

static unsigned queries_right;

static void twenty_queries(void *const argument)
{
    struct caller *const caller = argument;
    for (int64_t i = 1; i <= 20; i++) {
        const struct bh_db_value steps = bh_db_int(i);
        queries_right += value_of(SQL_STEPS, &steps, 1) == i;
    }
    caller->ended = true;
}

static void five_hundred_fibers(void *const argument)
{
    (void)argument;
    static struct caller callers[500];
    memset(callers, 0, sizeof(callers));
    queries_right = 0;
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), twenty_queries, &callers[i]), 0);
    wait_for(callers, 500);
    assert_int_equal(queries_right, 10000);
    assert_int_equal(active(BH_DB_READ), 0);
}

static void test_five_hundred_fibers(void **const state)
{
    open_lane(state, (struct bh_db_options){ 0 });
    in_fiber_run(five_hundred_fibers, NULL);
}

/* Writers on two loops that give up at random moments: every connection comes back, and what was
 * committed is what is there. */
struct loop_of_writers {
    pthread_t thread;
    uint64_t random;
    int64_t committed;
    unsigned left;
};

static uint64_t draw(struct loop_of_writers *const writers)
{
    writers->random = writers->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return writers->random >> 33;
}

static void random_writer(void *const argument)
{
    struct loop_of_writers *const writers = argument;
    for (int i = 0; i < 10; i++) {
        bh_fiber_set_deadline(bh_time_now_us() + draw(writers) % 4000);
        struct bh_db_transaction *transaction;
        const enum bh_db_lane lane = draw(writers) % 4 ? BH_DB_WRITE : BH_DB_READ;
        if (bh_db_begin(db, lane, &transaction, NULL) != 0)
            continue;
        if (lane == BH_DB_WRITE)
            (void)!insert_into(transaction);
        if (draw(writers) % 3 == 0)
            (void)!bh_fiber_sleep(draw(writers) % 500);
        if (draw(writers) % 4 == 0)
            bh_db_rollback(transaction);
        else if (bh_db_commit(transaction, NULL) == 0)
            writers->committed += lane == BH_DB_WRITE;
    }
    writers->left--;
}

static void crowd_of_writers(void *const argument)
{
    struct loop_of_writers *const writers = argument;
    writers->left = 60;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), random_writer, writers), 0);
    while (writers->left > 0)
        assert_int_equal(bh_fiber_sleep(200), 0);
}

static void *loop_thread(void *const argument)
{
    in_fiber_run(crowd_of_writers, argument);
    return NULL;
}

static void test_random_writers(void **const state)
{
    open_lane(state, (struct bh_db_options){ .read_connections = 2, .waiters_maximum = 40 });
    struct loop_of_writers loops[2] = { { .random = 1 }, { .random = 2 } };
    do { /* on a busy machine all of a crowd may run out of time */
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&loops[i].thread, NULL, loop_thread, &loops[i]), 0);
        for (size_t i = 0; i < 2; i++)
            pthread_join(loops[i].thread, NULL);
        assert_int_equal(count(), loops[0].committed + loops[1].committed);
    } while (loops[0].committed + loops[1].committed == 0);
    assert_int_equal(active(BH_DB_READ), 0);
    assert_int_equal(active(BH_DB_WRITE), 0);
    assert_int_equal(waiting(BH_DB_WRITE), 0);
}

/* ---- Invariants, looked at by another thread while fibers call, hold and give up ---- */

struct lane_crowd {
    struct bh_sqlite_lane *lane;
    struct loop_of_writers random;
    atomic_bool end;
};

static int spin(struct bh_sqlite_session *const session, void *const argument,
                struct bh_error *const reterr)
{
    (void)reterr;
    const uint64_t until_us = bh_time_now_us() + *(const uint64_t *)argument;
    int reason = 0;
    while (!reason && bh_time_now_us() < until_us)
        reason = bh_sqlite_check(session);
    return reason;
}

static void random_caller(void *const argument)
{
    struct lane_crowd *const crowd = argument;
    struct loop_of_writers *const random = &crowd->random;
    for (int i = 0; i < 20; i++) {
        bh_fiber_set_deadline(bh_time_now_us() + draw(random) % 3000);
        bh_fiber_set_standing((struct bh_fiber_standing){
            .priority = (enum bh_fiber_priority)(draw(random) % 3),
            .tenant = (uint32_t)(draw(random) % 4),
        });
        uint64_t spin_us = draw(random) % 100;
        struct bh_sqlite_hold hold = { 0 };
        const bool holds = draw(random) % 2;
        struct bh_trace_span span;
        const int result = bh_sqlite_lane_call(crowd->lane, "spin", spin, &spin_us,
                                               holds ? &hold : NULL, &span, NULL);
        if (!holds || result)
            continue;
        if (draw(random) % 2)
            (void)!bh_fiber_sleep(draw(random) % 2000); /* sometimes past the idle time-out */
        (void)!bh_sqlite_lane_call_held(&hold, "spin", spin, &spin_us, false, &span, NULL);
        (void)!bh_sqlite_lane_call_held(&hold, "spin", spin, &spin_us, true, &span, NULL);
    }
    random->left--;
}

static void crowd_of_callers(void *const argument)
{
    struct lane_crowd *const crowd = argument;
    crowd->random.left = 40;
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), random_caller, crowd), 0);
    while (crowd->random.left > 0)
        assert_int_equal(bh_fiber_sleep(200), 0);
}

static void *check_without_pause(void *const argument)
{
    struct lane_crowd *const crowd = argument;
    while (!atomic_load(&crowd->end)) {
        bh_sqlite_lane_check(crowd->lane);
        sched_yield();
    }
    return NULL;
}

static void test_invariants(void **const state)
{
    struct test_database *const test = *state;
    const struct bh_sqlite_config config = { .path = test->path, .lock_timeout_us = BH_SECOND_US };
    const struct bh_sqlite_lane_options options = {
        .name = "test",
        .threads = 3,
        .waiters_maximum = 25,
        .acquire_timeout_us = 2 * BH_MS_US,
        .hold_idle_timeout_us = BH_MS_US,
        .leak_us = 500,
        .delay_target_us = 200,
        .delay_interval_us = BH_MS_US,
        .config = &config,
    };
    struct lane_crowd crowd = { .random.random = 3 };
    assert_int_equal(bh_sqlite_lane_create(&options, &crowd.lane, &test->error), 0);
    pthread_t checker;
    assert_int_equal(pthread_create(&checker, NULL, check_without_pause, &crowd), 0);
    in_fiber_run(crowd_of_callers, &crowd);
    atomic_store(&crowd.end, true);
    pthread_join(checker, NULL);
    bh_sqlite_lane_check(crowd.lane);
    bh_sqlite_lane_destroy(crowd.lane);
    assert_int_equal(active(BH_DB_READ), 0);
    assert_int_equal(waiting(BH_DB_READ), 0);
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_waiters_maximum),
        TEST(test_acquire_timeout),
        TEST(test_acquire_timeout_spares_running),
        TEST(test_leaving_the_queue),
        TEST(test_deadline_interrupts),
        TEST(test_cancel_interrupts),
        TEST(test_late_cancels),
        TEST(test_another_process),
        TEST(test_canceled_writers),
        TEST(test_idle_transaction),
        TEST(test_new_schema),
        TEST(test_five_hundred_fibers),
        TEST(test_random_writers),
        TEST(test_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
