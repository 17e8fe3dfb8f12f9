/*
 * The grounding check: whether a sentence that was written for us is supported by the chunks it
 * cites.
 *
 * By words, not by meaning: it must cite; the chunks cited (with their titles and chapters) must
 * hold at least TOME_GROUNDING_SHARE of its telling words other than the question's own; and every
 * number it names must stand in them or in the question. Deterministic, and strict rather than
 * lenient: a sentence in quite other words than the book's is not passed.
 */
#pragma once

#include "answers/sentences.h"
#include "library/search.h"

#define TOME_GROUNDING_SHARE 0.6
#define TOME_GROUNDING_CITED_MAX 8

struct tome_grounding {
    bool is_supported;
    struct bh_str text;                             /* the sentence without its [n] */
    size_t cited[TOME_GROUNDING_CITED_MAX];         /* places among the hits, as cited */
    struct bh_str quotes[TOME_GROUNDING_CITED_MAX]; /* the likest sentence of each */
    size_t cited_count;
};

/* `sentence`: with its citations "[2]", "[1, 3]", of which [1] is the first of the `count` hits.
 * BH_ENOMEM. */
int tome_grounding_check(struct tome_analyzer *analyzer, struct bh_str sentence,
                         struct bh_str question, const struct tome_search_hit *hits, size_t count,
                         struct bh_arena *arena,
                         struct tome_grounding *ret_grounding) BH_MUST_CHECK;

/* Where the first whole sentence of `text` ends, with the citations behind it; 0: it may still go
 * on. `is_all`: nothing follows `text`. */
size_t tome_grounding_sentence_end(struct bh_str text, bool is_all);
