/*
 * Which lines at the edges of a page are its running head, foot or page number.
 *
 * Model: a line says nothing about the page when the same line stands at the same edge of other
 * pages near it (left and right pages take turns), either letter for letter or with a number that
 * counts the pages. What stands outside of a page number is never text. Up to two lines at the top
 * and two at the bottom are looked at, from the edge inwards. Pure, any thread.
 */
#pragma once

#include "bulkhead/base/str.h"

#define TOME_HEAD_LINES 2
#define TOME_HEAD_PAGES_MIN 3 /* a line is a head when it stands on so many pages */

/* What a line looks like to others: 0 when there is no line, or it is too long for a head. */
struct tome_head_line {
    uint64_t literal;  /* hash of its letters and digits */
    uint64_t relative; /* the same with its number less the page's; 0: it has no number */
};

struct tome_head_edges {
    struct tome_head_line top[TOME_HEAD_LINES]; /* from the edge inwards */
    struct tome_head_line bottom[TOME_HEAD_LINES];
};

/* `text`: the page's lines, separated by line feeds. `number`: 1… */
struct tome_head_edges tome_head_edges(struct bh_str text, uint32_t number);

/* Takes the running heads off `text`, the text of pages[index], by comparison with all of
 * pages[0…count). */
struct bh_str tome_head_strip(struct bh_str text, const struct tome_head_edges *pages, size_t count,
                              size_t index);
