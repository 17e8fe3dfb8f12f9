#include "extract/lines.h"

#include <stdlib.h>

#define READ_BYTES (64u * 1024)
#define LINE_MAX_BYTES (64u * 1024)

struct tome_lines {
    struct tome_input *input;
    struct tome_decoder *decoder;
    struct bh_buf text;  /* decoded */
    size_t at;           /* the next line begins here */
    size_t searched;     /* no line ends before */
    bool skip_line_feed; /* the last line ended with CR */
    bool at_end;         /* the input is used up */
    char bytes[READ_BYTES];
};

int tome_lines_create(struct tome_input *const input, struct tome_lines **const ret_lines)
{
    struct tome_lines *const lines = calloc(1, sizeof(*lines));
    if (!lines)
        return BH_ENOMEM;
    const int error = tome_decoder_create(BH_STR_NONE, &lines->decoder);
    if (error) {
        free(lines);
        return error;
    }
    lines->input = input;
    bh_buf_init(&lines->text, (size_t)READ_BYTES * 16);
    *ret_lines = lines;
    return 0;
}

void tome_lines_destroy(struct tome_lines *const lines)
{
    if (!lines)
        return;
    tome_decoder_destroy(lines->decoder);
    bh_buf_fini(&lines->text);
    free(lines);
}

static int fill(struct tome_lines *const lines)
{
    bh_buf_consume(&lines->text, lines->at);
    lines->searched -= lines->at;
    lines->at = 0;
    size_t size;
    const int error = tome_input_read(lines->input, lines->bytes, sizeof(lines->bytes), &size);
    if (error)
        return error;
    lines->at_end = size < sizeof(lines->bytes);
    const struct bh_str bytes = { .data = lines->bytes, .size = size };
    return tome_decoder_push(lines->decoder, bytes, lines->at_end, &lines->text);
}

static bool find_end(struct tome_lines *const lines)
{
    for (size_t i = lines->searched; i < lines->text.size; i++) {
        const char byte = lines->text.data[i];
        if (BH_UNLIKELY(byte == '\n' || byte == '\r' || byte == '\f')) {
            lines->searched = i;
            return true;
        }
    }
    lines->searched = lines->text.size;
    return false;
}

/* The text up to `end`, which is followed by `skip` bytes that belong to the end of the line. */
static int give(struct tome_lines *const lines, const size_t end, const size_t skip,
                struct tome_line line, struct tome_line *const ret_line)
{
    line.text = (struct bh_str){ .data = lines->text.data + lines->at, .size = end - lines->at };
    lines->at = end + skip;
    lines->searched = lines->at;
    *ret_line = line;
    return 1;
}

/* A place between code points, not far before the limit. */
static size_t piece_end(const struct tome_lines *const lines)
{
    size_t end = lines->at + LINE_MAX_BYTES;
    while (((unsigned char)lines->text.data[end] & 0xC0) == 0x80)
        end--;
    return end;
}

int tome_lines_next(struct tome_lines *const lines, struct tome_line *const ret_line)
{
    for (;;) {
        if (lines->skip_line_feed && lines->at < lines->text.size) {
            lines->at += lines->text.data[lines->at] == '\n';
            lines->searched = lines->at;
            lines->skip_line_feed = false;
        }
        const bool found = find_end(lines);
        if (lines->searched - lines->at > LINE_MAX_BYTES)
            return give(lines, piece_end(lines), 0, (struct tome_line){ .whole = false }, ret_line);
        if (found) {
            const char byte = lines->text.data[lines->searched];
            lines->skip_line_feed = byte == '\r';
            return give(lines, lines->searched, 1,
                        (struct tome_line){ .whole = true, .page_ends = byte == '\f' }, ret_line);
        }
        if (lines->at_end)
            break;
        const int error = fill(lines);
        if (error)
            return error;
    }
    if (lines->at == lines->text.size)
        return 0;
    return give(lines, lines->text.size, 0, (struct tome_line){ .whole = true }, ret_line);
}
