/*
 * Excerpts: the stretch of a chunk that shows best why it was found, with the words found marked.
 *
 * The chunk is analysed again (about 20 µs), so that what is marked is what matched: forms, stems
 * in the book's language, prefixes and whole phrases. Pure but for the arena.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "library/search.h"
#include "library/search_plan.h"

/* How long an excerpt is, in bytes, before words are completed. */
#define TOME_SNIPPET_BYTES 280
#define TOME_SNIPPET_HIGHLIGHTS_MAX 64

struct tome_snippet {
    struct bh_str text; /* blanks and line ends made one blank; "…" where something was left out */
    const struct tome_highlight *highlights;
    size_t highlight_count;
    size_t first_match; /* byte in `content` of the first highlight; 0 without one */
};

/* Everything in `arena`. BH_ENOMEM. */
int tome_snippet_make(struct tome_analyzer *analyzer, enum tome_language language,
                      const struct tome_plan *plan, struct bh_str content, struct bh_arena *arena,
                      struct tome_snippet *ret_snippet) BH_MUST_CHECK;
