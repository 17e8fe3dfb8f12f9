/*
 * One connection: flags, pragmas, limits.
 *
 * Every connection is used by one thread at a time, so SQLite's own mutexes are off. The figures
 * below are for a small machine with many users: what all readers keep of the file is bounded, is
 * taken when they are opened, and never changes; the shared page cache of the kernel does the rest
 * (docs/decisions/021-sqlite-pages.md).
 */
#include "db/sqlite/sqlite_connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "bulkhead/db/sqlite.h"

/* SQLite's own measure: until a connection has read its first page, none other can be set. */
#define CACHE_KIB_MAX 2000
#define READERS_CACHE_KIB (4 * CACHE_KIB_MAX)

#define OPEN_PATIENCE_US 10000000
#define SQL_BYTES_MAX (1024 * 1024)
#define VALUE_BYTES_MAX (64 * 1024 * 1024) /* one text, blob or row */

unsigned bh_sqlite_connection_reader_cache(const unsigned readers)
{
    const unsigned share_kib = READERS_CACHE_KIB / readers;
    return share_kib < CACHE_KIB_MAX ? share_kib : CACHE_KIB_MAX;
}

void bh_sqlite_connection_set_block(const unsigned cache_kib)
{
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, -(int)cache_kib);
}

/* SQLite reads a name that begins with "file:" as a URI; "./" in front makes it a plain path. */
static int open_file(const char *const path, sqlite3 **const ret_connection)
{
    char plain[4096];
    const int size = snprintf(plain, sizeof(plain), "%s%s", path[0] == '/' ? "" : "./", path);
    if (size < 0 || (size_t)size >= sizeof(plain))
        return SQLITE_CANTOPEN;
    return sqlite3_open_v2(plain, ret_connection,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                               SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
                           NULL);
}

/* Why the file cannot be used, in the words of the person who must mend it. */
static int explain(const char *const path, sqlite3 *const connection, const int result,
                   struct bh_error *const reterr)
{
    char what[256];
    snprintf(what, sizeof(what), "database \"%s\"", path);
    const int primary = result & 0xff;
    if (primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY || primary == SQLITE_IOERR) {
        const char *const slash = strrchr(path, '/');
        char folder[4096] = ".";
        if (slash)
            snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
        struct stat status;
        if (stat(folder, &status) != 0)
            return bh_error_errno(reterr, errno, "%s: create its folder \"%s\"", what, folder);
        if (!S_ISDIR(status.st_mode))
            return bh_error_set(reterr, BH_EINVAL, "%s: \"%s\" is not a folder", what, folder);
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            return bh_error_set(reterr, BH_EINVAL, "%s is a folder: name a file in it", what);
        if (access(folder, W_OK) != 0)
            return bh_error_errno(reterr, errno,
                                  "%s: make its folder \"%s\" writable for this user (the log is "
                                  "kept beside the file)",
                                  what, folder);
        if (access(path, R_OK | W_OK) != 0 && errno != ENOENT)
            return bh_error_errno(reterr, errno, "%s: make it readable and writable for this user",
                                  what);
    }
    return bh_sqlite_error(connection, result, what, reterr);
}

/* Nothing in the file may run code or bend the rules: the schema is data too. */
static int harden(sqlite3 *const connection)
{
    static const struct {
        int option;
        int value;
    } settings[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },      { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_DQS_DML, 0 },        { SQLITE_DBCONFIG_DQS_DDL, 0 },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 1 },    { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 1 }, { SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0 },
    };
    for (size_t i = 0; i < BH_COUNT_OF(settings); i++) {
        const int result = sqlite3_db_config(connection, settings[i].option, settings[i].value,
                                             NULL);
        if (result != SQLITE_OK)
            return result;
    }
    sqlite3_limit(connection, SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX);
    sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    return SQLITE_OK;
}

