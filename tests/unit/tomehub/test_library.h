/* A library in a folder of its own under /tmp, with books of a few chunks; gone after the test. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "bulkhead/db/migrate.h"
#include "bulkhead/db/sqlite.h"
#include "library/index.h"
#include "library/search.h"
#include "library/search_sqlite.h"
#include "tomehub_sql.h"

struct test_library {
    char folder[32];
    char url[80];
    struct bh_db *db;
    struct tome_searcher *searcher;
    struct bh_arena *arena;
    struct tome_analyzer *analyzer;
    struct bh_error error;
};

struct test_book {
    int64_t owner_id; /* 0: 1 */
    const char *title, *author;
    const char *language;    /* NULL: "en" */
    const char *source_type; /* NULL: "BOOK" */
    const char *tags;        /* NULL: "[]" */
    const char *state;       /* NULL: "ready" */
    const char *heading;     /* NULL: "" */
    const char *page_breaks; /* of each chunk */
    const char *chunks[64];  /* until NULL */
};

#define TEST_STATEMENT(text)             \
    {                                    \
        .name = "test", .sqlite = (text) \
    }

#define TEST_CHECK(call)                                                                      \
    do {                                                                                      \
        const int test_result = (call);                                                       \
        if (test_result != 0)                                                                 \
            fail_msg("%s: %s %s", #call, bh_error_name(test_result), library->error.message); \
    } while (0)

static inline int test_library_remove_file(const char *const path, const struct stat *const status,
                                           const int type, struct FTW *const ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void test_library_open(struct test_library *const library)
{
    bh_sqlite_set_connect_hook(tome_search_connect, NULL);
    const struct bh_db_options options = {
        .url = library->url,
        .read_connections = 2,
        .waiters_maximum = 100,
        .acquire_timeout_us = 10 * BH_SECOND_US,
        .statements = tome_sql_statements,
        .statement_count = TOME_SQL_STATEMENT_COUNT,
    };
    TEST_CHECK(bh_db_open(&options, &library->db, &library->error));
    TEST_CHECK(tome_searcher_create(library->db, &library->searcher, &library->error));
}

static inline int test_library_setup(void **const state)
{
    struct test_library *const library = calloc(1, sizeof(*library));
    assert_non_null(library);
    memcpy(library->folder, "/tmp/test-tome-XXXXXX", sizeof("/tmp/test-tome-XXXXXX"));
    assert_non_null(mkdtemp(library->folder));
    snprintf(library->url, sizeof(library->url), "sqlite:%s/test.db", library->folder);
    assert_int_equal(bh_arena_create(256U << 20, &library->arena), 0);
    assert_int_equal(tome_analyzer_create(&library->analyzer), 0);
    test_library_open(library);
    struct bh_migrate_report report;
    TEST_CHECK(bh_migrate(library->db, tome_sql_migrations, TOME_SQL_MIGRATION_COUNT, &report,
                          &library->error));
    *state = library;
    return 0;
}

static inline int test_library_teardown(void **const state)
{
    struct test_library *const library = *state;
    tome_searcher_destroy(library->searcher);
    bh_db_close(library->db);
    bh_sqlite_set_connect_hook(NULL, NULL);
    tome_analyzer_destroy(library->analyzer);
    bh_arena_destroy(library->arena);
    nftw(library->folder, test_library_remove_file, 8, FTW_DEPTH | FTW_PHYS);
    free(library);
    return 0;
}

static inline struct bh_db_value test_text(const char *const text)
{
    return bh_db_text(bh_str_from(text));
}

struct test_run {
    const char *sql;
    int64_t value;
};

static inline int test_library_run_here(struct bh_sqlite_session *const session,
                                        void *const argument, struct bh_error *const reterr)
{
    struct test_run *const run = argument;
    sqlite3 *const connection = bh_sqlite_handle(session);
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection, run->sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        run->value = sqlite3_column_int64(statement, 0);
        result = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? 0 : bh_sqlite_error(connection, result, run->sql, reterr);
}

/* One statement; the first column of its first row, or 0. */
static inline int64_t test_library_run(struct test_library *const library, const char *const sql)
{
    struct test_run run = { .sql = sql };
    TEST_CHECK(bh_sqlite_run(library->db, BH_DB_WRITE, "run", test_library_run_here, &run,
                             &library->error));
    return run.value;
}

static inline void test_library_bump(struct test_library *const library)
{
    test_library_run(library, "UPDATE owners SET generation = generation + 1");
}

static inline size_t test_book_chunks(const struct test_book *const book, const int64_t id,
                                      struct tome_index_chunk *const chunks)
{
    size_t count = 0;
    for (; book->chunks[count] != NULL; count++)
        chunks[count] = (struct tome_index_chunk){
            .id = (id << TOME_ORDINAL_BITS) + (int64_t)count,
            .heading = bh_str_from(book->heading != NULL ? book->heading : ""),
            .content = bh_str_from(book->chunks[count]),
        };
    return count;
}

static inline void test_library_write(struct test_library *const library,
                                      struct bh_db_transaction *const transaction, const int64_t id,
                                      const struct test_book *const book)
{
    static const struct bh_statement insert_book = TEST_STATEMENT(
        "INSERT INTO books (id, owner_id, state, title, author, source_type, language, "
        "tags, chunk_count, word_count, content_hash, title_sort, created_at, updated_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9 * 50, randomblob(32), "
        "lower(?4), ?1, ?1)");
    static const struct bh_statement insert_chunk = TEST_STATEMENT(
        "INSERT INTO chunks (id, owner_id, book_id, chapter, page_number, page_end, page_breaks, "
        "paragraph, word_count, content) VALUES (?1, ?2, ?1 >> 20, ?3, 1 + (?1 & 0xfffff), "
        "9 + (?1 & 0xfffff), ?4, 1, 50, ?5)");
    const int64_t owner_id = book->owner_id != 0 ? book->owner_id : 1;
    struct tome_index_chunk chunks[64];
    const size_t count = test_book_chunks(book, id, chunks);
    const struct bh_db_value row[] = {
        bh_db_int(id),
        bh_db_int(owner_id),
        test_text(book->state != NULL ? book->state : "ready"),
        test_text(book->title),
        test_text(book->author != NULL ? book->author : ""),
        test_text(book->source_type != NULL ? book->source_type : "BOOK"),
        test_text(book->language != NULL ? book->language : "en"),
        test_text(book->tags != NULL ? book->tags : "[]"),
        bh_db_int((int64_t)count),
    };
    TEST_CHECK(bh_db_transaction_many(transaction, &insert_book, row, BH_COUNT_OF(row), 1, NULL,
                                      &library->error));
    for (size_t i = 0; i < count; i++) {
        const struct bh_db_value chunk[] = {
            bh_db_int(chunks[i].id),
            bh_db_int(owner_id),
            bh_db_text(chunks[i].heading),
            book->page_breaks != NULL ? test_text(book->page_breaks) : bh_db_null(),
            bh_db_text(chunks[i].content),
        };
        TEST_CHECK(bh_db_transaction_many(transaction, &insert_chunk, chunk, BH_COUNT_OF(chunk), 1,
                                          NULL, &library->error));
    }
}

/* Adds a book as ingest does; its id. */
static inline int64_t test_library_add(struct test_library *const library,
                                       const struct test_book *const book)
{
    const int64_t owner_id = book->owner_id != 0 ? book->owner_id : 1;
    const int64_t id = 1 + test_library_run(library, "SELECT coalesce(max(id), 0) FROM books");
    struct tome_index_chunk chunks[64];
    const size_t count = test_book_chunks(book, id, chunks);
    const enum tome_language language = tome_language_from_code(
        bh_str_from(book->language != NULL ? book->language : "en"));
    struct tome_index_batch *batch = NULL;
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer, language, chunks,
                                  count, &batch, &library->error));
    struct bh_db_transaction *transaction = NULL;
    TEST_CHECK(bh_db_begin(library->db, BH_DB_WRITE, &transaction, &library->error));
    test_library_write(library, transaction, id, book);
    TEST_CHECK(tome_index_add_words(transaction, owner_id, batch, NULL, &library->error));
    TEST_CHECK(tome_index_add_chunks(transaction, batch, &library->error));
    TEST_CHECK(tome_index_set_book(
        transaction, library->analyzer, owner_id, id, bh_str_from(book->title),
        bh_str_from(book->author != NULL ? book->author : ""), &library->error));
    TEST_CHECK(bh_db_commit(transaction, &library->error));
    tome_index_batch_destroy(batch);
    test_library_bump(library);
    return id;
}

