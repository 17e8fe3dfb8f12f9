#include "library/search_session.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"
#include "library/index.h"

#define SESSION_MAGIC UINT32_C(0x746f6d53)
#define COUNTED_SLOTS 1024

/* Counts by the hash of their expression; a newer one takes the slot. */
struct tome_counted {
    uint64_t hash; /* 0: empty */
    int64_t count;
};

static void free_books(struct tome_visible_book *const books, const size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)books[i].lengths);
    free(books);
}

/* What a connection keeps. */
struct sessions {
    BH_MAGIC_FIELD;
    struct tome_analyzer *analyzer;
    uint64_t uses;
    struct tome_search_session owners[TOME_SEARCH_OWNERS_MAX];
};

static void forget_owner(struct tome_search_session *const search)
{
    free_books(search->visible.books, search->visible.book_count);
    free(search->counted);
    *search = (struct tome_search_session){ 0 };
}

static void destroy_sessions(void *const data)
{
    struct sessions *const sessions = data;
    bh_magic_check(sessions, SESSION_MAGIC);
    for (size_t i = 0; i < TOME_SEARCH_OWNERS_MAX; i++)
        forget_owner(&sessions->owners[i]);
    tome_analyzer_destroy(sessions->analyzer);
    sessions->magic = 0;
    free(sessions);
}

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
}

static int create_sessions(struct bh_sqlite_session *const session,
                           struct sessions **const ret_sessions, struct bh_error *const reterr)
{
    struct sessions *const sessions = calloc(1, sizeof(*sessions));
    if (sessions == NULL)
        return no_memory(reterr);
    sessions->magic = SESSION_MAGIC;
    if (tome_analyzer_create(&sessions->analyzer) < 0) {
        destroy_sessions(sessions);
        return no_memory(reterr);
    }
    bh_sqlite_session_set_data(session, sessions, destroy_sessions);
    *ret_sessions = sessions;
    return 0;
}

/* The owner's place; a new owner gets a free one, or that of who has not searched for longest. */
static int find_owner(struct sessions *const sessions, const int64_t owner_id,
                      struct tome_search_session **const ret_search, struct bh_error *const reterr)
{
    struct tome_search_session *found = &sessions->owners[0];
    for (size_t i = 0; i < TOME_SEARCH_OWNERS_MAX && found->owner_id != owner_id; i++) {
        struct tome_search_session *const search = &sessions->owners[i];
        if (search->owner_id == owner_id || search->used_at < found->used_at)
            found = search;
    }
    if (found->owner_id != owner_id) {
        forget_owner(found);
        found->counted = calloc(COUNTED_SLOTS, sizeof(*found->counted));
        if (found->counted == NULL)
            return no_memory(reterr);
        found->analyzer = sessions->analyzer;
        found->owner_id = owner_id;
        found->generation = -1;
    }
    found->used_at = ++sessions->uses;
    *ret_search = found;
    return 0;
}

int tome_search_step(struct bh_sqlite_session *const session, sqlite3_stmt *const statement,
                     struct bh_error *const reterr)
{
    const int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return 1;
    if (result == SQLITE_DONE)
        return 0;
    return bh_sqlite_error(bh_sqlite_handle(session), result, "search", reterr);
}

struct bh_str tome_search_column(sqlite3_stmt *const statement, const int column)
{
    const void *const data = sqlite3_column_blob(statement, column);
    return (struct bh_str){ data,
                            data != NULL ? (size_t)sqlite3_column_bytes(statement, column) : 0 };
}

static int read_generation(struct bh_sqlite_session *const session, const int64_t owner_id,
                           int64_t *const ret_generation, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_GENERATION, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, owner_id);
    result = tome_search_step(session, statement, reterr);
    if (result == 1)
        *ret_generation = sqlite3_column_int64(statement, 0);
    else if (result == 0)
        result = bh_error_set(reterr, BH_ENOTFOUND, "there is no owner %lld", (long long)owner_id);
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static int append_book(struct tome_visible_book **const books, size_t *const count,
                       size_t *const capacity, const struct tome_visible_book *const book)
{
    if (*count == *capacity) {
        const size_t larger = *capacity > 0 ? *capacity * 2 : 256;
        struct tome_visible_book *const grown = reallocarray(*books, larger, sizeof(*grown));
        if (grown == NULL)
            return BH_ENOMEM;
        *books = grown;
        *capacity = larger;
    }
    (*books)[(*count)++] = *book;
    return 0;
}

/* Chunks never change, so lengths that were read stay with their book. */
static void move_lengths(struct tome_search_session *const search,
                         struct tome_visible_book *const books, const size_t count)
{
    const struct tome_visible *const known = &search->visible;
    size_t old = 0;
    for (size_t i = 0; i < count; i++) {
        while (old < known->book_count && known->books[old].id < books[i].id)
            old++;
        if (old < known->book_count && known->books[old].id == books[i].id) {
            books[i].lengths = known->books[old].lengths;
            books[i].length_count = known->books[old].length_count;
            known->books[old].lengths = NULL;
        }
    }
}

