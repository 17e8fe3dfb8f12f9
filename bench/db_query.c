/*
 * What the waiting calls cost: queries a second of fibers over reader threads, beside the same
 * prepared statement in a bare SQLite loop on one thread.
 *
 *     db_query [SECONDS [READERS [FIBERS]]]
 *
 * Prints, for each kind of query, both rates and their ratio, the processor time of one query
 * (which a busy machine changes less), and how long one fiber alone waits for one answer. Bare and
 * ours are measured in turn, five times; the medians are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "bulkhead/db/sqlite.h"
#include "bulkhead/loop/fiber.h"

#define ROUNDS 5
#define ROW_COUNT 20000

static const struct bh_statement statements[] = {
    { .name = "point", .sqlite = "SELECT id, name, text FROM t WHERE id = ?1", .index = 0 },
    { .name = "page",
      .sqlite = "SELECT id, name, text FROM t WHERE id >= ?1 ORDER BY id LIMIT 50",
      .index = 1 },
    { .name = "scan",
      .sqlite = "SELECT count(*) FROM t WHERE id >= ?1 % 10 AND name LIKE '%99%'",
      .index = 2 },
};

static const char make_table[] =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, text TEXT);"
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000)"
    " INSERT INTO t SELECT x, 'name ' || x, hex(randomblob(100)) FROM n;";

static struct {
    struct bh_db *db;
    const struct bh_statement *statement;
    uint64_t end_us;
    uint64_t queries;
    unsigned fibers, running;
    char path[64];
} bench;

static void check(const int result, const char *const what)
{
    if (result) {
        fprintf(stderr, "db_query: %s: %s\n", what, bh_error_text(result));
        exit(1);
    }
}

struct rate {
    double per_second[ROUNDS];
    double cpu_us[ROUNDS]; /* of one query */
};

static uint64_t cpu_time_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * BH_SECOND_US +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void note(struct rate *const rate, const int round, const uint64_t queries,
                 const uint64_t since_us, const uint64_t cpu_since_us)
{
    rate->per_second[round] = (double)queries * 1e6 / (double)(bh_time_now_us() - since_us);
    rate->cpu_us[round] = (double)(cpu_time_us() - cpu_since_us) / (double)queries;
}

/* ---- Ours ---- */

static void query_until_end(void *const argument)
{
    (void)argument;
    struct bh_arena *arena;
    check(bh_arena_create(1024 * 1024, &arena), "arena");
    while (bh_time_now_us() < bench.end_us) {
        struct bh_db_rows rows;
        const struct bh_db_value id = bh_db_int((int64_t)(bench.queries * 7919 % ROW_COUNT) + 1);
        check(bh_db_query(bench.db, BH_DB_READ, bench.statement, &id, 1, arena, &rows, NULL),
              "query");
        bench.queries++;
        bh_arena_reset(arena);
    }
    bh_arena_destroy(arena);
    if (--bench.running == 0)
        bh_loop_stop(bh_loop_current());
}

static void start_fibers(uv_timer_t *const timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    bench.running = bench.fibers;
    for (unsigned i = 0; i < bench.fibers; i++)
        check(bh_fiber_spawn(bh_loop_current(), query_until_end, NULL), "fiber");
}

static void run_fibers(const unsigned fibers, const uint64_t duration_us, struct rate *const rate,
                       const int round)
{
    struct bh_loop *loop;
    check(bh_loop_create(NULL, &loop), "loop");
    bench.fibers = fibers;
    bench.queries = 0;
    const uint64_t cpu_since_us = cpu_time_us();
    const uint64_t since_us = bh_time_now_us();
    bench.end_us = since_us + duration_us;
    uv_timer_t timer;
    uv_timer_init(bh_loop_uv(loop), &timer);
    uv_timer_start(&timer, start_fibers, 0, 0);
    bh_loop_run(loop);
    note(rate, round, bench.queries, since_us, cpu_since_us);
    bh_loop_destroy(loop);
}

/* ---- Bare ---- */

static uint64_t read_rows(sqlite3_stmt *const statement)
{
    uint64_t bytes = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int column = 0; column < sqlite3_column_count(statement); column++) {
            sqlite3_column_text(statement, column);
            bytes += (uint64_t)sqlite3_column_bytes(statement, column);
        }
    }
    sqlite3_reset(statement);
    return bytes;
}

