/* Parts are separated by the byte 0xFF; two bytes in front of each say how it follows the one
 * before. The chunks must be the text of the book and know its pages. */
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "extract/chunker.h"
#include "extract/page_breaks.h"
#include "extract/sentence.h"

#define PART_MARK ((char)(unsigned char)0xFF)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct book {
    struct tome_chunker *chunker;
    struct bh_buf expected;
    struct bh_buf actual;
    struct bh_buf pages; /* one byte for each of `expected`: its page */
    char chapter;
    uint32_t page;
};

static void append_page(struct book *const book, const size_t count)
{
    for (size_t i = 0; i < count; i++)
        bh_buf_append_byte(&book->pages, (char)(unsigned char)book->page);
}

static void take(struct book *const book)
{
    struct tome_chunk chunk;
    while (tome_chunker_next(book->chunker, &chunk)) {
        const size_t begin = book->actual.size - chunk.overlap;
        bh_assert(chunk.content.size > chunk.overlap);
        bh_buf_append(&book->actual, chunk.content.data + chunk.overlap,
                      chunk.content.size - chunk.overlap);
        for (size_t i = 0; i < chunk.content.size; i++)
            bh_assert((uint32_t)(unsigned char)book->pages.data[begin + i] ==
                      tome_page_at(chunk.page_number, chunk.page_breaks, i));
    }
}

static void feed(struct book *const book, const struct bh_str part)
{
    static const char *const separators[] = { "\n\n", " ", "" };
    if (part.size < 2)
        return;
    const unsigned how = (unsigned char)part.data[0];
    const char chapter = (char)('a' + part.data[1] % 3);
    const struct bh_str raw = { .data = part.data + 2, .size = part.size - 2 };
    const struct bh_str text = tome_trim(raw);
    if (raw.size > TOME_FRAME_PAGE_TEXT_MAX || text.size == 0)
        return;
    const enum tome_joint joint = (enum tome_joint)(how % 3);
    if (book->expected.size > 0) {
        const char *const separator =
            separators[chapter == book->chapter ? joint : TOME_JOINT_PARAGRAPH];
        append_page(book, strlen(separator));
        bh_buf_append_str(&book->expected, bh_str_from(separator));
    }
    if (book->page < 200)
        book->page += (how >> 4) & 3;
    book->chapter = chapter;
    append_page(book, text.size);
    bh_buf_append_str(&book->expected, text);
    const struct tome_page page = { .number = book->page,
                                    .joint = joint,
                                    .chapter = { .data = &book->chapter, .size = 1 },
                                    .text = raw };
    bh_assert(tome_chunker_feed(book->chunker, &page) == 0);
    take(book);
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    struct book book = { .page = 1 };
    struct bh_str rest = { .data = (const char *)data, .size = size };
    bh_buf_init(&book.expected, SIZE_MAX);
    bh_buf_init(&book.actual, SIZE_MAX);
    bh_buf_init(&book.pages, SIZE_MAX);
    bh_assert(tome_chunker_create(&book.chunker) == 0);
    while (rest.size > 0)
        feed(&book, bh_str_split(&rest, PART_MARK));
    tome_chunker_finish(book.chunker);
    take(&book);
    bh_assert(bh_str_equal(bh_buf_peek(&book.expected), bh_buf_peek(&book.actual)));
    tome_chunker_destroy(book.chunker);
    bh_buf_fini(&book.expected);
    bh_buf_fini(&book.actual);
    bh_buf_fini(&book.pages);
    return 0;
}
