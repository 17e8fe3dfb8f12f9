/* A database in a folder of its own under /tmp, gone after the test. */
#pragma once

#include <ftw.h>
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
    char url[80];
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

static inline void test_database_folder(struct test_database *const test)
{
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
    nftw(test->folder, test_database_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(test);
    return 0;
}