static void run_bare(const uint64_t duration_us, struct rate *const rate, const int round)
{
    sqlite3 *connection;
    sqlite3_stmt *statement;
    check(
        sqlite3_open_v2(bench.path, &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL),
        "open");
    check(sqlite3_exec(connection, "PRAGMA cache_size = -8192", NULL, NULL, NULL), "pragma");
    check(sqlite3_prepare_v2(connection, bench.statement->sqlite, -1, &statement, NULL), "prepare");
    const uint64_t cpu_since_us = cpu_time_us();
    const uint64_t since_us = bh_time_now_us();
    uint64_t queries = 0;
    while (bh_time_now_us() < since_us + duration_us) {
        sqlite3_bind_int64(statement, 1, (int64_t)(queries * 7919 % ROW_COUNT) + 1);
        read_rows(statement);
        queries++;
    }
    note(rate, round, queries, since_us, cpu_since_us);
    sqlite3_finalize(statement);
    sqlite3_close(connection);
}

/* ---- Report ---- */

static int by_value(const void *const left, const void *const right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *const values)
{
    qsort(values, ROUNDS, sizeof(*values), by_value);
    return values[ROUNDS / 2];
}

static void measure(const struct bh_statement *const statement, const unsigned fibers,
                    const uint64_t duration_us)
{
    struct rate bare, ours, alone;
    bench.statement = statement;
    for (int round = 0; round < ROUNDS; round++) {
        run_bare(duration_us, &bare, round);
        run_fibers(fibers, duration_us, &ours, round);
        run_fibers(1, duration_us, &alone, round);
    }
    const double bare_rate = median(bare.per_second);
    const double our_rate = median(ours.per_second);
    printf("%-6s bare %7.0f/s %7.1f us cpu   fibers %7.0f/s %7.1f us cpu   ratio %.2f   "
           "one fiber waits %.1f us\n",
           statement->name, bare_rate, median(bare.cpu_us), our_rate, median(ours.cpu_us),
           our_rate / bare_rate, 1e6 / median(alone.per_second));
}

static int fill(struct bh_sqlite_session *const session, void *const argument,
                struct bh_error *const reterr)
{
    (void)argument;
    sqlite3 *const connection = bh_sqlite_handle(session);
    const int result = sqlite3_exec(connection, make_table, NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : bh_sqlite_error(connection, result, "fill", reterr);
}

static unsigned argument_or(const int count, char **const arguments, const int at,
                            const unsigned usual)
{
    return count > at ? (unsigned)strtoul(arguments[at], NULL, 10) : usual;
}

int main(const int count, char **const arguments)
{
    const uint64_t duration_us = argument_or(count, arguments, 1, 1) * BH_SECOND_US;
    char folder[] = "/tmp/bench-db-XXXXXX";
    if (!mkdtemp(folder))
        return 1;
    snprintf(bench.path, sizeof(bench.path), "%s/bench.db", folder);
    char url[80];
    snprintf(url, sizeof(url), "sqlite:%s", bench.path);
    const struct bh_db_options options = {
        .url = url,
        .read_connections = argument_or(count, arguments, 2, 2),
        .waiters_maximum = 10000,
        .acquire_timeout_us = 30 * BH_SECOND_US,
        .statements = statements,
        .statement_count = BH_COUNT_OF(statements),
    };
    struct bh_error error;
    if (bh_db_open(&options, &bench.db, &error) != 0) {
        fprintf(stderr, "db_query: %s\n", error.message);
        return 1;
    }
    check(bh_sqlite_run(bench.db, BH_DB_WRITE, "run", fill, NULL, NULL), "fill");
    for (size_t i = 0; i < BH_COUNT_OF(statements); i++)
        measure(&statements[i], argument_or(count, arguments, 3, 64), duration_us);
    bh_db_close(bench.db);
    static const char *const suffixes[] = { "", "-wal", "-shm", "-turn" };
    for (size_t i = 0; i < BH_COUNT_OF(suffixes); i++) {
        char file[80];
        snprintf(file, sizeof(file), "%s%s", bench.path, suffixes[i]);
        unlink(file);
    }
    return rmdir(folder) == 0 ? 0 : 1;
}
