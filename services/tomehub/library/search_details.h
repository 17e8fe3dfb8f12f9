/*
 * What an answer shows of its hits: one statement for all of a page's chunks, then excerpts.
 * Connection's thread; everything lands in the run's arena.
 */
#pragma once

#include "library/search_run.h"

/* `hits` (count of them, in the candidates' order) get id, score and title; with details
 * everything. */
int tome_search_details(struct tome_search_run *run, const struct tome_candidate *candidates,
                        size_t count, bool with_details, struct tome_search_hit *hits,
                        struct bh_error *reterr) BH_MUST_CHECK;

/* The answer's facets, from the run's counts of books. */
int tome_search_facets(struct tome_search_run *run, struct tome_search_answer *answer,
                       struct bh_error *reterr) BH_MUST_CHECK;
