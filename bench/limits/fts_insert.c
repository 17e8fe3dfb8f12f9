/*
 * The limit our ingest is measured against: one thread that inserts rows, which are already words,
 * into an FTS5 table, and nothing else: no extraction, no analysis, no other table.
 *
 *     fts_insert ROWS DATABASE "CREATE VIRTUAL TABLE …" "INSERT INTO …"
 *
 * ROWS holds for each row: rowid (int64), then for each column its size (uint32) and bytes; columns
 * are as many as the INSERT has parameters after the first. It is read before the clock starts.
 * Prints rows and seconds.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_PER_TRANSACTION 1000

struct bytes {
    char *data;
    size_t size;
};

static void fail(const char *const what, const char *const why)
{
    fprintf(stderr, "fts_insert: %s: %s\n", what, why);
    exit(1);
}

static void execute(sqlite3 *const database, const char *const sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql, sqlite3_errmsg(database));
}

static struct bytes read_file(const char *const path)
{
    FILE *const file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path, "cannot be read");
    struct bytes bytes = { .size = (size_t)ftell(file) };
    bytes.data = malloc(bytes.size + 1);
    rewind(file);
    if (!bytes.data || fread(bytes.data, 1, bytes.size, file) != bytes.size)
        fail(path, "cannot be read");
    fclose(file);
    return bytes;
}

/* Binds the row at `at` and returns where the next one begins. */
static size_t bind_row(sqlite3_stmt *const insert, const struct bytes rows, size_t at)
{
    int64_t rowid;
    memcpy(&rowid, rows.data + at, sizeof(rowid));
    at += sizeof(rowid);
    sqlite3_bind_int64(insert, 1, rowid);
    for (int column = 2; column <= sqlite3_bind_parameter_count(insert); column++) {
        uint32_t size;
        memcpy(&size, rows.data + at, sizeof(size));
        at += sizeof(size);
        sqlite3_bind_text(insert, column, rows.data + at, (int)size, SQLITE_STATIC);
        at += size;
    }
    return at;
}

static long insert_all(sqlite3 *const database, sqlite3_stmt *const insert, const struct bytes rows)
{
    long count = 0;
    for (size_t at = 0; at < rows.size; count++) {
        if (count % ROWS_PER_TRANSACTION == 0)
            execute(database, count > 0 ? "COMMIT; BEGIN" : "BEGIN");
        at = bind_row(insert, rows, at);
        if (sqlite3_step(insert) != SQLITE_DONE)
            fail("insert", sqlite3_errmsg(database));
        sqlite3_reset(insert);
    }
    execute(database, "COMMIT");
    return count;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(const int argc, char **const argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: fts_insert ROWS DATABASE CREATE INSERT\n");
        return 2;
    }
    const struct bytes rows = read_file(argv[1]);
    sqlite3 *database;
    if (sqlite3_open(argv[2], &database) != SQLITE_OK)
        fail(argv[2], sqlite3_errmsg(database));
    execute(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                      "PRAGMA cache_size = -16384");
    execute(database, argv[3]);
    sqlite3_stmt *insert;
    if (sqlite3_prepare_v2(database, argv[4], -1, &insert, NULL) != SQLITE_OK)
        fail(argv[4], sqlite3_errmsg(database));

    const double start = now_s();
    const long count = insert_all(database, insert, rows);
    printf("%ld %.6f\n", count, now_s() - start);

    sqlite3_finalize(insert);
    sqlite3_close(database);
    free(rows.data);
    return 0;
}