static int read_visible(struct bh_sqlite_session *const session,
                        struct tome_search_session *const search, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_VISIBLE, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, search->owner_id);
    struct tome_visible_book *books = NULL;
    size_t count = 0, capacity = 0;
    int64_t chunk_count = 0, word_count = 0;
    int64_t language_chunks[TOME_LANGUAGE_COUNT] = { 0 };
    while ((result = tome_search_step(session, statement, reterr)) == 1) {
        const struct tome_visible_book book = {
            .id = sqlite3_column_int64(statement, 0),
            .chunk_count = (uint32_t)sqlite3_column_int64(statement, 1),
        };
        chunk_count += book.chunk_count;
        word_count += sqlite3_column_int64(statement, 2);
        language_chunks[tome_language_from_code(tome_search_column(statement, 3))] +=
            book.chunk_count;
        if (append_book(&books, &count, &capacity, &book) < 0) {
            result = no_memory(reterr);
            break;
        }
    }
    sqlite3_reset(statement);
    if (result < 0) {
        free(books);
        return result;
    }
    move_lengths(search, books, count);
    free_books(search->visible.books, search->visible.book_count);
    search->visible = (struct tome_visible){
        .books = books,
        .book_count = count,
        .chunk_count = chunk_count,
        .average_length = chunk_count > 0 && word_count > 0
                              ? (double)word_count / (double)chunk_count
                              : 1.0,
    };
    memcpy(search->visible.language_chunks, language_chunks, sizeof(language_chunks));
    memset(search->counted, 0, COUNTED_SLOTS * sizeof(*search->counted));
    return 0;
}

int tome_search_session_get(struct bh_sqlite_session *const session, const int64_t owner_id,
                            struct tome_search_session **const ret_search,
                            struct bh_error *const reterr)
{
    struct sessions *sessions = bh_sqlite_session_data(session);
    int result = sessions == NULL ? create_sessions(session, &sessions, reterr) : 0;
    if (result < 0)
        return result;
    bh_magic_check(sessions, SESSION_MAGIC);
    int64_t generation = 0;
    struct tome_search_session *search = NULL;
    result = read_generation(session, owner_id, &generation, reterr);
    if (result == 0)
        result = find_owner(sessions, owner_id, &search, reterr);
    if (result == 0 && search->generation != generation)
        result = read_visible(session, search, reterr);
    if (result < 0)
        return result;
    search->generation = generation;
    *ret_search = search;
    return 0;
}

int tome_search_session_lengths(struct bh_sqlite_session *const session,
                                struct tome_visible_book *const book, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_LENGTHS, &statement, reterr);
    if (result < 0)
        return result;
    uint8_t *const lengths = calloc(book->chunk_count + 1, 1);
    if (lengths == NULL)
        return no_memory(reterr);
    sqlite3_bind_int64(statement, 1, book->id);
    while ((result = tome_search_step(session, statement, reterr)) == 1) {
        const size_t first = (size_t)sqlite3_column_int64(statement, 0);
        const struct bh_str part = tome_search_column(statement, 1);
        if (first < book->chunk_count && part.size <= book->chunk_count - first)
            memcpy(lengths + first, part.data, part.size);
    }
    sqlite3_reset(statement);
    if (result < 0) {
        free(lengths);
        return result;
    }
    book->lengths = lengths;
    book->length_count = book->chunk_count + 1;
    return 0;
}

/* ---- Counts ---- */

static int has_others(struct bh_sqlite_session *const session, const int64_t owner_id,
                      bool *const ret_has_others, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_OTHERS, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, owner_id);
    result = tome_search_step(session, statement, reterr);
    if (result == 1)
        *ret_has_others = sqlite3_column_int(statement, 0) != 0;
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static int count_all(struct bh_sqlite_session *const session, const struct bh_str expression,
                     int64_t *const ret_count, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_COUNT, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, expression.data, (int)expression.size, SQLITE_STATIC);
    result = tome_search_step(session, statement, reterr);
    if (result == 1)
        *ret_count = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

/* Rows come in order of ids, as the visible books stand. */
static int count_visible(struct bh_sqlite_session *const session,
                         const struct tome_visible *const visible, const struct bh_str expression,
                         int64_t *const ret_count, struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_ROWS, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, expression.data, (int)expression.size, SQLITE_STATIC);
    int64_t count = 0;
    size_t at = 0;
    while ((result = tome_search_step(session, statement, reterr)) == 1) {
        const int64_t book_id = sqlite3_column_int64(statement, 0) >> TOME_ORDINAL_BITS;
        while (at < visible->book_count && visible->books[at].id < book_id)
            at++;
        if (at == visible->book_count)
            break;
        count += visible->books[at].id == book_id;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (result >= 0)
        *ret_count = count;
    return result < 0 ? result : 0;
}

int tome_search_session_count(struct bh_sqlite_session *const session,
                              struct tome_search_session *const search,
                              const struct bh_str expression, int64_t *const ret_count,
                              struct bh_error *const reterr)
{
    const uint64_t hash = XXH3_64bits(expression.data, expression.size) | 1;
    struct tome_counted *const slot = &search->counted[(hash >> 1) % COUNTED_SLOTS];
    if (slot->hash == hash) {
        *ret_count = slot->count;
        return 0;
    }
    bool others = false;
    int64_t count = 0;
    int result = has_others(session, search->owner_id, &others, reterr);
    if (result == 0)
        result = others ? count_visible(session, &search->visible, expression, &count, reterr)
                        : count_all(session, expression, &count, reterr);
    if (result < 0)
        return result;
    *slot = (struct tome_counted){ hash, count };
    *ret_count = count;
    return 0;
}
