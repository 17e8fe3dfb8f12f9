/* Base64url without padding (RFC 4648, section 5), as JOSE has it: one spelling for each content.
 * Any thread. */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

/* Bytes that `size` characters can stand for at most. */
#define BH_BASE64URL_DECODED(size) ((size) / 4 * 3 + 2)

/* BH_ESYNTAX: another character, an impossible length, or bits behind the last byte that are not 0.
 * BH_ELIMIT: longer than `capacity`. */
int bh_base64url_decode(struct bh_str text, uint8_t *to, size_t capacity,
                        size_t *ret_size) BH_MUST_CHECK;
