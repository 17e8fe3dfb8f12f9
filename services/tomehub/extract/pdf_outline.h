/*
 * The outline ("bookmarks") of a PDF: which chapters begin on which page, and on which line of it.
 *
 * It is read from what pdftohtml -xml writes behind the pages: <outline>, <item page="n">title, in
 * each other. An outline knows pages only; the line is the one that reads like the title, and where
 * there is none, or it is among the first of the page, the chapter begins with the page.
 * One thread at a time.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "extract/input.h"

struct tome_outline; /* opaque */

/* Reads `input` to its end. What is no outline gives an empty one. BH_ENOMEM, or what the input
 * says. */
int tome_outline_read(struct tome_input *input, struct tome_outline **ret_outline) BH_MUST_CHECK;
void tome_outline_destroy(struct tome_outline *outline);
BH_DEFINE_CLEANUP(struct tome_outline, tome_outline_destroy)

/* The page `number` begins; pages come in order. `text`: its lines. Returns the title of the
 * chapter that begins with it; empty if none does. */
struct bh_str tome_outline_page(struct tome_outline *outline, uint32_t number, struct bh_str text);

/* The title of the chapter that begins with this line of that page; empty if none does. */
struct bh_str tome_outline_line(struct tome_outline *outline, struct bh_str line);
