/*
 * Statements a second through the waiting calls on PostgreSQL, to be seen beside pgbench:
 *
 *     postgres_query URL [SECONDS [LOOPS [FIBERS [ROWS]]]]
 *
 * Each of FIBERS fibers on each loop reads ROWS rows of 2 kB by their key, one statement after the
 * other. Prints statements a second, this process' processor time for each, and the median and 99th
 * percentile of answer times. The table `bench_rows` (20,000 rows) is made if it is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/postgres.h"
#include "bulkhead/db/statistics.h"
#include "bulkhead/loop/fiber.h"

#define LOOPS_MAX 16
#define TABLE_ROWS 20000
#define BUCKETS 100000 /* of 10 µs */

static const struct bh_statement statements[] = {
    { .name = "make",
      .postgres = "CREATE TABLE IF NOT EXISTS bench_rows AS SELECT id::bigint, id % 100 AS page,"
                  " repeat(md5(id::text), 64) AS content FROM generate_series(1, 20000) id",
      .index = 0 },
    { .name = "index",
      .postgres = "CREATE UNIQUE INDEX IF NOT EXISTS bench_rows_id ON bench_rows (id)",
      .index = 1 },
    { .name = "point",
      .postgres = "SELECT id, page, content FROM bench_rows WHERE id = $1",
      .index = 2 },
    { .name = "batch",
      .postgres = "SELECT id, page, content FROM bench_rows WHERE id = ANY ($1::bigint[])",
      .index = 3 },
};

static struct {
    struct bh_db *db;
    uint64_t end_us;
    unsigned fibers, rows;
} bench;

struct member { /* of a loop */
    uint64_t statements, seed;
    uint32_t *buckets; /* answer times */
};

static void check(const int result, const struct bh_error *const error)
{
    if (result) {
        fprintf(stderr, "postgres_query: %s\n", error->message);
        exit(1);
    }
}

static int64_t next_id(struct member *const member)
{
    member->seed = member->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((member->seed >> 33) % TABLE_ROWS) + 1;
}

static struct bh_db_value parameter(struct member *const member, char *const text,
                                    const size_t size)
{
    if (bench.rows == 1)
        return bh_db_int(next_id(member));
    size_t used = (size_t)snprintf(text, size, "{%lld", (long long)next_id(member));
    for (unsigned i = 1; i < bench.rows; i++)
        used += (size_t)snprintf(text + used, size - used, ",%lld", (long long)next_id(member));
    snprintf(text + used, size - used, "}");
    return bh_db_text(bh_str_from(text));
}

static void ask(void *const argument)
{
    struct member *const member = argument;
    struct bh_arena *arena;
    struct bh_db_rows rows;
    struct bh_error error;
    char text[8192];
    if (bh_arena_create((size_t)16 * 1024 * 1024, &arena) != 0)
        abort();
    for (uint64_t now_us = bh_time_now_us(); now_us < bench.end_us;) {
        bh_arena_reset(arena);
        const struct bh_db_value value = parameter(member, text, sizeof(text));
        check(bh_db_query(bench.db, BH_DB_READ, &statements[bench.rows == 1 ? 2 : 3], &value, 1,
                          arena, &rows, &error),
              &error);
        bh_assert(rows.row_count > 0);
        const uint64_t then_us = bh_time_now_us();
        const uint64_t bucket = (then_us - now_us) / 10;
        member->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
        member->statements++;
        now_us = then_us;
    }
    bh_arena_destroy(arena);
}

static void begin(uv_timer_t *const timer)
{
    for (unsigned i = 0; i < bench.fibers; i++) {
        if (bh_fiber_spawn(bh_loop_current(), ask, timer->data) != 0)
            abort();
    }
    uv_close((uv_handle_t *)timer, NULL);
    bh_loop_stop(bh_loop_current());
}

static void *loop_main(void *const argument)
{
    struct bh_loop *loop;
    uv_timer_t timer;
    if (bh_loop_create(NULL, &loop) != 0)
        abort();
    uv_timer_init(bh_loop_uv(loop), &timer);
    timer.data = argument;
    uv_timer_start(&timer, begin, 0, 0);
    bh_loop_run(loop);
    bh_loop_destroy(loop);
    return NULL;
}

static double processor_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double quantile_ms(const struct member *const members, const unsigned loops,
                          const double part, const uint64_t total)
{
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        for (unsigned i = 0; i < loops; i++)
            seen += members[i].buckets[bucket];
        if ((double)seen >= part * (double)total)
            return (double)bucket / 100;
    }
    return (double)BUCKETS / 100;
}

static unsigned number_of(const int count, char **const arguments, const int at,
                          const unsigned otherwise)
{
    int64_t number = otherwise;
    if (count > at && bh_str_to_int64(bh_str_from(arguments[at]), 1, 10000, &number) != 0)
        abort();
    return (unsigned)number;
}

static void measure(const unsigned seconds, const unsigned loops)
{
    static struct member members[LOOPS_MAX];
    pthread_t threads[LOOPS_MAX];
    const double before_us = processor_us();
    bench.end_us = bh_time_now_us() + seconds * BH_SECOND_US;
    for (unsigned i = 0; i < loops; i++) {
        members[i] = (struct member){ .seed = i, .buckets = calloc(BUCKETS, sizeof(uint32_t)) };
        bh_assert(members[i].buckets != NULL);
        if (bh_thread_start(loop_main, &members[i], &threads[i]) != 0)
            abort();
    }
    uint64_t total = 0;
    for (unsigned i = 0; i < loops; i++) {
        pthread_join(threads[i], NULL);
        total += members[i].statements;
    }
    struct bh_db_statistics statistics;
    bh_db_statistics(bench.db, BH_DB_READ, &statistics);
    printf("%.0f statements/s, %.1f us of processor each, p50 %.2f ms, p99 %.2f ms, "
           "%llu connections made\n",
           (double)total / seconds, (processor_us() - before_us) / (double)total,
           quantile_ms(members, loops, 0.5, total), quantile_ms(members, loops, 0.99, total),
           (unsigned long long)statistics.connected);
}

int main(const int count, char **const arguments)
{
    if (count < 2)
        return 2;
    const unsigned seconds = number_of(count, arguments, 2, 5);
    const unsigned loops = number_of(count, arguments, 3, 1);
    bench.fibers = number_of(count, arguments, 4, 64);
    bench.rows = number_of(count, arguments, 5, 1);
    bh_assert(loops <= LOOPS_MAX);
    const struct bh_postgres_options postgres = { .loops = loops };
    const struct bh_db_options options = {
        .url = arguments[1],
        .waiters_maximum = 100000,
        .acquire_timeout_us = 30 * BH_SECOND_US,
        .statements = statements,
        .statement_count = BH_COUNT_OF(statements),
        .postgres = &postgres,
    };
    struct bh_error error;
    check(bh_db_open(&options, &bench.db, &error), &error);
    for (unsigned i = 0; i < 2; i++)
        check(bh_db_query(bench.db, BH_DB_WRITE, &statements[i], NULL, 0, NULL, NULL, &error),
              &error);
    measure(seconds, loops);
    bh_db_close(bench.db);
    return 0;
}
