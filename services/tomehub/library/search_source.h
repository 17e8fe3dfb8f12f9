/*
 * Where a search's rows come from: the one seam between search (plan, score, candidates, run) and
 * a database. One source for each: search_sqlite.c scans FTS5 on a connection's thread,
 * search_postings.c evaluates postings that were fetched beforehand.
 *
 * A source may not have yet what it is asked for: it then notes what it lacks and returns
 * TOME_SEARCH_WANTS, which ends the run; whoever drives it fetches and runs it again. So a run does
 * no waiting of its own.
 */
#pragma once

#include "library/search_plan.h"
#include "library/visible.h"

struct tome_search_run;

#define TOME_SEARCH_WANTS BH_EBUSY

/* A word of the owner's vocabulary; false: no more are wanted. */
typedef bool tome_search_word(void *argument, struct bh_str word);

struct tome_search_source {
    /* The plan is made: what it asks for will be asked next. */
    int (*begin)(struct tome_search_run *run, struct bh_error *reterr);

    /* Marks books (title_leaves, author_leaves, field_leaves) whose title or author the leaf
     * matches; counts them in the leaf. */
    int (*match_books)(struct tome_search_run *run, size_t leaf, struct bh_error *reterr);
    /* Hands each book's type and tags to tome_search_run_match_fields. */
    int (*match_fields)(struct tome_search_run *run, struct bh_error *reterr);
    /* Sets is_excluded of each book by the request's filters. */
    int (*filter_books)(struct tome_search_run *run, struct bh_error *reterr);
    /* Sets run->book_order for the request's sort by age or title. */
    int (*order_books)(struct tome_search_run *run, struct bh_error *reterr);

    /* How many chunks an expression of one leaf finds. */
    int (*count)(struct tome_search_run *run, const struct tome_expression *expression,
                 int64_t *ret_count, struct bh_error *reterr);
    /* A pass of run->scan over chunks first to last that the expression finds. */
    int (*scan)(struct tome_search_run *run, const struct tome_expression *expression,
                int64_t first, int64_t last, struct bh_error *reterr);

    /* Words that share the first letter of `form` and are of about its length (`most` letters more
     * or less, or any). */
    int (*words)(struct tome_search_run *run, struct bh_str form, unsigned most,
                 tome_search_word *take, void *argument, struct bh_error *reterr);
    /* Their counts will be asked next. */
    int (*expect_words)(struct tome_search_run *run, const struct bh_str *words, size_t count,
                        struct bh_error *reterr);
    /* How many chunks have the word in their body; 0 where not more than `least` do, or none of
     * them is visible. */
    int (*count_word)(struct tome_search_run *run, struct bh_str word, int64_t least,
                      int64_t *ret_count, struct bh_error *reterr);
};
