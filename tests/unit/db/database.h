/* A database of its own for each test, gone after it: a file in a folder under /tmp, or, with a
 * server's address in TEST_POSTGRES_URL, a database on that server. */
#pragma once

#include <ftw.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "bulkhead/db/db.h"
#include "bulkhead/db/sqlite.h"

#define EMPTY_STATEMENT(text)            \
    {                                    \
        .name = "test", .sqlite = (text) \
    }

struct test_database {
    char folder[32];
    char path[64];
    char url[160];
    const char *server; /* NULL: SQLite */
    char name[48];      /* on the server */
    struct bh_db *db;
    struct bh_arena *arena;
    struct bh_error error;
};

static inline struct bh_db_options test_database_options(const struct test_database *const test)
{
    return (struct bh_db_options){
        .url = test->url,
        .read_connections = 4,
        .waiters_maximum = 1000,
        .acquire_timeout_us = 10 * BH_SECOND_US,
    };
}

/* Runs it on the server, outside of the code under test. */
static inline void test_database_server(const char *const url, const char *const statement)
{
    PGconn *const connection = PQconnectdb(url);
    PGresult *const result = PQexec(connection, statement);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", statement, PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

static inline void test_database_create(struct test_database *const test)
{
    static atomic_uint number;
    char statement[96];
    snprintf(test->name, sizeof(test->name), "test_%d_%u", (int)getpid(),
             atomic_fetch_add(&number, 1));
    snprintf(statement, sizeof(statement), "CREATE DATABASE %s", test->name);
    test_database_server(test->server, statement);
    const char *const end = strrchr(test->server, '/');
    assert_non_null(end);
    snprintf(test->url, sizeof(test->url), "%.*s/%s", (int)(end - test->server), test->server,
             test->name);
}

static inline void test_database_drop(const struct test_database *const test)
{
    char statement[96];
    snprintf(statement, sizeof(statement), "DROP DATABASE %s WITH (FORCE)", test->name);
    test_database_server(test->server, statement);
}

static inline void test_database_folder(struct test_database *const test)
{
    test->server = getenv("TEST_POSTGRES_URL");
    if (test->server) {
        test_database_create(test);
        return;
    }
    memcpy(test->folder, "/tmp/test-db-XXXXXX", sizeof("/tmp/test-db-XXXXXX"));
    assert_non_null(mkdtemp(test->folder));
    snprintf(test->path, sizeof(test->path), "%s/test.db", test->folder);
    snprintf(test->url, sizeof(test->url), "sqlite:%s", test->path);
}

static inline void test_database_reopen(struct test_database *const test,
                                        const struct bh_db_options *const options)
{
    bh_db_close(test->db);
    test->db = NULL;
    const int result = bh_db_open(options, &test->db, &test->error);
    if (result)
        fail_msg("%s", test->error.message);
}

static inline int test_database_setup(void **const state)
{
    struct test_database *const test = calloc(1, sizeof(*test));
    assert_non_null(test);
    test_database_folder(test);
    const struct bh_db_options options = test_database_options(test);
    test_database_reopen(test, &options);
    assert_int_equal(bh_arena_create(1024 * 1024, &test->arena), 0);
    *state = test;
    return 0;
}

static inline int test_database_remove(const char *const path, const struct stat *const status,
                                       const int type, struct FTW *const ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int test_database_teardown(void **const state)
{
    struct test_database *const test = *state;
    bh_db_close(test->db);
    bh_arena_destroy(test->arena);
    if (test->server)
        test_database_drop(test);
    else
        nftw(test->folder, test_database_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(test);
    return 0;
}
