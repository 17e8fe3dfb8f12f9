/*
 * Plain text: what may stand in a page or a title, and how everything else becomes it.
 *
 * Dropped: control characters, soft hyphens, zero-width and direction marks (search would trip
 * over them). Blanks of every kind become a space or a line feed, typographic ligatures their
 * letters, bytes that are not UTF-8 U+FFFD. Pure, any thread.
 */
#pragma once

#include "bulkhead/base/buf.h"

enum tome_plain {
    TOME_PLAIN_TEXT,      /* keep it: ret_text */
    TOME_PLAIN_BLANK,     /* a space */
    TOME_PLAIN_LINE,      /* a line feed */
    TOME_PLAIN_PARAGRAPH, /* an end of paragraph */
    TOME_PLAIN_DROPPED,
};

/* Takes the code point at *at (< text.size) and moves *at behind it. *ret_text is set for
 * TOME_PLAIN_TEXT: borrowed from `text`, or static. */
enum tome_plain tome_plain_next(struct bh_str text, size_t *at, struct bh_str *ret_text);

/* Appends `text` as one line: blanks collapsed, none at its ends, at most `maximum` bytes of it,
 * cut between code points. */
void tome_plain_append_line(struct bh_buf *out, struct bh_str text, size_t maximum);

/* Appends the code point as UTF-8; U+FFFD for what is none. */
void tome_plain_append_point(struct bh_buf *out, uint32_t point);
