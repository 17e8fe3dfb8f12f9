/*
 * One search on one connection, in one snapshot: from the query's text to the best chunks.
 *
 * 1. Parse and plan; see which books match by title, author and fields, and which are filtered out.
 * 2. Weigh the words by how many chunks hold them.
 * 3. Scan for chunks that hold all words.
 * 4. Few hits: look for a spelling that finds more; none: search with that.
 * 5. Next to nothing: scan for chunks that hold some of the words.
 */
#pragma once

#include "library/search.h"
#include "library/search_scan.h"

struct tome_search_run {
    struct bh_sqlite_session *session; /* filled by the caller, as the next five */
    const struct tome_search_request *request;
    struct bh_arena *arena; /* of the request: its fiber is parked meanwhile */
    size_t keep;            /* how many of the best hits are wanted */
    bool has_bound;         /* only behind `bound` */
    struct tome_candidate bound;

    struct tome_search_session *search;

    struct bh_str text; /* the query as it was searched in the end */
    struct bh_str did_you_mean;
    struct tome_query query;
    struct tome_plan plan;
    struct tome_expression any; /* chunks that hold any of the words */
    struct tome_scan scan;      /* after the run: the hits */
    uint32_t *book_order;
    size_t allowed_count; /* books that are not excluded */
};

/* The caller holds the read transaction, fills what is marked so, zeroes the rest, and calls fini
 * in any case. */
int tome_search_run_do(struct tome_search_run *run, struct bh_error *reterr) BH_MUST_CHECK;

/* After the run: the best hits of one book (its index among the visible ones), at most `capacity`.
 * The run's own counts and candidates stay as they are. */
int tome_search_run_best(struct tome_search_run *run, size_t book, struct tome_candidate *ret_best,
                         size_t capacity, size_t *ret_count, struct bh_error *reterr) BH_MUST_CHECK;
void tome_search_run_fini(struct tome_search_run *run);
