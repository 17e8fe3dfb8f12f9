/*
 * The extractive answer: the sentences of the chunks found that say most about the question, each
 * with the page it stands on. No model, nothing made up: every sentence is the book's own.
 *
 * A sentence is worth the question's words in it (by how telling search holds them), those in its
 * book's title and chapter counting in part, with something for its neighbours' worth and its
 * chunk's rank. Sentences are taken one by one; what repeats a sentence already taken counts less
 * (maximal marginal relevance). The library "does not say" when the best of them leave too much of
 * the question untouched.
 *
 * Deterministic: the same library and question give the same answer.
 */
#pragma once

#include "answers/sentences.h"
#include "library/search.h"

#define TOME_EXTRACTIVE_SENTENCES_MAX 4
#define TOME_EXTRACTIVE_CHUNKS_MAX 12 /* of the best hits that are read */

struct tome_extractive_sentence {
    struct bh_str text; /* as it stands in the chunk; borrowed from the hit */
    size_t hit;         /* index among the hits */
};

struct tome_extractive {
    struct tome_extractive_sentence sentences[TOME_EXTRACTIVE_SENTENCES_MAX];
    size_t count;    /* 0: the library does not say */
    double coverage; /* share of the question, by weight, that sentences and headings touch */
};

/* `found`: by a search `for_answer` with details. BH_ENOMEM. */
int tome_extractive_make(struct tome_analyzer *analyzer, const struct tome_search_answer *found,
                         struct bh_arena *arena, struct tome_extractive *ret_answer) BH_MUST_CHECK;
