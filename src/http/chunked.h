/*
 * Decoder of the chunked transfer coding (RFC 9112 section 7.1), strict and incremental.
 *
 * Data is handed out as slices of the input. Extensions are bounded and passed over, trailer fields
 * are bounded, checked for form and discarded. Pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "bulkhead/base/str.h"

#define BH_CHUNKED_EXTENSION_MAX 256 /* bytes of one chunk's extensions */
#define BH_CHUNKED_TRAILERS_MAX 4096 /* bytes of trailer fields */

enum bh_chunked_result {
    BH_CHUNKED_MORE,   /* the input is used up */
    BH_CHUNKED_DATA,   /* a piece of the body */
    BH_CHUNKED_END,    /* the body is whole; the rest of the input is behind it */
    BH_CHUNKED_REFUSED /* malformed or past a limit; `reason` tells */
};

/* Embedded; zeroed is ready. */
struct bh_chunked {
    const char *reason;       /* read-only: static text once REFUSED */
    uint64_t left;            /* private: bytes of the current chunk still to come */
    uint32_t extension_bytes; /* private */
    uint32_t trailer_bytes;   /* private */
    uint8_t digits;           /* private */
    uint8_t state;            /* private */
};

/* Cuts what it understands off *input. Call again until MORE, END or REFUSED. */
enum bh_chunked_result bh_chunked_next(struct bh_chunked *chunked, struct bh_str *input,
                                       struct bh_str *ret_data);
