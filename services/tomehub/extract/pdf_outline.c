#include "extract/pdf_outline.h"

#include <stdlib.h>

#include "bulkhead/base/arena.h"
#include "extract/entity.h"
#include "extract/frame.h"
#include "extract/lines.h"
#include "extract/plain.h"

#define ITEMS_MAX 10000u
#define ARENA_BYTES ((size_t)8 << 20)
#define DEPTH_MAX 3u         /* as headings of HTML */
#define TOP_LINES 5u         /* a title so near the top has nothing of another chapter above it */
#define PREFIX_BYTES_MAX 24u /* "Chapter IV. " */

struct item {
    struct bh_str title;
    uint32_t page;
    bool placed; /* it has begun */
};

struct tome_outline {
    struct bh_arena *arena;
    struct item *items; /* in ascending order of pages */
    size_t count;
    size_t begin; /* the items of the current page: [begin, end) */
    size_t end;
};

/* --- reading ---------------------------------------------------------------------------------- */

static int add_item(struct tome_outline *const outline, const uint32_t page,
                    const struct bh_str markup)
{
    struct bh_buf decoded BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_buf title BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&decoded, markup.size + 64);
    bh_buf_init(&title, TOME_FRAME_CHAPTER_MAX);
    tome_entities_append(&decoded, markup);
    tome_plain_append_line(&title, bh_buf_peek(&decoded), TOME_FRAME_CHAPTER_MAX);
    if (title.size == 0 || outline->count == ITEMS_MAX)
        return 0;
    /* An outline that goes back in its book would tear chapters apart. */
    if (outline->count > 0 && page < outline->items[outline->count - 1].page)
        return 0;
    const char *const copy = bh_arena_strdup(outline->arena, bh_buf_peek(&title));
    if (!copy)
        return 0; /* more titles than any book has */
    outline->items[outline->count++] = (struct item){ .title = { .data = copy, .size = title.size },
                                                      .page = page };
    return bh_buf_error(&decoded) ? BH_ENOMEM : 0;
}

/* <item page="12">Title</item> */
static int read_item(struct tome_outline *const outline, struct bh_str line)
{
    static const struct bh_str end = { "</item>", 7 };
    (void)bh_str_split(&line, '"');
    const struct bh_str number = bh_str_split(&line, '"');
    (void)bh_str_split(&line, '>');
    int64_t page;
    if (bh_str_to_int64(number, 1, TOME_PAGE_NUMBER_MAX, &page) != 0)
        return 0;
    if (bh_str_ends_with(line, end))
        line.size -= end.size;
    return add_item(outline, (uint32_t)page, line);
}

static int read_lines(struct tome_outline *const outline, struct tome_lines *const lines)
{
    struct tome_line line;
    unsigned depth = 0;
    int result;
    while ((result = tome_lines_next(lines, &line)) == 1) {
        const struct bh_str text = bh_str_trim(line.text);
        if (bh_str_equal(text, BH_STR("<outline>")))
            depth++;
        else if (bh_str_equal(text, BH_STR("</outline>")))
            depth -= depth > 0;
        else if (depth > 0 && depth <= DEPTH_MAX &&
                 bh_str_starts_with(text, BH_STR("<item page=\"")))
            result = read_item(outline, text);
        if (result < 0)
            break;
    }
    return result < 0 ? result : 0;
}

int tome_outline_read(struct tome_input *const input, struct tome_outline **const ret_outline)
{
    struct tome_lines *lines BH_CLEANUP(tome_lines_destroy_cleanup) = NULL;
    struct tome_outline *const outline = calloc(1, sizeof(*outline));
    if (!outline)
        return BH_ENOMEM;
    int error = bh_arena_create(ARENA_BYTES, &outline->arena);
    if (!error) {
        outline->items = bh_arena_calloc(outline->arena, ITEMS_MAX, sizeof(*outline->items));
        error = outline->items ? tome_lines_create(input, &lines) : BH_ENOMEM;
    }
    if (!error)
        error = read_lines(outline, lines);
    if (error) {
        tome_outline_destroy(outline);
        return error;
    }
    *ret_outline = outline;
    return 0;
}

void tome_outline_destroy(struct tome_outline *const outline)
{
    if (!outline)
        return;
    bh_arena_destroy(outline->arena);
    free(outline);
}

/* --- placing ---------------------------------------------------------------------------------- */

/* "3.2 The Title" reads like "The Title", whatever its capitals. */
static bool reads_like(const struct bh_str line, const struct bh_str title)
{
    const struct bh_str text = bh_str_trim(line);
    if (text.size < title.size || text.size - title.size > PREFIX_BYTES_MAX)
        return false;
    const struct bh_str tail = { .data = text.data + text.size - title.size, .size = title.size };
    return bh_str_equal_nocase(tail, title);
}

/* The number of lines above the one that reads like the title; SIZE_MAX: there is none. */
static size_t lines_above(struct bh_str text, const struct bh_str title)
{
    for (size_t above = 0; text.size > 0;) {
        const struct bh_str line = bh_str_split(&text, '\n');
        if (reads_like(line, title))
            return above;
        above += bh_str_trim(line).size > 0;
    }
    return SIZE_MAX;
}

struct bh_str tome_outline_page(struct tome_outline *const outline, const uint32_t number,
                                const struct bh_str text)
{
    struct bh_str title = BH_STR_NONE;
    outline->begin = outline->end;
    while (outline->end < outline->count && outline->items[outline->end].page <= number)
        outline->end++;
    for (size_t i = outline->begin; i < outline->end; i++) {
        struct item *const item = &outline->items[i];
        const size_t above = lines_above(text, item->title);
        const bool with_page = above == SIZE_MAX || (title.size == 0 && above < TOP_LINES);
        if (with_page && title.size == 0)
            title = item->title;
        item->placed = with_page;
    }
    return title;
}

struct bh_str tome_outline_line(struct tome_outline *const outline, const struct bh_str line)
{
    for (size_t i = outline->begin; i < outline->end; i++) {
        struct item *const item = &outline->items[i];
        if (!item->placed && reads_like(line, item->title)) {
            item->placed = true;
            return item->title;
        }
    }
    return BH_STR_NONE;
}
