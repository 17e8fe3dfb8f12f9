/*
 * The scan: one pass over the chunks an FTS5 expression finds, in C, without joins. Each row is
 * checked (visible, allowed, demanded clauses), scored, counted for its book, and kept when it is
 * among the best. The book of a row is its id's upper bits, so nothing else is looked up.
 */
#pragma once

#include "library/search_plan.h"
#include "library/search_session.h"

/* What a query found of one visible book. */
struct tome_scan_book {
    uint64_t title_leaves, author_leaves, field_leaves; /* that the book itself satisfies */
    uint32_t hit_count;
    float best_score;
    bool is_excluded;  /* by a filter or a field clause */
    bool is_set_aside; /* skipped in this pass: has a pass of its own */
    bool has_first;    /* its first chunk is a hit */
};

struct tome_candidate {
    double key; /* the sort's: the score, or the negated place in the order asked for */
    int64_t id;
    float score;
};

struct tome_scan {
    struct bh_sqlite_session *session;
    struct tome_search_session *search;
    const struct tome_plan *plan;
    struct tome_scan_book *books; /* one for each visible book, in the same order */
    const uint32_t *book_order;   /* place of each book in the order asked for; NULL: by score */
    float length_factors[256];

    bool match_some;       /* relaxable clauses are not demanded */
    double weight_minimum; /* with match_some: what the leaves found must weigh together */
    bool has_bound;        /* only what comes behind `bound` is kept (counted all the same) */
    struct tome_candidate bound;

    struct tome_candidate *candidates; /* the best `keep`, in any order until finished */
    size_t candidate_count, capacity, keep;
    int64_t hit_count, book_count;
    int64_t behind_count; /* hits behind the bound */
    int error;

    /* of the pass at hand */
    const struct tome_expression *expression;
    struct tome_scan_row *row; /* room for one */
    bool with_set_aside;       /* whether books set aside count in this pass */
    size_t at;                 /* the visible book of the last row */
    int64_t last_id;
    uint64_t last_heading_leaves;
};

/* Keeps the best `keep`. Everything borrowed as long as the scan. */
int tome_scan_init(struct tome_scan *scan, struct bh_sqlite_session *session,
                   struct tome_search_session *search, const struct tome_plan *plan,
                   size_t keep) BH_MUST_CHECK;
void tome_scan_fini(struct tome_scan *scan);

/* Forgets all hits, keeps what is known of the books. */
void tome_scan_restart(struct tome_scan *scan);

/* Passes over chunks first to last that `expression` finds. */
int tome_scan_run(struct tome_scan *scan, const struct tome_expression *expression, int64_t first,
                  int64_t last, struct bh_error *reterr) BH_MUST_CHECK;

/* Books that satisfy the query by themselves count with their first chunk: one book, or all. */
int tome_scan_add_book(struct tome_scan *scan, size_t book, struct bh_error *reterr) BH_MUST_CHECK;
int tome_scan_add_books(struct tome_scan *scan, struct bh_error *reterr) BH_MUST_CHECK;

/* Sorts the candidates, best first, and cuts them to `keep`. */
void tome_scan_finish(struct tome_scan *scan);

/* Makes the scan's functions known to the connection. */
int tome_scan_register(sqlite3 *connection);
