/*
 * The lines of an input, decoded to UTF-8, one at a time and in flat memory.
 *
 * A line ends with LF, CR LF, CR or a form feed. A line longer than 64 KiB comes in pieces. One
 * thread at a time.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "extract/decode.h"
#include "extract/input.h"

struct tome_line {
    struct bh_str text; /* without its end; borrowed until the next call */
    bool whole;         /* false: the line goes on in the next one */
    bool page_ends;     /* a form feed ended it */
};

struct tome_lines; /* opaque */

/* `input` is borrowed. */
int tome_lines_create(struct tome_input *input, struct tome_lines **ret_lines) BH_MUST_CHECK;
void tome_lines_destroy(struct tome_lines *lines);
BH_DEFINE_CLEANUP(struct tome_lines, tome_lines_destroy)

/* 1: *ret_line is filled. 0: no line is left. Else what the input or the decoder says. */
int tome_lines_next(struct tome_lines *lines, struct tome_line *ret_line) BH_MUST_CHECK;
