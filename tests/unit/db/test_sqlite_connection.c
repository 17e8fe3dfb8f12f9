/* What connections keep of the file's pages: bounded for all readers together, there from the
 * start, given back when it is asked for. */
#include "cmocka_setup.h"

#include <malloc.h>
#include <pthread.h>

#include "bulkhead/base/assert.h"
#include "database.h"
#include "db/sqlite/sqlite_connection.h"

#define BUDGET_KIB 8000u
#define READERS_MAX 64u
#define KIB 1024u

static const struct bh_statement create = EMPTY_STATEMENT("CREATE TABLE t (a)");
static const struct bh_statement fill =
    EMPTY_STATEMENT(/* 4 MB, a row a page */
                    "WITH RECURSIVE n (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n WHERE x < "
                    "1000)"
                    " INSERT INTO t SELECT zeroblob(3000) FROM n");
static const struct bh_statement scan = EMPTY_STATEMENT("SELECT count(a) FROM t");

struct readers {
    struct bh_db *db;
    pthread_barrier_t all;
};

struct reader {
    struct readers *readers;
    pthread_t thread;
    int cache_bytes;
};

static void reopen(struct test_database *const test, const unsigned count)
{
    struct bh_db_options options = test_database_options(test);
    options.read_connections = count;
    test_database_reopen(test, &options);
}

static void make_table(struct test_database *const test)
{
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &create, NULL, 0, NULL, NULL, NULL), 0);
    assert_int_equal(bh_db_query(test->db, BH_DB_WRITE, &fill, NULL, 0, NULL, NULL, NULL), 0);
}

static int read_all(struct bh_sqlite_session *const session, void *const argument,
                    struct bh_error *const reterr)
{
    struct reader *const reader = argument;
    int most = 0;
    sqlite3_stmt *statement;
    pthread_barrier_wait(&reader->readers->all); /* so that each is a connection of its own */
    const int result = bh_sqlite_prepare(session, &scan, &statement, reterr);
    if (result)
        return result;
    const bool is_read = sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_reset(statement);
    sqlite3_db_status(bh_sqlite_handle(session), SQLITE_DBSTATUS_CACHE_USED, &reader->cache_bytes,
                      &most, 0);
    return is_read ? 0 : BH_EINTERNAL;
}

static void *reader_main(void *const argument)
{
    struct reader *const reader = argument;
    bh_assert(bh_sqlite_run(reader->readers->db, BH_DB_READ, "read", read_all, reader, NULL) == 0);
    return NULL;
}

/* Reads the table on `count` connections at once. */
static void read_on_all(struct test_database *const test, const unsigned count,
                        struct reader reader[])
{
    struct readers readers = { .db = test->db };
    assert_int_equal(pthread_barrier_init(&readers.all, NULL, count), 0);
    for (unsigned i = 0; i < count; i++) {
        reader[i] = (struct reader){ .readers = &readers };
        assert_int_equal(pthread_create(&reader[i].thread, NULL, reader_main, &reader[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(reader[i].thread, NULL);
    pthread_barrier_destroy(&readers.all);
}

/* 0 under the sanitizers, whose heap is another. */
static size_t heap_bytes(void)
{
    const struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

static void test_more_readers_share_the_same(void **const state)
{
    (void)state;
    assert_int_equal(bh_sqlite_connection_reader_cache(4), BUDGET_KIB / 4);
    assert_int_equal(bh_sqlite_connection_reader_cache(1), BUDGET_KIB / 4);
    for (unsigned readers = 1; readers <= READERS_MAX; readers++)
        assert_in_range(readers * bh_sqlite_connection_reader_cache(readers), 1, BUDGET_KIB);
}

static void test_pages_are_bounded(void **const state)
{
    struct test_database *const test = *state;
    make_table(test);
    for (unsigned count = 1; count <= 16; count *= 4) {
        struct reader reader[16];
        reopen(test, count);
        read_on_all(test, count, reader);
        const unsigned share = bh_sqlite_connection_reader_cache(count) * KIB;
        for (unsigned i = 0; i < count; i++)
            assert_in_range(reader[i].cache_bytes, share / 2, share + share / 16);
    }
}

static void test_room_is_there_from_the_start(void **const state)
{
    struct test_database *const test = *state;
    struct reader reader[4];
    make_table(test);
    reopen(test, BH_COUNT_OF(reader));
    const size_t before = heap_bytes();
    for (unsigned i = 0; i < 3; i++)
        read_on_all(test, BH_COUNT_OF(reader), reader);
    const size_t after = heap_bytes();
    assert_in_range(after, 0, before + 512 * KIB);
}

static void test_room_is_given_back(void **const state)
{
    struct test_database *const test = *state;
    struct reader reader[4];
    make_table(test);
    read_on_all(test, BH_COUNT_OF(reader), reader);
    const size_t before = heap_bytes();
    if (before < (size_t)BUDGET_KIB * KIB)
        skip();
    bh_sqlite_shrink(test->db);
    for (int i = 0; heap_bytes() + (size_t)BUDGET_KIB * KIB > before; i++) {
        assert_in_range(i, 0, 1000);
        usleep(10000);
    }
    read_on_all(test, BH_COUNT_OF(reader), reader);
    assert_in_range(heap_bytes(), before - 3000 * KIB, before + 512 * KIB); /* not the writer's */
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_more_readers_share_the_same),
        TEST(test_pages_are_bounded),
        TEST(test_room_is_there_from_the_start),
        TEST(test_room_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
