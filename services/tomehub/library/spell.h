/*
 * Spelling: for words that nothing holds, the likeliest word of the library that was meant: one
 * edit away from five letters, two from nine (an edit: a letter too many, too few, another, or two
 * swapped; the first letter is taken to be right). Bounded: at most TOME_SPELL_WORDS_MAX words are
 * compared.
 */
#pragma once

#include "library/search_run.h"

#define TOME_SPELL_WORDS_MAX 200000

/* The run's text with such words replaced, in its arena; empty when there is nothing better. */
int tome_spell_correct(struct tome_search_run *run, struct bh_str *ret_corrected,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* Edits between two words of code points, as described; more than `most` gives most + 1. */
unsigned tome_spell_distance(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
                             unsigned most);
