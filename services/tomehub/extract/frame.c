/*
 * Writer: frames gather in a buffer of 64 KiB and leave by write(2); the first error stays.
 * Reader: a buffer of exactly one frame, so a length that a hostile peer invents costs nothing.
 */
#include "extract/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "extract/sentence.h"

#define FLUSH_BYTES (64u * 1024)
#define FRAME_MAX (TOME_FRAME_HEAD_BYTES + TOME_FRAME_PAYLOAD_MAX)
#define PAGE_HEAD_BYTES 9u
#define READER_MAGIC 0x4652414du

/* --- writer ----------------------------------------------------------------------------------- */

void tome_frame_writer_init(struct tome_frame_writer *const writer, const int fd,
                            const uint64_t limit_bytes)
{
    *writer = (struct tome_frame_writer){ .fd = fd, .limit = limit_bytes };
    bh_buf_init(&writer->pending, FLUSH_BYTES + FRAME_MAX);
}

void tome_frame_writer_fini(struct tome_frame_writer *const writer)
{
    bh_buf_fini(&writer->pending);
}

int tome_frame_writer_flush(struct tome_frame_writer *const writer)
{
    if (!writer->error)
        writer->error = bh_buf_error(&writer->pending);
    size_t done = 0;
    while (!writer->error && done < writer->pending.size) {
        const ssize_t count = write(writer->fd, writer->pending.data + done,
                                    writer->pending.size - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            writer->error = BH_EIO;
    }
    bh_buf_clear(&writer->pending);
    return writer->error;
}

static void put_number(struct bh_buf *const buf, const uint64_t value, const unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        bh_buf_append_byte(buf, (char)(unsigned char)(value >> (8 * i)));
}

/* Room for a frame of `payload` bytes: false when an error says that nothing more is written. */
static bool begin(struct tome_frame_writer *const writer, const enum tome_frame_type type,
                  const size_t payload)
{
    bh_assert(payload <= TOME_FRAME_PAYLOAD_MAX);
    if (writer->pending.size >= FLUSH_BYTES && tome_frame_writer_flush(writer) != 0)
        return false;
    if (writer->error)
        return false;
    const uint64_t size = TOME_FRAME_HEAD_BYTES + payload;
    const bool closing = type == TOME_FRAME_ERROR || type == TOME_FRAME_END;
    if (!closing && (writer->written > writer->limit || size > writer->limit - writer->written)) {
        writer->error = BH_ELIMIT;
        return false;
    }
    writer->written += size;
    put_number(&writer->pending, payload, 4);
    put_number(&writer->pending, type, 1);
    return true;
}

void tome_frame_write_meta(struct tome_frame_writer *const writer, const enum tome_meta_key key,
                           const struct bh_str value)
{
    bh_assert(value.size <= TOME_FRAME_VALUE_MAX);
    if (!begin(writer, TOME_FRAME_META, 1 + value.size))
        return;
    put_number(&writer->pending, key, 1);
    bh_buf_append_str(&writer->pending, value);
}

void tome_frame_write_page(struct tome_frame_writer *const writer,
                           const struct tome_page *const page)
{
    bh_assert(page->label.size <= TOME_FRAME_LABEL_MAX);
    bh_assert(page->chapter.size <= TOME_FRAME_CHAPTER_MAX);
    bh_assert(page->text.size > 0 && page->text.size <= TOME_FRAME_PAGE_TEXT_MAX);
    if (!begin(writer, TOME_FRAME_PAGE,
               PAGE_HEAD_BYTES + page->label.size + page->chapter.size + page->text.size))
        return;
    put_number(&writer->pending, page->number, 4);
    put_number(&writer->pending, page->joint, 1);
    put_number(&writer->pending, page->label.size, 2);
    put_number(&writer->pending, page->chapter.size, 2);
    bh_buf_append_str(&writer->pending, page->label);
    bh_buf_append_str(&writer->pending, page->chapter);
    bh_buf_append_str(&writer->pending, page->text);
}

void tome_frame_write_progress(struct tome_frame_writer *const writer, const unsigned percent)
{
    if (begin(writer, TOME_FRAME_PROGRESS, 1))
        put_number(&writer->pending, percent > 100 ? 100 : percent, 1);
    /* Progress is worth nothing later. */
    (void)!tome_frame_writer_flush(writer);
}

void tome_frame_write_error(struct tome_frame_writer *const writer,
                            const enum tome_extract_failure code, const struct bh_str message)
{
    bh_assert(message.size <= TOME_FRAME_MESSAGE_MAX);
    if (writer->error == BH_ELIMIT)
        writer->error = 0;
    if (!begin(writer, TOME_FRAME_ERROR, 1 + message.size))
        return;
    put_number(&writer->pending, code, 1);
    bh_buf_append_str(&writer->pending, message);
}

void tome_frame_write_end(struct tome_frame_writer *const writer)
{
    (void)begin(writer, TOME_FRAME_END, 0);
}

/* --- reader ----------------------------------------------------------------------------------- */

struct tome_frame_reader {
    BH_MAGIC_FIELD;
    uint64_t limit;
    uint64_t received;
    size_t used;  /* bytes in data */
    size_t taken; /* bytes of data that are the frame given out last */
    int error;
    bool finished;
    uint32_t page_number; /* of the last page */
    unsigned char data[FRAME_MAX];
};

int tome_frame_reader_create(const uint64_t limit_bytes,
                             struct tome_frame_reader **const ret_reader)
{
    struct tome_frame_reader *const reader = calloc(1, sizeof(*reader));
    if (!reader)
        return BH_ENOMEM;
    reader->magic = READER_MAGIC;
    reader->limit = limit_bytes;
    *ret_reader = reader;
    return 0;
}

void tome_frame_reader_destroy(struct tome_frame_reader *const reader)
{
    if (!reader)
        return;
    reader->magic = 0;
    free(reader);
}

char *tome_frame_reader_space(struct tome_frame_reader *const reader, size_t *const ret_size)
{
    bh_magic_check(reader, READER_MAGIC);
    *ret_size = sizeof(reader->data) - reader->used;
    return (char *)reader->data + reader->used;
}

void tome_frame_reader_commit(struct tome_frame_reader *const reader, const size_t size)
{
    bh_magic_check(reader, READER_MAGIC);
    bh_assert(size <= sizeof(reader->data) - reader->used);
    reader->used += size;
    reader->received += size;
}

bool tome_frame_reader_finished(const struct tome_frame_reader *const reader)
{
    return reader->finished;
}

static uint32_t get_number(const unsigned char *const at, const unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

/* UTF-8 without control characters; `line_feeds` are allowed in text only. */
static bool is_clean(const struct bh_str text, const bool line_feeds)
{
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (BH_UNLIKELY(byte < ' ' || byte == 0x7F) && !(line_feeds && byte == '\n'))
            return false;
    }
    return bh_str_is_utf8(text);
}

static const char *parse_meta(const struct bh_str payload, struct tome_frame *const frame)
{
    if (payload.size < 1 || payload.size > 1 + TOME_FRAME_VALUE_MAX)
        return "a META frame of this size";
    const unsigned key = (unsigned char)payload.data[0];
    const struct bh_str value = { .data = payload.data + 1, .size = payload.size - 1 };
    if (key < TOME_META_TITLE || key > TOME_META_TAGS)
        return "an unknown META key";
    if (!is_clean(value, false))
        return "a META value that is not plain UTF-8";
    frame->meta.key = (enum tome_meta_key)key;
    frame->meta.value = value;
    return NULL;
}

static const char *parse_page(const struct tome_frame_reader *const reader,
                              const struct bh_str payload, struct tome_frame *const frame)
{
    if (payload.size < PAGE_HEAD_BYTES)
        return "a PAGE frame of this size";
    const unsigned char *const head = (const unsigned char *)payload.data;
    const uint32_t number = get_number(head, 4);
    const size_t label_size = get_number(head + 5, 2);
    const size_t chapter_size = get_number(head + 7, 2);
    if (number < 1 || number < reader->page_number || number > TOME_PAGE_NUMBER_MAX)
        return "a page number that goes back or is out of range";
    if (head[4] > TOME_JOINT_NONE)
        return "an unknown joint";
    if (label_size > TOME_FRAME_LABEL_MAX || chapter_size > TOME_FRAME_CHAPTER_MAX ||
        label_size + chapter_size >= payload.size - PAGE_HEAD_BYTES)
        return "a PAGE frame whose parts do not fit";
    struct tome_page *const page = &frame->page;
    const char *at = payload.data + PAGE_HEAD_BYTES;
    page->number = number;
    page->joint = (enum tome_joint)head[4];
    page->label = (struct bh_str){ .data = at, .size = label_size };
    page->chapter = (struct bh_str){ .data = at + label_size, .size = chapter_size };
    at += label_size + chapter_size;
    page->text = (struct bh_str){ .data = at, .size = (size_t)(payload.data + payload.size - at) };
    if (page->text.size > TOME_FRAME_PAGE_TEXT_MAX)
        return "a PAGE frame with too much text";
    if (!is_clean(page->label, false) || !is_clean(page->chapter, false) ||
        !is_clean(page->text, true))
        return "a page that is not plain UTF-8";
    if (tome_is_blank(page->text.data[0]) || tome_is_blank(at[page->text.size - 1]))
        return "a page with blanks at its ends";
    return NULL;
}

static const char *parse_error(const struct bh_str payload, struct tome_frame *const frame)
{
    if (payload.size < 1 || payload.size > 1 + TOME_FRAME_MESSAGE_MAX)
        return "an ERROR frame of this size";
    const unsigned code = (unsigned char)payload.data[0];
    const struct bh_str message = { .data = payload.data + 1, .size = payload.size - 1 };
    if (code == TOME_FAILURE_NONE || code >= TOME_FAILURE_COUNT)
        return "an unknown error code";
    if (!is_clean(message, false))
        return "an error message that is not plain UTF-8";
    frame->error.code = (enum tome_extract_failure)code;
    frame->error.message = message;
    return NULL;
}

/* NULL, or what is wrong with the frame. */
static const char *parse(const struct tome_frame_reader *const reader, const struct bh_str payload,
                         struct tome_frame *const frame)
{
    switch (frame->type) {
    case TOME_FRAME_META:
        return parse_meta(payload, frame);
    case TOME_FRAME_PAGE:
        return parse_page(reader, payload, frame);
    case TOME_FRAME_PROGRESS:
        if (payload.size != 1 || (unsigned char)payload.data[0] > 100)
            return "a PROGRESS frame that is no percentage";
        frame->percent = (unsigned char)payload.data[0];
        return NULL;
    case TOME_FRAME_ERROR:
        return parse_error(payload, frame);
    case TOME_FRAME_END:
        return payload.size == 0 ? NULL : "an END frame that is not empty";
    default:
        return "a frame of an unknown type";
    }
}

/* Frames given out are dropped only at the next call, so that their strings live until then. */
static void drop_taken(struct tome_frame_reader *const reader)
{
    reader->used -= reader->taken;
    if (reader->taken > 0)
        memmove(reader->data, reader->data + reader->taken, reader->used);
    reader->taken = 0;
}

static int fail(struct tome_frame_reader *const reader, const int code, const char *const what,
                struct bh_error *const reterr)
{
    reader->error = code;
    return bh_error_set(reterr, code, "the extractor sent %s; the file is refused", what);
}

int tome_frame_reader_next(struct tome_frame_reader *const reader,
                           struct tome_frame *const ret_frame, struct bh_error *const reterr)
{
    bh_magic_check(reader, READER_MAGIC);
    if (reader->error)
        return fail(reader, reader->error, "a broken stream", reterr);
    if (reader->received > reader->limit && reader->received - reader->limit > FRAME_MAX)
        return fail(reader, BH_ELIMIT, "more than is accepted", reterr);
    const unsigned char *const head = reader->data + reader->taken;
    const size_t left = reader->used - reader->taken;
    if (reader->finished && left > 0)
        return fail(reader, BH_ESYNTAX, "bytes behind the end", reterr);
    const size_t size = left < TOME_FRAME_HEAD_BYTES ? 0 : get_number(head, 4);
    if (size > TOME_FRAME_PAYLOAD_MAX)
        return fail(reader, BH_ESYNTAX, "a frame that is too long", reterr);
    if (left < TOME_FRAME_HEAD_BYTES + size) {
        drop_taken(reader);
        return 0;
    }
    const struct bh_str payload = { .data = (const char *)head + TOME_FRAME_HEAD_BYTES,
                                    .size = size };
    struct tome_frame frame = { .type = (enum tome_frame_type)head[4] };
    const char *const wrong = parse(reader, payload, &frame);
    if (wrong)
        return fail(reader, BH_ESYNTAX, wrong, reterr);
    if (frame.type == TOME_FRAME_PAGE)
        reader->page_number = frame.page.number;
    reader->finished = frame.type == TOME_FRAME_ERROR || frame.type == TOME_FRAME_END;
    reader->taken += TOME_FRAME_HEAD_BYTES + size;
    *ret_frame = frame;
    return 1;
}
