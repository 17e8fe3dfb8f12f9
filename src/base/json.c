/*
 * The JSON writer: straight into the caller's buffer, one bit of state for each open level.
 *
 * A string is copied in runs: a scan of 16 (SSE2), 8, then single bytes finds the next byte that
 * needs care (control, quote, backslash, non-ASCII); well-formed UTF-8 joins the run. Most strings
 * are one run and cost one reservation and one copy. The reader is json_read.c.
 */
#include "bulkhead/base/json.h"

#include <math.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/json_private.h"
#include "bulkhead/base/assert.h"

void bh_json_init(struct bh_json *const json, struct bh_buf *const buf)
{
    *json = (struct bh_json){ .buf = buf };
}

static uint32_t level_bit(const struct bh_json *const json)
{
    return UINT32_C(1) << (json->depth - 1);
}

static bool in_object(const struct bh_json *const json)
{
    return json->depth > 0 && (json->is_object & level_bit(json)) != 0;
}

/* Whether a comma stands before the next element of the open level: not before the first. */
static bool takes_comma(struct bh_json *const json)
{
    const uint32_t bit = level_bit(json);
    const bool result = (json->has_element & bit) != 0;
    json->has_element |= bit;
    return result;
}

static void before_value(struct bh_json *const json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    bh_assert(!in_object(json));
    if (json->depth > 0 && takes_comma(json))
        bh_buf_append_byte(json->buf, ',');
}

static void open_level(struct bh_json *const json, const char bracket, const bool is_object)
{
    before_value(json);
    bh_assert(json->depth < BH_JSON_DEPTH_MAX);
    json->depth++;
    const uint32_t bit = level_bit(json);
    json->has_element &= ~bit;
    json->is_object = is_object ? json->is_object | bit : json->is_object & ~bit;
    bh_buf_append_byte(json->buf, bracket);
}

static void close_level(struct bh_json *const json, const char bracket, const bool is_object)
{
    bh_assert(json->depth > 0 && !json->after_key && in_object(json) == is_object);
    json->depth--;
    bh_buf_append_byte(json->buf, bracket);
}

void bh_json_object_begin(struct bh_json *const json)
{
    open_level(json, '{', true);
}

void bh_json_object_end(struct bh_json *const json)
{
    close_level(json, '}', true);
}

void bh_json_array_begin(struct bh_json *const json)
{
    open_level(json, '[', false);
}

void bh_json_array_end(struct bh_json *const json)
{
    close_level(json, ']', false);
}

size_t bh_json_ascii_run(const struct bh_str text)
{
    const char *const data = text.data;
    const size_t size = text.size;
    size_t at = 0;
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i blank = _mm_set1_epi8(' ');
    for (; size - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(data + at));
        /* signed: non-ASCII bytes are negative and so smaller than a blank as well */
        const __m128i care = _mm_or_si128(
            _mm_cmplt_epi8(bytes, blank),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        const unsigned mask = (unsigned)_mm_movemask_epi8(care);
        if (mask != 0)
            return at + (size_t)__builtin_ctz(mask);
    }
#endif
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof(word));
        const uint64_t quotes = word ^ (ones * '"');
        const uint64_t backslashes = word ^ (ones * '\\');
        const uint64_t care = word | (word - ones * ' ') | (quotes - ones) | (backslashes - ones);
        if (care & highs)
            break;
    }
    for (; at < size; at++) {
        const unsigned char byte = (unsigned char)data[at];
        if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80)
            break;
    }
    return at;
}

size_t bh_json_plain_run(const struct bh_str text)
{
    size_t at = 0;
    while (at < text.size) {
        at += bh_json_ascii_run((struct bh_str){ .data = text.data + at, .size = text.size - at });
        if (at == text.size || (unsigned char)text.data[at] < 0x80)
            break;
        const size_t sequence = bh_str_utf8_sequence(text.data + at, text.size - at);
        if (sequence == 0)
            break;
        at += sequence;
    }
    return at;
}

