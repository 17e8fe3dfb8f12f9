/*
 * An answer's facets: its hits by book, author, type and tag. The source hands over each book that
 * has hits.
 */
#pragma once

#include "library/search_run.h"

struct tome_facets; /* opaque; in the run's arena */

int tome_facets_begin(struct tome_search_run *run, struct tome_facets **ret_facets,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* The visible book at `index`, which has hits; texts are copied. */
int tome_facets_add(struct tome_facets *facets, struct tome_search_run *run, size_t index,
                    struct bh_str title, struct bh_str author, struct bh_str source_type,
                    struct bh_str tags, struct bh_error *reterr) BH_MUST_CHECK;

void tome_facets_end(struct tome_facets *facets, struct tome_search_answer *answer);
