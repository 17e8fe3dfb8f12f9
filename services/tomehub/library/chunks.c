/* Statements of the chunks table as readers use it. */
#include "library/chunks.h"

#include "bulkhead/db/gather.h"
#include "extract/page_breaks.h"
#include "tomehub_sql.h"

static struct tome_content content_at(const struct bh_db_rows *const rows, const size_t row)
{
    return (struct tome_content){
        .id = bh_db_int_at(rows, row, 0),
        .book_id = bh_db_int_at(rows, row, 1),
        .title = bh_db_text_at(rows, row, 2),
        .author = bh_db_text_at(rows, row, 3),
        .source_type = bh_db_text_at(rows, row, 4),
        .page_kind = bh_db_text_at(rows, row, 5),
        .tags = bh_db_text_at(rows, row, 6),
        .metadata = bh_db_text_at(rows, row, 7),
        .chapter = bh_db_text_at(rows, row, 8),
        .page_number = bh_db_int_at(rows, row, 9),
        .page_label = bh_db_text_at(rows, row, 10),
        .paragraph = bh_db_int_at(rows, row, 11),
        .content = bh_db_text_at(rows, row, 12),
    };
}

int tome_chunks_get(struct bh_db *const db, const int64_t owner_id, const int64_t chunk_id,
                    struct bh_arena *const arena, struct tome_content *const ret_content,
                    struct bh_error *const reterr)
{
    static const struct bh_db_lookup by_key = { &TOME_SQL_CHUNK_BY_ID, &TOME_SQL_CHUNKS_BY_IDS };
    struct bh_db_rows rows;
    const int result = bh_db_look_up(db, &by_key, owner_id, chunk_id, arena, &rows, reterr);
    if (result != 0)
        return result;
    if (rows.row_count == 0)
        return bh_error_set(reterr, BH_ENOTFOUND, "there is no content %lld", (long long)chunk_id);
    *ret_content = content_at(&rows, 0);
    return 0;
}

int tome_chunks_get_many(struct bh_db *const db, const int64_t owner_id, const int64_t *const ids,
                         const size_t count, struct bh_arena *const arena,
                         struct tome_contents *const ret_contents, struct bh_error *const reterr)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) list;
    bh_buf_init(&list, 32 * count + 16);
    for (size_t i = 0; i < count; i++) {
        bh_buf_append_byte(&list, i == 0 ? '[' : ',');
        bh_buf_append_int(&list, ids[i]);
    }
    bh_buf_append_str(&list, count == 0 ? BH_STR("[]") : BH_STR("]"));
    if (bh_buf_error(&list) != 0)
        return tome_error_memory(reterr);
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_text(bh_buf_peek(&list)) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_CHUNKS_BY_IDS, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    struct tome_content *const items = bh_arena_calloc(arena, rows.row_count + 1, sizeof(*items));
    if (items == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        items[row] = content_at(&rows, row);
    *ret_contents = (struct tome_contents){ .items = items, .count = rows.row_count };
    return 0;
}

/* ---- Pages ---- */

/* What of each chunk lies on the page, one after another. The page's text begins and ends with a
 * word; the blanks that join it to its neighbours are not its own. */
static int page_text(const struct bh_db_rows *const rows, const int64_t page_number,
                     struct bh_arena *const arena, struct bh_str *const ret_text,
                     struct bh_error *const reterr)
{
    size_t size = 0;
    for (size_t row = 0; row < rows->row_count; row++)
        size += bh_db_text_at(rows, row, 7).size;
    char *const text = bh_arena_alloc(arena, size + 1);
    if (text == NULL)
        return tome_error_memory(reterr);
    size_t used = 0;
    for (size_t row = 0; row < rows->row_count; row++) {
        const struct bh_str slice = tome_page_slice(
            bh_db_text_at(rows, row, 7), (size_t)bh_db_int_at(rows, row, 6),
            (uint32_t)bh_db_int_at(rows, row, 4), bh_db_text_at(rows, row, 5),
            (uint32_t)page_number);
        if (slice.size > 0)
            memcpy(text + used, slice.data, slice.size);
        used += slice.size;
    }
    *ret_text = bh_str_trim((struct bh_str){ .data = text, .size = used });
    return 0;
}

int tome_chunks_page(struct bh_db *const db, const int64_t owner_id, const int64_t book_id,
                     const int64_t page_number, struct bh_arena *const arena,
                     struct tome_book_page *const ret_page, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(book_id),
                                              bh_db_int(tome_chunk_id_first(book_id)),
                                              bh_db_int(page_number) };
    struct bh_db_rows rows;
    struct bh_str text;
    int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_PAGE, parameters, BH_COUNT_OF(parameters),
                             arena, &rows, reterr);
    if (result == 0 && rows.row_count == 0)
        result = bh_error_set(reterr, BH_ENOTFOUND, "there is no book %lld", (long long)book_id);
    if (result == 0 && page_number > bh_db_int_at(&rows, 0, 1))
        result = bh_error_set(reterr, BH_ENOTFOUND, "book %lld has %lld pages", (long long)book_id,
                              (long long)bh_db_int_at(&rows, 0, 1));
    if (result == 0)
        result = page_text(&rows, page_number, arena, &text, reterr);
    if (result == 0)
        *ret_page = (struct tome_book_page){ .page_kind = bh_db_text_at(&rows, 0, 0),
                                             .page_count = bh_db_int_at(&rows, 0, 1),
                                             .page_label = bh_db_text_at(&rows, 0, 2),
                                             .chapter = bh_db_text_at(&rows, 0, 3),
                                             .text = text };
    return result;
}

/* ---- Walking ---- */

int tome_chunks_after(struct bh_db *const db, const int64_t owner_id, const int64_t book_id,
                      const int64_t after, const int64_t limit, struct bh_arena *const arena,
                      const struct tome_chunk_row **const ret_rows, size_t *const ret_count,
                      struct bh_error *const reterr)
{
    const int64_t behind = after != 0 ? after : tome_chunk_id_first(book_id) - 1;
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(behind),
                                              bh_db_int(tome_chunk_id_last(book_id)),
                                              bh_db_int(limit) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_CHUNKS_AFTER, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    struct tome_chunk_row *const chunks = bh_arena_calloc(arena, rows.row_count + 1,
                                                          sizeof(*chunks));
    if (chunks == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        chunks[row] = (struct tome_chunk_row){ .id = bh_db_int_at(&rows, row, 0),
                                               .chapter = bh_db_text_at(&rows, row, 1),
                                               .page_number = bh_db_int_at(&rows, row, 2),
                                               .page_end = bh_db_int_at(&rows, row, 3),
                                               .paragraph = bh_db_int_at(&rows, row, 4),
                                               .overlap = bh_db_int_at(&rows, row, 5),
                                               .content = bh_db_text_at(&rows, row, 6) };
    *ret_rows = chunks;
    *ret_count = rows.row_count;
    return 0;
}
