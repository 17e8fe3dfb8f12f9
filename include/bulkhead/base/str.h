/*
 * A borrowed run of bytes: pointer and length, not terminated. The owner stands in the interface
 * that hands one out. Values are UTF-8 only where said so.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "bulkhead/base/macro.h"

struct bh_str {
    const char *data; /* may be NULL only when size is 0 */
    size_t size;      /* bytes */
};

#define BH_STR(literal) ((struct bh_str){ .data = (literal), .size = sizeof(literal) - 1 })
#define BH_STR_NONE ((struct bh_str){ .data = NULL, .size = 0 })

/* For printf: "%.*s", BH_STR_ARGS(text) */
#define BH_STR_ARGS(text) (int)(text).size, (text).data

static inline struct bh_str bh_str_from(const char *const terminated)
{
    return (struct bh_str){ .data = terminated, .size = terminated ? strlen(terminated) : 0 };
}

bool bh_str_equal(struct bh_str a, struct bh_str b);
bool bh_str_equal_nocase(struct bh_str a, struct bh_str b); /* ASCII case only */
bool bh_str_starts_with(struct bh_str text, struct bh_str prefix);
bool bh_str_ends_with(struct bh_str text, struct bh_str suffix);
int bh_str_compare(struct bh_str a, struct bh_str b); /* by bytes, shorter first */
struct bh_str bh_str_trim(struct bh_str text);        /* ASCII blanks at both ends */

/* Cuts *rest at the first `separator`: returns what stands before it and moves *rest behind it;
 * without one returns all and empties *rest. */
struct bh_str bh_str_split(struct bh_str *rest, char separator);

/* The whole text as a decimal number. BH_ESYNTAX: not [+-]?digits. BH_ELIMIT: does not fit
 * or is outside [minimum, maximum]. *ret_value is untouched on failure. */
int bh_str_to_int64(struct bh_str text, int64_t minimum, int64_t maximum,
                    int64_t *ret_value) BH_MUST_CHECK;

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool bh_str_is_utf8(struct bh_str text);

/* Bytes (1 to 4) of the well-formed UTF-8 sequence at the front of `data`, or 0 if there is none
 * within `left` bytes. */
size_t bh_str_utf8_sequence(const char *data, size_t left);
