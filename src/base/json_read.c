/*
 * Reading JSON: one strict pass without recursion, which hands jansson's values to their parents as
 * it meets them. What is common is read here (whole numbers, strings without escapes); a number
 * with a fraction and a string with escapes, once checked, go to jansson's own reader one by one.
 *
 * The tree takes up to 80 times the text ("[{},{},…"), hence the limit on the count of values.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_private.h"
#include "bulkhead/base/assert.h"
#include "bulkhead/base/json.h"

#define NUMBER_SIZE_MAX 800 /* every double, written exactly, is shorter */

struct scan {
    const char *start;
    const char *at;
    const char *end;
    struct bh_error *reterr;
    unsigned depth;
    unsigned depth_maximum;
    size_t values;
    json_t *root;                           /* owns all that was read */
    json_t *levels[BH_JSON_READ_DEPTH_MAX]; /* those that are open, borrowed */
    struct bh_str key;                      /* of the value to come, between its quotes */
    json_t *unescaped_key;                  /* NULL: the key stands in the text as it is */
};

static int fail(const struct scan *scan, const char *where, int code, const char *format, ...)
    BH_PRINTF(4, 5);

/* "line 2, column 7: <cause>"; columns count characters. */
static int fail(const struct scan *const scan, const char *const where, const int code,
                const char *const format, ...)
{
    char cause[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cause, sizeof(cause), format, arguments);
    va_end(arguments);

    size_t line = 1;
    size_t column = 1;
    for (const char *at = scan->start; at < where; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*at & 0xC0) != 0x80) {
            column++;
        }
    }
    return bh_error_set(scan->reterr, code, "line %zu, column %zu: %s", line, column, cause);
}

static int fail_expected(const struct scan *const scan, const char *const expected)
{
    if (scan->at == scan->end)
        return fail(scan, scan->at, BH_ESYNTAX, "%s is expected, but the text ends here", expected);
    const unsigned char found = (unsigned char)*scan->at;
    if (found > 0x20 && found < 0x7F)
        return fail(scan, scan->at, BH_ESYNTAX, "%s is expected, found '%c'", expected, found);
    const size_t size = bh_str_utf8_sequence(scan->at, (size_t)(scan->end - scan->at));
    if (size > 1)
        return fail(scan, scan->at, BH_ESYNTAX, "%s is expected, found '%.*s'", expected, (int)size,
                    scan->at);
    return fail(scan, scan->at, BH_ESYNTAX, "%s is expected, found the byte 0x%02x", expected,
                found);
}

/* ---- Values ---- */

static int fail_memory(const struct scan *const scan)
{
    return bh_error_set(scan->reterr, BH_ENOMEM, "out of memory for a JSON text of %zu bytes",
                        (size_t)(scan->end - scan->start));
}

static bool in_object(const struct scan *const scan)
{
    return scan->depth > 0 && json_is_object(scan->levels[scan->depth - 1]);
}

/* Gives the value to the level that is open. NULL stands for memory that ran out. */
static int attach(struct scan *const scan, json_t *const value)
{
    if (!value)
        return fail_memory(scan);
    if (scan->depth == 0) {
        scan->root = value;
        return 0;
    }
    json_t *const level = scan->levels[scan->depth - 1];
    const int result = json_is_array(level) ? json_array_append_new(level, value)
                                            : json_object_setn_new_nocheck(level, scan->key.data,
                                                                           scan->key.size, value);
    return result == 0 ? 0 : fail_memory(scan);
}

/* jansson 2.14 drops characters of a string, and takes it for whole, when it cannot grow its
 * buffer; or calls it a syntax error. So a failed allocation is noticed here. */
static _Thread_local bool is_exhausted;

static void *allocate(const size_t size)
{
    void *const memory = malloc(size);
    if (!memory)
        is_exhausted = true;
    return memory;
}

static void set_allocator(void)
{
    json_set_alloc_funcs(allocate, free);
}

/* A string with escapes or a real number, as jansson reads it. */
static int load_token(const struct scan *const scan, const char *const begin,
                      json_t **const ret_value)
{
    is_exhausted = false;
    json_t *const value = json_loadb(begin, (size_t)(scan->at - begin), JSON_DECODE_ANY, NULL);
    if (is_exhausted) {
        json_decref(value);
        return fail_memory(scan);
    }
    if (!value)
        return fail(scan, begin, BH_ESYNTAX, "a number is too large");
    *ret_value = value;
    return 0;
}

/* ---- Scanning ---- */

