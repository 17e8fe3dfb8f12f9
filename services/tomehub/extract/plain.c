#include "extract/plain.h"

#include <unicode/utf8.h>

#include "extract/sentence.h"

static const char *const ligatures[] = { "ff", "fi", "fl", "ffi", "ffl", "st", "st" };

#define LIGATURE_FIRST 0xFB00
#define LIGATURE_LAST 0xFB06

static enum tome_plain classify_ascii(const char byte)
{
    if (byte > ' ' && byte != 0x7F)
        return TOME_PLAIN_TEXT;
    if (byte == '\n')
        return TOME_PLAIN_LINE;
    return tome_is_blank(byte) ? TOME_PLAIN_BLANK : TOME_PLAIN_DROPPED;
}

static enum tome_plain classify(const UChar32 point)
{
    switch (point) {
    case 0x0085:
    case 0x2028:
        return TOME_PLAIN_LINE;
    case 0x2029:
        return TOME_PLAIN_PARAGRAPH;
    case 0x00A0:
    case 0x1680:
    case 0x202F:
    case 0x205F:
    case 0x3000:
        return TOME_PLAIN_BLANK;
    case 0x00AD: /* soft hyphen */
    case 0x061C:
    case 0x180E:
    case 0x200B:
    case 0x200E:
    case 0x200F:
    case 0xFEFF:
        return TOME_PLAIN_DROPPED;
    default:
        break;
    }
    if (point >= 0x2000 && point <= 0x200A)
        return TOME_PLAIN_BLANK;
    if (point < 0xA0 || (point >= 0x202A && point <= 0x202E) ||
        (point >= 0x2060 && point <= 0x206F) || (point >= 0xFFF9 && point <= 0xFFFC))
        return TOME_PLAIN_DROPPED;
    return TOME_PLAIN_TEXT;
}

enum tome_plain tome_plain_next(const struct bh_str text, size_t *const at,
                                struct bh_str *const ret_text)
{
    const size_t begin = *at;
    if ((unsigned char)text.data[begin] < 0x80) {
        *at = begin + 1;
        *ret_text = (struct bh_str){ .data = text.data + begin, .size = 1 };
        return classify_ascii(text.data[begin]);
    }
    /* Four bytes are enough for one code point, and keep the index in 32 bits. */
    const size_t left = text.size - begin;
    const int32_t size = left > 4 ? 4 : (int32_t)left;
    int32_t used = 0;
    UChar32 point;
    U8_NEXT((const uint8_t *)text.data + begin, used, size, point);
    *at = begin + (size_t)used;
    if (point < 0) {
        *ret_text = BH_STR("\uFFFD");
        return TOME_PLAIN_TEXT;
    }
    *ret_text = (struct bh_str){ .data = text.data + begin, .size = (size_t)used };
    if (BH_UNLIKELY(point >= LIGATURE_FIRST && point <= LIGATURE_LAST))
        *ret_text = bh_str_from(ligatures[point - LIGATURE_FIRST]);
    return classify(point);
}

void tome_plain_append_line(struct bh_buf *const out, const struct bh_str text,
                            const size_t maximum)
{
    size_t used = 0;
    bool blank = false;
    for (size_t at = 0; at < text.size;) {
        struct bh_str piece;
        const enum tome_plain kind = tome_plain_next(text, &at, &piece);
        if (kind == TOME_PLAIN_DROPPED)
            continue;
        if (kind != TOME_PLAIN_TEXT) {
            blank = used > 0;
            continue;
        }
        if (piece.size + blank > maximum - used)
            return;
        if (blank)
            bh_buf_append_byte(out, ' ');
        bh_buf_append_str(out, piece);
        used += piece.size + blank;
        blank = false;
        if (bh_buf_error(out))
            return;
    }
}

void tome_plain_append_point(struct bh_buf *const out, const uint32_t point)
{
    uint8_t bytes[U8_MAX_LENGTH];
    const bool valid = point > 0 && point <= 0x10FFFF && !(point >= 0xD800 && point <= 0xDFFF);
    int32_t size = 0;
    UBool failed = false;
    U8_APPEND(bytes, size, U8_MAX_LENGTH, valid ? point : 0xFFFDu, failed);
    bh_buf_append(out, bytes, failed ? 0 : (size_t)size);
}
