/*
 * A program on the database layer that tests/fault/test_db.py kills, starves of disk and runs
 * several times at once:
 *
 *     db_fault migrate URL VERSIONS                  brings the database to VERSIONS (at most 2)
 *     db_fault write URL COUNT HOLD_MS TIMEOUT_MS    COUNT transactions, each held for HOLD_MS
 *     db_fault fill URL                              1 MB rows until an error
 *     db_fault hang URL                              an open transaction that waits for SIGKILL
 *     db_fault migrate-hang URL                      the same in mid-migration
 *
 * What it did stands on standard output as `key=value` lines; exit status 1 after an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "bulkhead/db/migrate.h"
#include "bulkhead/db/sqlite.h"

static const struct bh_migration migrations[] = {
    { .version = 1, .name = "0001_rows", .sqlite = "CREATE TABLE rows (writer, number, content)" },
    { .version = 2, .name = "0002_more", .sqlite = "CREATE TABLE more (a); SELECT hang();" },
};

static const struct bh_statement insert = { .name = "insert",
                                            .sqlite = "INSERT INTO rows VALUES (?1, ?2, ?3)" };

static struct bh_error error;

static int fail(const int code)
{
    printf("error=%s\nmessage=%s\n", bh_error_name(code), error.message);
    return 1;
}

static int insert_row(struct bh_db_transaction *const transaction, const int64_t number,
                      const struct bh_str content)
{
    const struct bh_db_value values[] = { bh_db_int(getpid()), bh_db_int(number),
                                          bh_db_blob(content) };
    return bh_db_transaction_query(transaction, &insert, values, 3, NULL, NULL, &error);
}

static void say(const char *const line)
{
    puts(line);
    fflush(stdout);
}

static void wait_for_the_end(void)
{
    say("ready=1");
    for (;;)
        pause();
}

/* hang() in SQL: told to by `migrate-hang` only. */
static void hang(sqlite3_context *const context, const int count, sqlite3_value **const values)
{
    (void)count;
    (void)values;
    if (sqlite3_user_data(context))
        wait_for_the_end();
}

static int add_hang(sqlite3 *const connection, const bool writer, void *const argument)
{
    (void)writer;
    return sqlite3_create_function(connection, "hang", 0, SQLITE_UTF8, argument, hang, NULL,
                                   NULL) == SQLITE_OK
               ? 0
               : BH_EINTERNAL;
}

static int migrate(struct bh_db *const db, const size_t versions)
{
    struct bh_migrate_report report;
    const int result = bh_migrate(db, migrations, versions, &report, &error);
    if (result)
        return fail(result);
    printf("before=%u\nafter=%u\n", report.version_before, report.version_after);
    return 0;
}

static int write_once(struct bh_db *const db, const int64_t number, const uint64_t hold_us,
                      uint64_t *const longest_us)
{
    struct bh_db_transaction *transaction;
    const uint64_t since_us = bh_time_now_us();
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, &error);
    if (result)
        return result;
    const uint64_t waited_us = bh_time_now_us() - since_us;
    if (waited_us > *longest_us)
        *longest_us = waited_us;
    result = insert_row(transaction, number, BH_STR("x"));
    if (result) {
        bh_db_rollback(transaction);
        return result;
    }
    if (hold_us > 0)
        usleep((useconds_t)hold_us);
    return bh_db_commit(transaction, &error);
}

static int write_many(struct bh_db *const db, const int64_t count, const uint64_t hold_us)
{
    say("ready=1");
    getchar(); /* the test starts all writers at once */
    uint64_t longest_us = 0;
    int result = 0;
    int64_t written = 0;
    while (!result && written < count) {
        result = write_once(db, written, hold_us, &longest_us);
        written += !result;
    }
    printf("written=%lld\nlongest_us=%llu\n", (long long)written, (unsigned long long)longest_us);
    return result ? fail(result) : 0;
}

static int fill(struct bh_db *const db)
{
    static char bytes[1024 * 1024];
    uint64_t longest_us = 0;
    int result = 0;
    for (int64_t number = 0; !result; number++) {
        struct bh_db_transaction *transaction;
        result = bh_db_begin(db, BH_DB_WRITE, &transaction, &error);
        if (result)
            break;
        result = insert_row(transaction, number, (struct bh_str){ bytes, sizeof(bytes) });
        if (result)
            bh_db_rollback(transaction);
        else
            result = bh_db_commit(transaction, &error);
        printf("written=%lld\n", (long long)number + !result);
    }
    fail(result);
    /* The connection still works, once there is room. */
    say("full=1");
    getchar();
    result = write_once(db, -1, 0, &longest_us);
    return result ? fail(result) : 0;
}

static int hang_in_transaction(struct bh_db *const db)
{
    struct bh_db_transaction *transaction;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, &error);
    for (int64_t number = 0; !result && number < 20000; number++)
        result = insert_row(transaction, number, BH_STR("half of something"));
    if (result)
        return fail(result);
    wait_for_the_end();
    return 0;
}

static int run(struct bh_db *const db, const int count, char **const arguments)
{
    const char *const command = arguments[1];
    if (strcmp(command, "migrate") == 0 && count == 4)
        return migrate(db, (size_t)strtoul(arguments[3], NULL, 10));
    if (strcmp(command, "write") == 0 && count == 6)
        return write_many(db, strtoll(arguments[3], NULL, 10),
                          strtoull(arguments[4], NULL, 10) * BH_MS_US);
    if (strcmp(command, "fill") == 0)
        return fill(db);
    if (strcmp(command, "hang") == 0)
        return hang_in_transaction(db);
    if (strcmp(command, "migrate-hang") == 0)
        return migrate(db, 2);
    return 2;
}

int main(const int count, char **const arguments)
{
    if (count < 3)
        return 2;
    const bool hangs = strcmp(arguments[1], "migrate-hang") == 0;
    bh_sqlite_set_connect_hook(add_hang, hangs ? &error : NULL);
    const struct bh_db_options options = {
        .url = arguments[2],
        .read_connections = 1,
        .waiters_maximum = 100,
        .acquire_timeout_us = count > 5 ? strtoull(arguments[5], NULL, 10) * BH_MS_US
                                        : 10 * BH_SECOND_US,
    };
    struct bh_db *db;
    int result = bh_db_open(&options, &db, &error);
    if (result)
        return fail(result);
    result = run(db, count, arguments);
    bh_db_close(db);
    return result;
}
