/*
 * The walk through the library: books in order of id, each followed by its chunks, a few rows at a
 * time.
 *
 * No snapshot is held, so a slow reader costs the database nothing; and of memory no more than the
 * lines on their way, because rows are given back before these are written. A book deleted or
 * replaced while its chunks are being sent is said so by a line {"type":"removed"}: the reader
 * drops what came of it.
 */
#include "export.h"

#include "bulkhead/base/time.h"
#include "views.h"

#define BOOKS_AT_ONCE 50
#define CHUNKS_AT_ONCE 25 /* more hardly saves time, but memory of each client that is slow */
#define LINE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define ARENA_BYTES_MAX ((size_t)32 * 1024 * 1024)

struct export
{
    struct bh_db *db;
    int64_t owner_id;
    tome_export_write *write;
    void *argument;
    struct bh_arena *books_arena, *chunks_arena;
    struct bh_buf text; /* lines not yet written */
    int64_t books, chunks;
};

/* ---- Lines ---- */

static void line_begin(struct export *const export, struct bh_json *const json,
                       const char *const type)
{
    bh_json_init(json, &export->text);
    bh_json_object_begin(json);
    bh_json_kv_string(json, "type", bh_str_from(type));
}

static void line_end(struct export *const export, struct bh_json *const json)
{
    bh_json_object_end(json);
    bh_buf_append_byte(&export->text, '\n');
}

static int flush(struct export *const export, struct bh_error *const reterr)
{
    if (bh_buf_error(&export->text) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a line of the export");
    const int result = export->write(export->argument, bh_buf_peek(&export->text), reterr);
    bh_buf_clear(&export->text);
    return result;
}

static void write_library(struct export *const export)
{
    struct bh_json json;
    line_begin(export, &json, "library");
    bh_json_kv_int(&json, "format", 1);
    bh_json_kv_string(&json, "version", BH_STR(BH_VERSION));
    tome_view_time(&json, "exported_at", bh_time_wall_us());
    line_end(export, &json);
}

static void write_counts(struct export *const export)
{
    struct bh_json json;
    line_begin(export, &json, "end");
    bh_json_kv_int(&json, "books", export->books);
    bh_json_kv_int(&json, "chunks", export->chunks);
    line_end(export, &json);
}

/* ---- Walking ---- */

static int write_head(struct export *const export, const struct tome_book *const book,
                      struct bh_error *const reterr)
{
    const struct tome_chapter *chapters = NULL;
    size_t count = 0;
    const int result = tome_books_chapters(export->db, export->owner_id, book->id,
                                           export->chunks_arena, &chapters, &count, reterr);
    if (result != 0)
        return result;
    struct bh_json json;
    line_begin(export, &json, "book");
    tome_view_book(&json, book);
    tome_view_chapters(&json, chapters, count);
    line_end(export, &json);
    bh_arena_reset(export->chunks_arena);
    return flush(export, reterr);
}

static int write_chunks(struct export *const export, const struct tome_book *const book,
                        int64_t *const ret_count, struct bh_error *const reterr)
{
    int64_t after = 0, written = 0;
    for (size_t count = CHUNKS_AT_ONCE; count == CHUNKS_AT_ONCE;) {
        const struct tome_chunk_row *rows = NULL;
        int result = tome_chunks_after(export->db, export->owner_id, book->id, after,
                                       CHUNKS_AT_ONCE, export->chunks_arena, &rows, &count, reterr);
        for (size_t i = 0; result == 0 && i < count; i++) {
            struct bh_json json;
            line_begin(export, &json, "chunk");
            tome_view_export_chunk(&json, book->id, &rows[i]);
            line_end(export, &json);
        }
        after = result == 0 && count > 0 ? rows[count - 1].id : after;
        bh_arena_reset(export->chunks_arena);
        if (result == 0)
            result = flush(export, reterr);
        if (result != 0)
            return result;
        written += (int64_t)count;
    }
    *ret_count = written;
    return 0;
}

static int write_book(struct export *const export, const struct tome_book *const book,
                      struct bh_error *const reterr)
{
    int64_t written = 0;
    int result = write_head(export, book, reterr);
    if (result == 0)
        result = write_chunks(export, book, &written, reterr);
    if (result != 0)
        return result;
    if (written == book->chunk_count) {
        export->books++;
        export->chunks += written;
        return 0;
    }
    struct bh_json json;
    line_begin(export, &json, "removed");
    bh_json_kv_int(&json, "book_id", book->id);
    line_end(export, &json);
    return flush(export, reterr);
}

static int write_all(struct export *const export, struct bh_error *const reterr)
{
    int64_t after = 0;
    write_library(export);
    for (size_t count = BOOKS_AT_ONCE; count == BOOKS_AT_ONCE;) {
        struct tome_books books;
        bh_arena_reset(export->books_arena);
        int result = tome_books_after(export->db, export->owner_id, after, BOOKS_AT_ONCE,
                                      export->books_arena, &books, reterr);
        if (result != 0)
            return result;
        count = books.count;
        for (size_t i = 0; result == 0 && i < count; i++)
            result = write_book(export, &books.books[i], reterr);
        if (result != 0)
            return result;
        after = count > 0 ? books.books[count - 1].id : after;
    }
    write_counts(export);
    return flush(export, reterr);
}

int tome_export(struct bh_db *const db, const int64_t owner_id, tome_export_write *const write,
                void *const argument, struct bh_error *const reterr)
{
    struct export export = { .db = db, .owner_id = owner_id, .write = write, .argument = argument };
    bh_buf_init(&export.text, LINE_BYTES_MAX);
    int result = bh_arena_create(ARENA_BYTES_MAX, &export.books_arena);
    if (result == 0)
        result = bh_arena_create(ARENA_BYTES_MAX, &export.chunks_arena);
    result = result != 0 ? bh_error_set(reterr, result, "no memory for an export")
                         : write_all(&export, reterr);
    bh_arena_destroy(export.books_arena);
    bh_arena_destroy(export.chunks_arena);
    bh_buf_fini(&export.text);
    return result;
}
