/* The first byte says how the stream is cut into reads. */
#include <string.h>

#include "bulkhead/base/assert.h"
#include "extract/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tome_frame *const frame, const uint32_t last_page)
{
    if (frame->type != TOME_FRAME_PAGE)
        return;
    const struct tome_page *const page = &frame->page;
    bh_assert(page->number >= 1 && page->number >= last_page);
    bh_assert(page->text.size > 0 && bh_str_is_utf8(page->text));
    bh_assert(!memchr(page->text.data, '\0', page->text.size));
    bh_assert(page->chapter.size <= TOME_FRAME_CHAPTER_MAX && bh_str_is_utf8(page->chapter));
    bh_assert(page->label.size <= TOME_FRAME_LABEL_MAX && bh_str_is_utf8(page->label));
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    struct tome_frame_reader *reader;
    struct tome_frame frame;
    const size_t step = size > 0 ? (size_t)data[0] * 17 + 1 : 1;
    uint32_t last_page = 0;
    int result = 0;
    bh_assert(tome_frame_reader_create(1u << 20, &reader) == 0);
    for (size_t at = 1; at < size && result == 0;) {
        size_t room;
        char *const to = tome_frame_reader_space(reader, &room);
        bh_assert(room > 0);
        size_t count = size - at < step ? size - at : step;
        count = count < room ? count : room;
        memcpy(to, data + at, count);
        tome_frame_reader_commit(reader, count);
        at += count;
        while ((result = tome_frame_reader_next(reader, &frame, NULL)) == 1) {
            check(&frame, last_page);
            if (frame.type == TOME_FRAME_PAGE)
                last_page = frame.page.number;
        }
    }
    if (result < 0)
        bh_assert(tome_frame_reader_next(reader, &frame, NULL) == result);
    tome_frame_reader_destroy(reader);
    return 0;
}
