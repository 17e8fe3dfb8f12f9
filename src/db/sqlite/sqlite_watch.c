/*
 * The header stands there twice; a writer changes the second copy, then the first, and a reader
 * that finds them different knows that a commit is half done. It holds a counter of commits, the
 * log's length, salt and checksum, so that two states of the file never have the same header, not
 * even after the log was begun anew or recovered.
 */
#include "db/sqlite/sqlite_watch.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "db/sqlite/sqlite_connection.h"

#define REGION_BYTES 32768 /* as SQLite maps it */
#define HEADER_WORDS 12
#define CACHE_KIB 64
#define FORMAT 3007000u

struct bh_sqlite_watch {
    sqlite3 *connection;
    const volatile uint32_t *words; /* as long as the connection is open */
};

static int map_header(struct bh_sqlite_watch *const watch, struct bh_error *const reterr)
{
    sqlite3_file *file = NULL;
    void volatile *region = NULL;
    int result = sqlite3_file_control(watch->connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (result == SQLITE_OK && (file->pMethods == NULL || file->pMethods->iVersion < 2))
        result = SQLITE_ERROR;
    if (result == SQLITE_OK)
        result = file->pMethods->xShmMap(file, 0, REGION_BYTES, 0, &region);
    watch->words = region;
    if (result != SQLITE_OK || region == NULL || watch->words[0] != FORMAT)
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "this SQLite's log has an index of an unknown form");
    return 0;
}

int bh_sqlite_watch_create(const char *const path, struct bh_sqlite_watch **const ret_watch,
                           struct bh_error *const reterr)
{
    struct bh_sqlite_watch *const watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to open the database");
    int result = bh_sqlite_connection_open(path, false, CACHE_KIB, &watch->connection, reterr);
    if (result == 0)
        sqlite3_db_release_memory(watch->connection); /* it reads no page any more */
    if (result == 0)
        result = map_header(watch, reterr);
    if (result != 0) {
        bh_sqlite_watch_destroy(watch);
        return result;
    }
    *ret_watch = watch;
    return 0;
}

void bh_sqlite_watch_destroy(struct bh_sqlite_watch *const watch)
{
    if (watch == NULL)
        return;
    sqlite3_close(watch->connection);
    free(watch);
}

/* The other side is SQLite's, in this process or another, which TSan cannot follow. */
__attribute__((no_sanitize("thread"))) static void read_words(const volatile uint32_t *const words,
                                                              uint32_t copy[HEADER_WORDS])
{
    for (unsigned i = 0; i < HEADER_WORDS; i++)
        copy[i] = words[i];
    atomic_thread_fence(memory_order_acquire);
}

bool bh_sqlite_watch_read(const struct bh_sqlite_watch *const watch, uint64_t *const ret_mark)
{
    uint32_t first[HEADER_WORDS], second[HEADER_WORDS];
    read_words(watch->words, first);
    read_words(watch->words + HEADER_WORDS, second);
    if (memcmp(first, second, sizeof(first)) != 0)
        return false;
    *ret_mark = XXH3_64bits(first, sizeof(first));
    return true;
}