static void append_escaped(struct bh_buf *const buf, const unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
    if (byte >= 0x80) {
        bh_buf_append(buf, "\xEF\xBF\xBD", 3);
    } else if (byte < sizeof(names) && names[byte] != 0) {
        bh_buf_append(buf, (const char[2]){ '\\', names[byte] }, 2);
    } else {
        bh_buf_append(buf, (const char[6]){ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] },
                      6);
    }
}

static void append_quoted_slow(struct bh_buf *const buf, struct bh_str text, size_t run)
{
    bh_buf_append_byte(buf, '"');
    for (;;) {
        bh_buf_append(buf, text.data, run);
        if (run == text.size)
            break;
        append_escaped(buf, (unsigned char)text.data[run]);
        text.data += run + 1;
        text.size -= run + 1;
        run = bh_json_plain_run(text);
    }
    bh_buf_append_byte(buf, '"');
}

static void append_quoted(struct bh_buf *const buf, const struct bh_str text)
{
    const size_t run = bh_json_plain_run(text);
    if (run != text.size) {
        append_quoted_slow(buf, text, run);
        return;
    }
    char *const to = bh_buf_reserve(buf, text.size + 2);
    if (!to)
        return;
    to[0] = '"';
    if (text.size > 0)
        memcpy(to + 1, text.data, text.size);
    to[text.size + 1] = '"';
    bh_buf_advance(buf, text.size + 2);
}

void bh_json_key(struct bh_json *const json, const struct bh_str key)
{
    bh_assert(in_object(json) && !json->after_key);
    json->after_key = true;
    const bool has_comma = takes_comma(json);
    if (bh_json_ascii_run(key) != key.size) {
        if (has_comma)
            bh_buf_append_byte(json->buf, ',');
        append_quoted(json->buf, key);
        bh_buf_append_byte(json->buf, ':');
        return;
    }
    /* nearly all of them: the comma, the key between its quotes and the colon in one piece */
    char *const to = bh_buf_reserve(json->buf, key.size + 3 + has_comma);
    if (!to)
        return;
    char *at = to;
    if (has_comma)
        *at++ = ',';
    *at++ = '"';
    if (key.size > 0)
        memcpy(at, key.data, key.size);
    at += key.size;
    *at++ = '"';
    *at++ = ':';
    bh_buf_advance(json->buf, (size_t)(at - to));
}

void bh_json_string(struct bh_json *const json, const struct bh_str value)
{
    before_value(json);
    append_quoted(json->buf, value);
}

void bh_json_int(struct bh_json *const json, const int64_t value)
{
    before_value(json);
    bh_buf_append_int(json->buf, value);
}

void bh_json_double(struct bh_json *const json, const double value)
{
    if (!isfinite(value)) {
        bh_json_null(json);
        return;
    }
    before_value(json);
    bh_buf_append_double(json->buf, value);
}

void bh_json_fixed(struct bh_json *const json, const double value, const int digits)
{
    if (!isfinite(value)) {
        bh_json_null(json);
        return;
    }
    before_value(json);
    bh_buf_append_fixed(json->buf, value, digits);
}

void bh_json_bool(struct bh_json *const json, const bool value)
{
    bh_json_raw(json, value ? BH_STR("true") : BH_STR("false"));
}

void bh_json_null(struct bh_json *const json)
{
    bh_json_raw(json, BH_STR("null"));
}

void bh_json_raw(struct bh_json *const json, const struct bh_str value)
{
    before_value(json);
    bh_buf_append_str(json->buf, value);
}

void bh_json_kv_string(struct bh_json *const json, const char *const key, const struct bh_str value)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_string(json, value);
}

void bh_json_kv_int(struct bh_json *const json, const char *const key, const int64_t value)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_int(json, value);
}

void bh_json_kv_double(struct bh_json *const json, const char *const key, const double value)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_double(json, value);
}

void bh_json_kv_bool(struct bh_json *const json, const char *const key, const bool value)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_bool(json, value);
}

void bh_json_kv_null(struct bh_json *const json, const char *const key)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_null(json);
}

void bh_json_kv_object(struct bh_json *const json, const char *const key)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_object_begin(json);
}

void bh_json_kv_array(struct bh_json *const json, const char *const key)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_array_begin(json);
}
