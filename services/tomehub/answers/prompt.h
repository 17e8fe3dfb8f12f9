/*
 * What the provider is asked: the rules, the excerpts with their numbers, the question.
 *
 * Books and questions are data: a book may say "ignore your rules". They stand between marks that
 * hold a number nobody could know when the book was written, and the rules say that nothing between
 * them is an instruction. What comes back is checked whatever the prompt achieved (grounding.h).
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "library/search.h"

#define TOME_PROMPT_EXCERPTS_MAX 8
#define TOME_PROMPT_MARKER "NOT_IN_LIBRARY" /* the whole answer where the excerpts do not say */

struct tome_prompt {
    struct bh_str model, question;
    const struct tome_search_hit *hits; /* the first TOME_PROMPT_EXCERPTS_MAX are shown */
    size_t hit_count;
    struct bh_str unsupported; /* a sentence of the attempt before; empty at the first */
    uint64_t secret;           /* random */
};

/* Appends the body of a streamed chat completion. */
void tome_prompt_write(const struct tome_prompt *prompt, struct bh_buf *body);