/* Takes a book out as purging does. */
static inline void test_library_remove(struct test_library *const library, const int64_t id,
                                       const struct test_book *const book)
{
    const int64_t owner_id = book->owner_id != 0 ? book->owner_id : 1;
    struct tome_index_chunk chunks[64];
    const size_t count = test_book_chunks(book, id, chunks);
    const enum tome_language language = tome_language_from_code(
        bh_str_from(book->language != NULL ? book->language : "en"));
    struct tome_index_batch *batch = NULL;
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer, language, chunks,
                                  count, &batch, &library->error));
    struct bh_db_transaction *transaction = NULL;
    TEST_CHECK(bh_db_begin(library->db, BH_DB_WRITE, &transaction, &library->error));
    TEST_CHECK(tome_index_remove(transaction, owner_id, batch, &library->error));
    TEST_CHECK(tome_index_remove_book(transaction, owner_id, id, &library->error));
    TEST_CHECK(bh_db_commit(transaction, &library->error));
    tome_index_batch_destroy(batch);
    char sql[200];
    snprintf(sql, sizeof(sql), "DELETE FROM chunks WHERE book_id = %lld", (long long)id);
    test_library_run(library, sql);
    snprintf(sql, sizeof(sql), "DELETE FROM books WHERE id = %lld", (long long)id);
    test_library_run(library, sql);
    test_library_bump(library);
}

static inline struct tome_search_request test_request(const char *const query)
{
    return (struct tome_search_request){
        .owner_id = 1,
        .query = bh_str_from(query),
        .page = 1,
        .page_size = 50,
        .include_details = true,
    };
}

static inline struct tome_search_answer
test_library_search_for(struct test_library *const library,
                        const struct tome_search_request *const request)
{
    struct tome_search_answer answer;
    TEST_CHECK(tome_search(library->searcher, request, library->arena, &answer, &library->error));
    return answer;
}

static inline struct tome_search_answer test_library_search(struct test_library *const library,
                                                            const char *const query)
{
    const struct tome_search_request request = test_request(query);
    return test_library_search_for(library, &request);
}
