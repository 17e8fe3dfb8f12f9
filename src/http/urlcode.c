#include "http/urlcode.h"

#include "http/chars.h"

/* One decoded byte at *at, which moves on; -1: malformed. */
static int decode_byte(const struct bh_str text, size_t *const at, const bool plus_is_space)
{
    const char byte = text.data[*at];
    if (byte == '%') {
        if (text.size - *at < 3)
            return -1;
        const int high = bh_char_hex(text.data[*at + 1]);
        const int low = bh_char_hex(text.data[*at + 2]);
        if (high < 0 || low < 0 || (high | low) == 0)
            return -1;
        *at += 3;
        return high * 16 + low;
    }
    *at += 1;
    return byte == '+' && plus_is_space ? ' ' : (unsigned char)byte;
}

int bh_url_decode(const struct bh_str text, const bool plus_is_space, char *const to,
                  size_t *const ret_size)
{
    size_t size = 0;
    for (size_t at = 0; at < text.size;) {
        const int byte = decode_byte(text, &at, plus_is_space);
        if (byte < 0)
            return BH_ESYNTAX;
        to[size++] = (char)byte;
    }
    *ret_size = size;
    return 0;
}

bool bh_url_is_coded(const struct bh_str text, const bool plus_is_space)
{
    return text.size > 0 && (memchr(text.data, '%', text.size) ||
                             (plus_is_space && memchr(text.data, '+', text.size)));
}

bool bh_url_is_valid(const struct bh_str text, char *const scratch)
{
    if (!bh_url_is_coded(text, false))
        return bh_str_is_utf8(text);
    size_t size;
    return bh_url_decode(text, false, scratch, &size) == 0 &&
           bh_str_is_utf8((struct bh_str){ scratch, size });
}

bool bh_query_next(struct bh_str *const rest, struct bh_str *const ret_name,
                   struct bh_str *const ret_value)
{
    while (rest->size > 0) {
        struct bh_str pair = bh_str_split(rest, '&');
        if (pair.size == 0)
            continue;
        *ret_name = bh_str_split(&pair, '=');
        *ret_value = pair;
        return true;
    }
    return false;
}

bool bh_url_decodes_to(const struct bh_str text, const struct bh_str plain)
{
    size_t matched = 0;
    for (size_t at = 0; at < text.size;) {
        const int byte = decode_byte(text, &at, true);
        if (byte < 0 || matched == plain.size || (unsigned char)plain.data[matched] != byte)
            return false;
        matched++;
    }
    return matched == plain.size;
}
