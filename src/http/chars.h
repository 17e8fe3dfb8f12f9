/*
 * Character classes of HTTP (RFC 9110 section 5.6, RFC 3986), one table look-up a byte.
 * Constant data; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/base/str.h"

enum bh_char_class {
    BH_CHAR_TOKEN = 1,     /* tchar: methods, field names, codings */
    BH_CHAR_TEXT = 2,      /* what a field value may hold: VCHAR, obs-text, SP, HTAB */
    BH_CHAR_TARGET = 4,    /* what a request target may hold: VCHAR but '#', and obs-text */
    BH_CHAR_HOST = 8,      /* a host name, an address, brackets, the colon before a port */
    BH_CHAR_BOUNDARY = 16, /* multipart boundary (RFC 2046) */
};

extern const uint8_t bh_char_classes[256];
extern const int8_t bh_char_hex_values[256]; /* 0–15, or -1 */

static inline bool bh_char_is(const char byte, const enum bh_char_class class)
{
    return (bh_char_classes[(unsigned char)byte] & class) != 0;
}

/* The value of a hexadecimal digit, or -1. */
static inline int bh_char_hex(const char byte)
{
    return bh_char_hex_values[(unsigned char)byte];
}

/* Whether every byte of `text` is of `class`; true for an empty text. */
bool bh_chars_are(struct bh_str text, enum bh_char_class class);
