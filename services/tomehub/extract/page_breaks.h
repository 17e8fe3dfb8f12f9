/*
 * Where pages begin inside a chunk: the text "byte_offset:page,byte_offset:page,…" with ascending
 * offsets and pages; "" when the chunk lies on one page. Pure, any thread.
 *
 * Worked example: page_number 7, page_breaks "120:8,900:10": bytes 0–119 are on page 7, 120–899 on
 * page 8, the rest on page 10 (page 9 is empty).
 */
#pragma once

#include "bulkhead/base/str.h"

struct tome_page_break {
    size_t offset; /* bytes from the start of the chunk's content */
    uint32_t page;
};

/* Takes the first break off *rest. False: none is left, or what is left is malformed. */
bool tome_page_breaks_next(struct bh_str *rest, struct tome_page_break *ret_break) BH_MUST_CHECK;

/* The page of the byte at `offset`. */
uint32_t tome_page_at(uint32_t page_number, struct bh_str page_breaks, size_t offset);

/* The part of a chunk that lies on `page` and is not its overlap; empty when there is none. The
 * parts of consecutive chunks, one after another, are the page's text. */
struct bh_str tome_page_slice(struct bh_str content, size_t overlap, uint32_t page_number,
                              struct bh_str page_breaks, uint32_t page);
