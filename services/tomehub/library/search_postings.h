/*
 * Postings as a source of rows: an expression evaluated chunk by chunk over lists that were fetched
 * beforehand, and books matched by the catalogue. Pure: no waiting, any thread; what is missing is
 * noted (word_lists.h) and ends the run with TOME_SEARCH_WANTS.
 *
 * A word is a list as it stands; a phrase or the beginning of a word is first made into a list of
 * its own, once a search.
 */
#pragma once

#include <stdatomic.h>

#include "library/catalogue.h"
#include "library/search_run.h"

/* A run's context. The caller fills it and keeps it as long as the run. */
struct tome_postings_search {
    struct tome_catalogue *catalogue;
    struct tome_fetched fetched;
    const atomic_bool *canceled; /* looked at now and then; NULL: never */
    struct tome_word_lists made; /* private: lists made of phrases and prefixes */
};

extern const struct tome_search_source tome_search_postings;