static void skip_blanks(struct scan *const scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static bool at_byte(const struct scan *const scan, const char byte)
{
    return scan->at < scan->end && *scan->at == byte;
}

/* The four hexadecimal digits of \uXXXX, or -1. */
static int hex_value(const struct scan *const scan, const char *const at)
{
    if (scan->end - at < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char byte = at[i];
        if (byte >= '0' && byte <= '9')
            value = value * 16 + (byte - '0');
        else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
            value = value * 16 + ((byte | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static int scan_unicode_escape(struct scan *const scan)
{
    const int unit = hex_value(scan, scan->at + 2);
    if (unit < 0)
        return fail(scan, scan->at, BH_ESYNTAX, "\\u takes four hexadecimal digits");
    if (unit == 0)
        return fail(scan, scan->at, BH_ESYNTAX, "\\u0000 is not allowed in a string");
    if (unit < 0xD800 || unit > 0xDFFF) {
        scan->at += 6;
        return 0;
    }
    const bool pair = unit < 0xDC00 && scan->end - scan->at >= 12 && scan->at[6] == '\\' &&
                      scan->at[7] == 'u';
    const int low = pair ? hex_value(scan, scan->at + 8) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return fail(scan, scan->at, BH_ESYNTAX,
                    "half of a surrogate pair; both halves are needed, as in \\ud83d\\ude00");
    scan->at += 12;
    return 0;
}

static int scan_escape(struct scan *const scan)
{
    if (scan->end - scan->at < 2)
        return fail(scan, scan->at, BH_ESYNTAX, "the text ends inside a string");
    if (scan->at[1] == 'u')
        return scan_unicode_escape(scan);
    if (scan->at[1] == '\0' || !strchr("\"\\/bfnrt", scan->at[1]))
        return fail(scan, scan->at, BH_ESYNTAX,
                    "a backslash stands only before one of \"\\/bfnrtu");
    scan->at += 2;
    return 0;
}

/* *ret_text: what stands between the quotes; *ret_is_escaped: that is not the string itself. */
static int scan_string(struct scan *const scan, struct bh_str *const ret_text,
                       bool *const ret_is_escaped)
{
    const char *const begin = scan->at++;
    *ret_is_escaped = false;
    for (;;) {
        scan->at += bh_json_plain_run(
            (struct bh_str){ .data = scan->at, .size = (size_t)(scan->end - scan->at) });
        if (scan->at == scan->end)
            return fail(scan, begin, BH_ESYNTAX,
                        "the string that begins here has no closing quote");
        const unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"') {
            *ret_text = (struct bh_str){ begin + 1, (size_t)(scan->at - begin) - 1 };
            scan->at++;
            return 0;
        }
        if (byte == '\\') {
            *ret_is_escaped = true;
            const int error = scan_escape(scan);
            if (error)
                return error;
        } else if (byte < 0x20) {
            return fail(scan, scan->at, BH_ESYNTAX,
                        "the control character 0x%02x must be escaped in a string", byte);
        } else {
            return fail(scan, scan->at, BH_ESYNTAX, "the byte 0x%02x is not valid UTF-8", byte);
        }
    }
}

static int read_string(struct scan *const scan)
{
    const char *const begin = scan->at;
    struct bh_str text = BH_STR_NONE;
    bool is_escaped;
    json_t *value = NULL;
    int error = scan_string(scan, &text, &is_escaped);
    if (error)
        return error;
    if (!is_escaped)
        return attach(scan, json_stringn_nocheck(text.data, text.size));
    error = load_token(scan, begin, &value);
    return error ? error : attach(scan, value);
}

static size_t skip_digits(struct scan *const scan)
{
    const char *const begin = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return (size_t)(scan->at - begin);
}

static int read_number(struct scan *const scan)
{
    const char *const begin = scan->at;
    bool is_integer = true;
    if (at_byte(scan, '-'))
        scan->at++;
    const char *const first = scan->at;
    const size_t whole_digits = skip_digits(scan);
    if (whole_digits == 0)
        return fail_expected(scan, "a digit");
    if (*first == '0' && whole_digits > 1)
        return fail(scan, first, BH_ESYNTAX, "a number has no leading zeros");
    if (at_byte(scan, '.')) {
        is_integer = false;
        scan->at++;
        if (skip_digits(scan) == 0)
            return fail_expected(scan, "a digit behind the decimal point");
    }
    if (at_byte(scan, 'e') || at_byte(scan, 'E')) {
        is_integer = false;
        scan->at++;
        if (at_byte(scan, '+') || at_byte(scan, '-'))
            scan->at++;
        if (skip_digits(scan) == 0)
            return fail_expected(scan, "a digit of the exponent");
    }
    const struct bh_str text = { .data = begin, .size = (size_t)(scan->at - begin) };
    int64_t whole;
    if (is_integer && bh_str_to_int64(text, INT64_MIN, INT64_MAX, &whole) != 0)
        return fail(scan, begin, BH_ESYNTAX,
                    "a whole number of %zu digits does not fit into 64 bits", whole_digits);
    if (is_integer)
        return attach(scan, json_integer(whole));
    if (text.size > NUMBER_SIZE_MAX)
        return fail(scan, begin, BH_ESYNTAX, "a number of %zu characters; at most %d are read",
                    text.size, NUMBER_SIZE_MAX);
    json_t *value = NULL;
    const int error = load_token(scan, begin, &value);
    return error ? error : attach(scan, value);
}

static int read_word(struct scan *const scan, const struct bh_str word, json_t *const value)
{
    const struct bh_str rest = { .data = scan->at, .size = (size_t)(scan->end - scan->at) };
    if (!bh_str_starts_with(rest, word))
        return fail_expected(scan, "a value");
    scan->at += word.size;
    return attach(scan, value);
}

static int open_level(struct scan *const scan, const bool is_object)
{
    if (scan->depth == scan->depth_maximum)
        return fail(scan, scan->at, BH_ELIMIT, "nested deeper than %u levels", scan->depth_maximum);
    json_t *const level = is_object ? json_object() : json_array();
    const int error = attach(scan, level);
    if (error)
        return error;
    scan->levels[scan->depth++] = level;
    scan->at++;
    return 0;
}

static int read_key(struct scan *const scan)
{
    skip_blanks(scan);
    if (!at_byte(scan, '"'))
        return fail_expected(scan, "a key in double quotes");
    const char *const begin = scan->at;
    bool is_escaped;
    int error = scan_string(scan, &scan->key, &is_escaped);
    if (error)
        return error;
    if (is_escaped) {
        json_decref(scan->unescaped_key);
        scan->unescaped_key = NULL;
        error = load_token(scan, begin, &scan->unescaped_key);
        if (error)
            return error;
        scan->key = (struct bh_str){ .data = json_string_value(scan->unescaped_key),
                                     .size = json_string_length(scan->unescaped_key) };
    }
    if (json_object_getn(scan->levels[scan->depth - 1], scan->key.data, scan->key.size))
        return fail(scan, begin, BH_ESYNTAX, "the object has this key already");
    skip_blanks(scan);
    if (!at_byte(scan, ':'))
        return fail_expected(scan, "a colon behind the key");
    scan->at++;
    return 0;
}

/* One value, or the opening of one. *ret_opened: a container that is not empty was opened. */
static int read_value(struct scan *const scan, bool *const ret_opened)
{
    *ret_opened = false;
    skip_blanks(scan);
    if (++scan->values > BH_JSON_VALUES_MAX)
        return fail(scan, scan->at, BH_ELIMIT, "more than %d values", BH_JSON_VALUES_MAX);
    switch (scan->at < scan->end ? *scan->at : '\0') {
    case '"':
        return read_string(scan);
    case 't':
        return read_word(scan, BH_STR("true"), json_true());
    case 'f':
        return read_word(scan, BH_STR("false"), json_false());
    case 'n':
        return read_word(scan, BH_STR("null"), json_null());
    case '{':
    case '[': {
        const bool is_object = *scan->at == '{';
        const int error = open_level(scan, is_object);
        if (error)
            return error;
        skip_blanks(scan);
        *ret_opened = !at_byte(scan, is_object ? '}' : ']');
        return *ret_opened && is_object ? read_key(scan) : 0;
    }
    default:
        if (at_byte(scan, '-') || (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'))
            return read_number(scan);
        return fail_expected(scan, "a value");
    }
}

/* Behind a value: closes the levels that end here. *ret_more: a further value follows. */
static int scan_behind_value(struct scan *const scan, bool *const ret_more)
{
    *ret_more = false;
    while (scan->depth > 0) {
        const bool is_object = in_object(scan);
        skip_blanks(scan);
        if (at_byte(scan, is_object ? '}' : ']')) {
            scan->at++;
            scan->depth--;
        } else if (at_byte(scan, ',')) {
            scan->at++;
            *ret_more = true;
            return is_object ? read_key(scan) : 0;
        } else {
            return fail_expected(scan, is_object ? "a comma or }" : "a comma or ]");
        }
    }
    skip_blanks(scan);
    if (scan->at != scan->end)
        return fail_expected(scan, "nothing more behind the value");
    return 0;
}

static int read_document(struct scan *const scan)
{
    bool more = true;
    while (more) {
        bool opened;
        int error = read_value(scan, &opened);
        if (!error && !opened)
            error = scan_behind_value(scan, &more);
        if (error)
            return error;
    }
    return 0;
}

int bh_json_parse(const struct bh_str text, const unsigned depth_maximum, json_t **const ret_value,
                  struct bh_error *const reterr)
{
    bh_assert(depth_maximum <= BH_JSON_READ_DEPTH_MAX);
    struct scan scan = { .reterr = reterr, .depth_maximum = depth_maximum };
    scan.start = text.size > 0 ? text.data : "";
    scan.at = scan.start;
    scan.end = scan.start + text.size;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_allocator);
    const int error = read_document(&scan);
    json_decref(scan.unescaped_key);
    if (error)
        json_decref(scan.root);
    else
        *ret_value = scan.root;
    return error;
}
