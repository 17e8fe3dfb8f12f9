/* A byte a step outside of the data, which is handed over in runs. */
#include "http/chunked.h"

#include "http/chars.h"

#define DIGITS_MAX 15 /* 60 bits: sizes cannot overflow, nor can sums of a few of them */

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
    BROKEN
};

static enum bh_chunked_result refuse(struct bh_chunked *const chunked, const char *const reason)
{
    chunked->state = BROKEN;
    chunked->reason = reason;
    return BH_CHUNKED_REFUSED;
}

static enum bh_chunked_result take_size(struct bh_chunked *const chunked, const char byte)
{
    const int digit = bh_char_hex(byte);
    if (digit >= 0) {
        if (chunked->digits == DIGITS_MAX)
            return refuse(chunked, "A chunk size is too large.");
        chunked->digits++;
        chunked->left = chunked->left * 16 + (unsigned)digit;
        return BH_CHUNKED_MORE;
    }
    if (chunked->digits == 0 || (byte != '\r' && byte != ';'))
        return refuse(chunked, "A chunk size is not a hexadecimal number.");
    chunked->state = byte == ';' ? EXTENSION : SIZE_LF;
    return BH_CHUNKED_MORE;
}

static enum bh_chunked_result take_extension(struct bh_chunked *const chunked, const char byte)
{
    if (++chunked->extension_bytes > BH_CHUNKED_EXTENSION_MAX)
        return refuse(chunked, "The chunk extensions are too long.");
    if (byte == '\r')
        chunked->state = SIZE_LF;
    else if (!bh_char_is(byte, BH_CHAR_TEXT))
        return refuse(chunked, "A chunk extension holds a control character.");
    return BH_CHUNKED_MORE;
}

static enum bh_chunked_result take_trailer(struct bh_chunked *const chunked, const char byte)
{
    if (++chunked->trailer_bytes > BH_CHUNKED_TRAILERS_MAX)
        return refuse(chunked, "The trailer fields are too long.");
    switch (chunked->state) {
    case TRAILER_START:
        if (byte == '\r') {
            chunked->state = LAST_LF;
            return BH_CHUNKED_MORE;
        }
        if (!bh_char_is(byte, BH_CHAR_TOKEN))
            return refuse(chunked, "A trailer field is malformed.");
        chunked->state = TRAILER_NAME;
        return BH_CHUNKED_MORE;
    case TRAILER_NAME:
        if (byte == ':')
            chunked->state = TRAILER_VALUE;
        else if (!bh_char_is(byte, BH_CHAR_TOKEN))
            return refuse(chunked, "A trailer field is malformed.");
        return BH_CHUNKED_MORE;
    default:
        if (byte == '\r')
            chunked->state = TRAILER_LF;
        else if (!bh_char_is(byte, BH_CHAR_TEXT))
            return refuse(chunked, "A trailer field holds a control character.");
        return BH_CHUNKED_MORE;
    }
}

/* The byte must be `expected`; then `next`. */
static enum bh_chunked_result take_line_end(struct bh_chunked *const chunked, const char byte,
                                            const char expected, const enum state next)
{
    if (byte != expected)
        return refuse(chunked, "A line of the chunked coding does not end in CRLF.");
    chunked->state = (uint8_t)next;
    return next == DONE ? BH_CHUNKED_END : BH_CHUNKED_MORE;
}

static enum bh_chunked_result take_byte(struct bh_chunked *const chunked, const char byte)
{
    switch ((enum state)chunked->state) {
    case SIZE:
        return take_size(chunked, byte);
    case EXTENSION:
        return take_extension(chunked, byte);
    case SIZE_LF:
        chunked->digits = 0;
        chunked->extension_bytes = 0;
        return take_line_end(chunked, byte, '\n', chunked->left > 0 ? DATA : TRAILER_START);
    case DATA_CR:
        return take_line_end(chunked, byte, '\r', DATA_LF);
    case DATA_LF:
        return take_line_end(chunked, byte, '\n', SIZE);
    case TRAILER_START:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return take_trailer(chunked, byte);
    case TRAILER_LF:
        return take_line_end(chunked, byte, '\n', TRAILER_START);
    case LAST_LF:
        return take_line_end(chunked, byte, '\n', DONE);
    case DATA:
    case DONE:
    case BROKEN:
        break;
    }
    return chunked->state == DONE ? BH_CHUNKED_END : BH_CHUNKED_REFUSED;
}

enum bh_chunked_result bh_chunked_next(struct bh_chunked *const chunked, struct bh_str *const input,
                                       struct bh_str *const ret_data)
{
    if (chunked->state == DONE)
        return BH_CHUNKED_END;
    if (chunked->state == BROKEN)
        return BH_CHUNKED_REFUSED;
    while (input->size > 0) {
        if (chunked->state == DATA) {
            const size_t size = chunked->left < input->size ? (size_t)chunked->left : input->size;
            *ret_data = (struct bh_str){ input->data, size };
            input->data += size;
            input->size -= size;
            chunked->left -= size;
            if (chunked->left == 0)
                chunked->state = DATA_CR;
            return BH_CHUNKED_DATA;
        }
        const enum bh_chunked_result result = take_byte(chunked, input->data[0]);
        if (result == BH_CHUNKED_REFUSED)
            return result;
        input->data++;
        input->size--;
        if (result == BH_CHUNKED_END)
            return result;
    }
    return BH_CHUNKED_MORE;
}
