/*
 * The postings of a phrase: a word's as they were fetched; for several words, or the beginning of a
 * word, a list made of theirs, kept as long as the search. Pure, any thread.
 */
#pragma once

#include "library/search_run.h"

/* `run`: over postings (search_postings.h), with all the words there. Empty when nothing holds the
 * phrase. BH_ENOMEM, BH_ECORRUPT, BH_ECANCELED; BH_ELIMIT: too many words begin so. */
int tome_phrase_list(struct tome_search_run *run, const struct tome_expression *expression,
                     struct tome_plan_phrase phrase, struct bh_str *ret_list) BH_MUST_CHECK;
