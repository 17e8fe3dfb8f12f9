/* Excerpts of any content for any query: valid text, marks in order and inside it, the first match
 * inside the content and so on one of the chunk's pages. Input: a byte that chooses the language
 * and whether the query is instant, the query, a line end, the content. */
#include <stdint.h>

#include "bulkhead/base/assert.h"
#include "extract/page_breaks.h"
#include "library/snippet.h"

#define ARENA_BYTES (UINT64_C(64) << 20)
#define SIGNS 6   /* bytes of the two signs for what was left out */
#define SLACK 100 /* bytes an excerpt may go on to end with a word */

static size_t count_characters(const struct bh_str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static void check_text(const struct bh_str text)
{
    bh_assert(bh_str_is_utf8(text));
    for (size_t i = 0; i < text.size; i++) {
        const char byte = text.data[i];
        bh_assert(byte != '\n' && byte != '\r' && byte != '\t');
        bh_assert(byte != ' ' || i == 0 || text.data[i - 1] != ' ');
    }
}

/* The byte at which character `number` begins. */
static char byte_of_character(const struct bh_str text, const uint32_t number)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (((unsigned char)text.data[i] & 0xc0) == 0x80)
            continue;
        if (count++ == number)
            return text.data[i];
    }
    return '\0';
}

static void check(const struct tome_snippet *const snippet, const struct bh_str content)
{
    check_text(snippet->text);
    bh_assert(snippet->text.size <= content.size + SIGNS);
    const size_t characters = count_characters(snippet->text);
    bh_assert(snippet->highlight_count <= TOME_SNIPPET_HIGHLIGHTS_MAX);
    uint32_t end = 0;
    for (size_t i = 0; i < snippet->highlight_count; i++) {
        const struct tome_highlight *const highlight = &snippet->highlights[i];
        bh_assert(highlight->start >= end && highlight->end > highlight->start);
        bh_assert(highlight->end <= characters);
        end = highlight->end;
    }
    if (snippet->highlight_count == 0) { /* the beginning of the content */
        bh_assert(snippet->first_match == 0);
        bh_assert(snippet->text.size <= TOME_SNIPPET_BYTES + SLACK);
    } else {
        bh_assert(snippet->first_match < content.size);
        bh_assert(content.data[snippet->first_match] ==
                  byte_of_character(snippet->text, snippet->highlights[0].start));
    }
}

static void check_page(const struct tome_snippet *const snippet, const struct bh_str breaks)
{
    const uint32_t page = tome_page_at(1, breaks, snippet->first_match);
    bool is_known = page == 1;
    struct bh_str rest = breaks;
    struct tome_page_break next;
    while (tome_page_breaks_next(&rest, &next))
        is_known = is_known || next.page == page;
    bh_assert(is_known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static struct tome_analyzer *analyzer;
    static struct bh_arena *arena;
    static struct tome_plan plan;
    if (analyzer == NULL) {
        bh_assert(tome_analyzer_create(&analyzer) == 0);
        bh_assert(bh_arena_create(ARENA_BYTES, &arena) == 0);
    }
    if (size < 2)
        return 0;
    struct bh_str rest = { (const char *)data + 1, size - 1 };
    const struct bh_str text = bh_str_split(&rest, '\n');
    const enum tome_language language = (enum tome_language)((data[0] & 0x7f) %
                                                             TOME_LANGUAGE_COUNT);
    const uint32_t languages = UINT32_C(1) << language;
    struct tome_query query;
    struct tome_snippet snippet;
    if (!bh_str_is_utf8(rest))
        return 0; /* as the library's chunks are */
    bh_assert(tome_query_parse(analyzer, text, languages, data[0] >> 7, arena, &query) == 0);
    tome_plan_make(&query, language, &plan);
    bh_assert(tome_snippet_make(analyzer, language, &plan, rest, arena, &snippet) == 0);
    check(&snippet, rest);
    check_page(&snippet, text);
    check_page(&snippet, BH_STR("1:2,7:3,20:9,300:11"));
    bh_arena_reset(arena);
    return 0;
}
