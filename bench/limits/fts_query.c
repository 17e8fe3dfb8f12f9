/*
 * The limit our search is measured against: one prepared SQLite statement, one thread, no server.
 *
 *     fts_query DATABASE STATEMENT QUERIES
 *
 * QUERIES has one MATCH expression a line, bound to STATEMENT's first parameter; every column of
 * every row is read. All are run once to warm the caches, then once for the clock. Prints, for each
 * line, rows and microseconds. The caches are as large as our readers'.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUERY_BYTES 4096

static void fail(const char *const what, const char *const why)
{
    fprintf(stderr, "fts_query: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static long run(sqlite3_stmt *const statement, const char *const query)
{
    long rows = 0;
    int status;
    sqlite3_bind_text(statement, 1, query, -1, SQLITE_STATIC);
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int column = 0; column < sqlite3_column_count(statement); column++)
            sqlite3_column_text(statement, column);
        rows++;
    }
    if (status != SQLITE_DONE)
        fail(query, sqlite3_errmsg(sqlite3_db_handle(statement)));
    sqlite3_reset(statement);
    return rows;
}

/* Runs every line of `queries`; with `print`, tells of each. */
static void run_all(sqlite3_stmt *const statement, FILE *const queries, const bool print)
{
    char query[QUERY_BYTES];
    rewind(queries);
    while (fgets(query, sizeof(query), queries)) {
        query[strcspn(query, "\n")] = '\0';
        const int64_t start_ns = now_ns();
        const long rows = run(statement, query);
        if (print)
            printf("%ld %lld\n", rows, (long long)((now_ns() - start_ns) / 1000));
    }
}

int main(const int argc, char **const argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: fts_query DATABASE STATEMENT QUERIES\n");
        return 2;
    }
    sqlite3 *database;
    if (sqlite3_open_v2(argv[1], &database, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_exec(database, "PRAGMA cache_size = -8192; PRAGMA mmap_size = 268435456", NULL,
                     NULL, NULL) != SQLITE_OK)
        fail(argv[1], sqlite3_errmsg(database));
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, argv[2], -1, &statement, NULL) != SQLITE_OK)
        fail(argv[2], sqlite3_errmsg(database));
    FILE *const queries = fopen(argv[3], "r");
    if (!queries)
        fail(argv[3], "cannot be read");

    run_all(statement, queries, false);
    run_all(statement, queries, true);

    fclose(queries);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return 0;
}
