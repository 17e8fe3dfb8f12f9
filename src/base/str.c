#include "bulkhead/base/str.h"

#include <strings.h>

#include "bulkhead/base/error.h"

bool bh_str_equal(const struct bh_str a, const struct bh_str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool bh_str_equal_nocase(const struct bh_str a, const struct bh_str b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        unsigned char left = (unsigned char)a.data[i];
        unsigned char right = (unsigned char)b.data[i];
        if (left - (unsigned)'A' < 26)
            left |= 0x20;
        if (right - (unsigned)'A' < 26)
            right |= 0x20;
        if (left != right)
            return false;
    }
    return true;
}

bool bh_str_starts_with(const struct bh_str text, const struct bh_str prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

bool bh_str_ends_with(const struct bh_str text, const struct bh_str suffix)
{
    return text.size >= suffix.size &&
           (suffix.size == 0 ||
            memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0);
}

int bh_str_compare(const struct bh_str a, const struct bh_str b)
{
    const size_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static bool is_blank(const char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct bh_str bh_str_trim(struct bh_str text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

struct bh_str bh_str_split(struct bh_str *const rest, const char separator)
{
    struct bh_str head = *rest;
    const char *const at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    if (!at) {
        *rest = BH_STR_NONE;
        return head;
    }
    head.size = (size_t)(at - head.data);
    rest->data = at + 1;
    rest->size -= head.size + 1;
    return head;
}

int bh_str_to_int64(const struct bh_str text, const int64_t minimum, const int64_t maximum,
                    int64_t *const ret_value)
{
    size_t at = 0;
    bool negative = false;
    if (text.size > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        negative = text.data[0] == '-';
        at = 1;
    }
    if (at == text.size)
        return BH_ESYNTAX;
    int64_t value = 0;
    bool overflow = false;
    for (; at < text.size; at++) {
        const unsigned digit = (unsigned)((unsigned char)text.data[at] - '0');
        if (digit > 9)
            return BH_ESYNTAX;
        const int64_t step = negative ? -(int64_t)digit : (int64_t)digit;
        overflow = overflow || __builtin_mul_overflow(value, 10, &value) ||
                   __builtin_add_overflow(value, step, &value);
    }
    if (overflow || value < minimum || value > maximum)
        return BH_ELIMIT;
    *ret_value = value;
    return 0;
}

size_t bh_str_utf8_sequence(const char *const data, const size_t left)
{
    if (left == 0)
        return 0;
    const unsigned char *const at = (const unsigned char *)data;
    const unsigned char first = at[0];
    if (first < 0x80)
        return 1;
    size_t size;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        size = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        size = 3;
        if (first == 0xE0)
            low = 0xA0;
        else if (first == 0xED)
            high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
        size = 4;
        if (first == 0xF0)
            low = 0x90;
        else if (first == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if (left < size || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    }
    return size;
}

bool bh_str_is_utf8(const struct bh_str text)
{
    const char *at = text.data;
    size_t left = text.size;
    while (left > 0) {
        if (left >= 8) {
            uint64_t word;
            memcpy(&word, at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                left -= 8;
                continue;
            }
        }
        const size_t size = bh_str_utf8_sequence(at, left);
        if (size == 0)
            return false;
        at += size;
        left -= size;
    }
    return true;
}
