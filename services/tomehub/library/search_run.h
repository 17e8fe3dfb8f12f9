/*
 * One search in one snapshot: from the query's text to the best chunks.
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
#include "library/search_source.h"

struct tome_search_run {
    const struct tome_search_source *source; /* filled by the caller, as what follows */
    void *context;                           /* the source's */
    struct tome_visible *visible;
    struct tome_analyzer *analyzer;
    const struct tome_search_request *request;
    struct bh_arena *arena; /* of the request: its fiber is parked meanwhile */
    size_t keep;            /* how many of the best hits are wanted */
    bool has_bound;         /* only behind `bound` */
    struct tome_candidate bound;
    tome_scan_lengths *read_lengths; /* see tome_scan */

    struct bh_str text; /* the query as it was searched in the end */
    struct bh_str did_you_mean;
    struct tome_query query;
    struct tome_plan plan;
    struct tome_expression any; /* chunks that hold any of the words */
    struct tome_scan scan;      /* after the run: the hits */
    uint32_t *book_order;
    size_t allowed_count; /* books that are not excluded */
};

/* The caller fills what is marked so, zeroes the rest, and calls fini in any case.
 * TOME_SEARCH_WANTS: see search_source.h; the run may be done again as it is. */
int tome_search_run_do(struct tome_search_run *run, struct bh_error *reterr) BH_MUST_CHECK;

/* After the run: the best hits of one book (its index among the visible ones), at most `capacity`.
 * The run's own counts and candidates stay as they are. */
int tome_search_run_best(struct tome_search_run *run, size_t book, struct tome_candidate *ret_best,
                         size_t capacity, size_t *ret_count, struct bh_error *reterr) BH_MUST_CHECK;
void tome_search_run_fini(struct tome_search_run *run);

/* ---- For sources ---- */

/* The visible book `id`, or NULL; ids rise from call to call, and `*at` (0 at first) moves on. */
struct tome_scan_book *tome_search_run_book_at(struct tome_search_run *run, size_t *at, int64_t id);

/* Marks that a book's title or author matches a leaf. */
void tome_search_run_mark_book(struct tome_search_run *run, size_t leaf,
                               struct tome_scan_book *book, bool in_title, bool in_author);

/* Marks the leaves of tag: and type: that the book's type and tags (JSON) satisfy. */
void tome_search_run_match_fields(struct tome_search_run *run, struct tome_scan_book *book,
                                  struct bh_str source_type, struct bh_str tags);
