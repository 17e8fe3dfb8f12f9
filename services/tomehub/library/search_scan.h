/*
 * The scan: one pass over the chunks an expression finds, in C, without joins. Each row is checked
 * (visible, allowed, demanded clauses), scored, counted for its book, and kept when it is among the
 * best. The book of a row is its id's upper bits, so nothing else is looked up.
 *
 * Rows come from a source (search_source.h): begin a pass, then for each chunk in rising order
 * begin a row, tell what it holds, and end it.
 */
#pragma once

#include "library/search_plan.h"
#include "library/visible.h"

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

/* Reads a book's lengths; 0 or an error. */
typedef int tome_scan_lengths(void *argument, struct tome_visible_book *book);

struct tome_scan {
    struct tome_visible *visible;
    const struct tome_plan *plan;
    tome_scan_lengths *read_lengths; /* NULL: all lengths are there */
    void *lengths_argument;
    struct tome_scan_book *books; /* one for each visible book, in the same order */
    const uint32_t *book_order;   /* place of each book in the order asked for; NULL: by score */
    float length_factors[256];

    bool match_some;       /* relaxable clauses are not demanded */
    double weight_minimum; /* with match_some: what the leaves found must weigh together */
    bool has_bound;        /* only what comes behind `bound` is kept (counted all the same) */
    struct tome_candidate bound;

    struct tome_candidate *candidates; /* the best `keep`, in any order until finished */
    size_t candidate_count, capacity, keep;
    struct tome_candidate worst; /* of the best `keep` at the last choice: no worse are kept */
    bool has_worst;
    int64_t hit_count, book_count;
    int64_t behind_count; /* hits behind the bound */

    /* of the pass at hand */
    const struct tome_expression *expression;
    struct tome_scan_row *row; /* room for one */
    bool with_set_aside;       /* whether books set aside count in this pass */
    size_t at;                 /* the visible book of the last row */
    int64_t last_id;
    uint64_t last_heading_leaves;
};

/* Keeps the best `keep`. Everything borrowed as long as the scan. */
int tome_scan_init(struct tome_scan *scan, struct tome_visible *visible,
                   const struct tome_plan *plan, size_t keep) BH_MUST_CHECK;
void tome_scan_fini(struct tome_scan *scan);

/* Forgets all hits, keeps what is known of the books. */
void tome_scan_restart(struct tome_scan *scan);

/* Books that satisfy the query by themselves count with their first chunk: one book, or all. */
int tome_scan_add_book(struct tome_scan *scan, size_t book, struct bh_error *reterr) BH_MUST_CHECK;
int tome_scan_add_books(struct tome_scan *scan, struct bh_error *reterr) BH_MUST_CHECK;

/* Sorts the candidates, best first, and cuts them to `keep`. */
void tome_scan_finish(struct tome_scan *scan);

/* ---- For sources ---- */

/* A pass over what `expression` (borrowed meanwhile) finds. */
void tome_scan_begin(struct tome_scan *scan, const struct tome_expression *expression);

/* A chunk that was found; ids rise. False: it does not count, on to the next. */
bool tome_scan_row_begin(struct tome_scan *scan, int64_t id);

/* Chunk `id` belongs to a book that counts nothing: the first id that may count again. */
int64_t tome_scan_behind_book(const struct tome_scan *scan, int64_t id);

/* What the row holds of the expression's phrase `index`: how often it stands in body and stems;
 * a place in the body (false: no more are wanted); that the heading has it.
 */
void tome_scan_row_text(struct tome_scan *scan, size_t index, uint32_t count);
bool tome_scan_row_place(struct tome_scan *scan, size_t index, uint32_t position);
void tome_scan_row_heading(struct tome_scan *scan, size_t index);

/* The row is whole. BH_ENOMEM, or what reading lengths gave. */
int tome_scan_row_end(struct tome_scan *scan) BH_MUST_CHECK;