/* The journal mode the file is in now; WAL needs a file system with shared memory. */
static int switch_to_wal(sqlite3 *const connection, bool *const ret_is_wal)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (result == SQLITE_OK && (result = sqlite3_step(statement)) == SQLITE_ROW)
        *ret_is_wal = strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    sqlite3_finalize(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

/* No mmap_size: a failing disk would raise SIGBUS instead of an error, and each reader's map would
 * count as resident memory again; it made point queries 5 to 15 % faster, full-text search not. */
static const char pragmas_of_all[] = "PRAGMA synchronous = NORMAL;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA secure_delete = FAST;"
                                     "PRAGMA cell_size_check = ON;";

static const char pragmas_of_readers[] = "PRAGMA query_only = ON;";

/* The writer's pages are in the kernel's cache too; 16 MiB of its own took in books no faster, and
 * made memory grow with the file. */
static const char pragmas_of_writer[] = "PRAGMA wal_autocheckpoint = 0;" /* the session does it */
                                        "PRAGMA journal_size_limit = 33554432;"; /* bytes */

static int limit_cache(sqlite3 *const connection, const unsigned cache_kib)
{
    char pragma[40];
    snprintf(pragma, sizeof(pragma), "PRAGMA cache_size = -%u", cache_kib);
    return sqlite3_exec(connection, pragma, NULL, NULL, NULL);
}

static int configure(sqlite3 *const connection, const bool writer, const unsigned cache_kib,
                     bool *const ret_is_wal)
{
    int result = harden(connection);
    if (result == SQLITE_OK)
        result = switch_to_wal(connection, ret_is_wal);
    if (result == SQLITE_OK)
        result = sqlite3_exec(connection, pragmas_of_all, NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(connection, writer ? pragmas_of_writer : pragmas_of_readers, NULL,
                              NULL, NULL);
    if (result == SQLITE_OK)
        result = limit_cache(connection, writer ? CACHE_KIB_MAX : cache_kib);
    /* The first read finds a file that is no database, or damaged, now and not in a request. */
    if (result == SQLITE_OK)
        result = sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    return result;
}

/* Another process may be making, recovering or closing the same file this moment; for the switch to
 * WAL SQLite asks no busy handler, so the whole is tried again. */
static int configure_patiently(sqlite3 *const connection, const bool writer,
                               const unsigned cache_kib, bool *const ret_is_wal)
{
    const uint64_t until_us = bh_time_now_us() + OPEN_PATIENCE_US;
    const struct timespec pause = { .tv_nsec = 2000000 };
    sqlite3_busy_timeout(connection, OPEN_PATIENCE_US / 1000);
    for (;;) {
        const int result = configure(connection, writer, cache_kib, ret_is_wal);
        if ((result & 0xff) != SQLITE_BUSY || bh_time_now_us() >= until_us)
            return result;
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

int bh_sqlite_connection_open(const char *const path, const bool writer, const unsigned cache_kib,
                              sqlite3 **const ret_connection, struct bh_error *const reterr)
{
    sqlite3 *connection = NULL;
    bool is_wal = false;
    int result = open_file(path, &connection);
    if (result == SQLITE_OK)
        result = configure_patiently(connection, writer, cache_kib, &is_wal);
    int code = 0;
    if (result != SQLITE_OK)
        code = explain(path, connection, result, reterr);
    else if (sqlite3_db_readonly(connection, "main") == 1)
        code = explain(path, connection, SQLITE_READONLY, reterr);
    else if (!is_wal)
        code = bh_error_set(reterr, BH_EUNSUPPORTED,
                            "database \"%s\": no write-ahead log on this file system; put the file "
                            "on a local disk",
                            path);
    if (code) {
        sqlite3_close(connection);
        return code;
    }
    *ret_connection = connection;
    return 0;
}

void bh_sqlite_connection_checkpoint(sqlite3 *const connection)
{
    sqlite3_wal_checkpoint_v2(connection, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

bool bh_sqlite_connection_truncate_log(sqlite3 *const connection)
{
    return sqlite3_wal_checkpoint_v2(connection, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) ==
           SQLITE_OK;
}
