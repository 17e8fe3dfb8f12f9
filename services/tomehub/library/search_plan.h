/*
 * The plan of a query: its terms as numbered leaves, which of them must hold, and the FTS5
 * expressions that find them. Pure.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "library/query.h"

/* Columns of chunks_fts. */
enum { TOME_COLUMN_BODY, TOME_COLUMN_STEMS, TOME_COLUMN_HEADING };

#define TOME_PLAN_PHRASES_MAX 512

struct tome_leaf {
    const struct tome_query_term *term;
    bool is_chunk; /* looked for in chunks (and titles); else a field of the book */
    bool is_negated;
    bool is_stop;  /* one of the commonest words: never demanded, not scored */
    int64_t count; /* chunks that hold it */
    double weight; /* how telling it is (idf); 0 when it is not scored */
};

struct tome_plan_clause {
    uint64_t leaves; /* any of them, a bit each */
    bool is_negated;
    bool is_demanded;  /* in an answer of match "all" */
    bool is_relaxable; /* plain words: not demanded in an answer of match "some" */
};

struct tome_plan {
    struct tome_leaf leaves[TOME_QUERY_TERMS_MAX];
    size_t leaf_count;
    struct tome_plan_clause clauses[TOME_QUERY_TERMS_MAX];
    size_t clause_count;
    size_t word_clause_count; /* relaxable and demanded */
    bool has_positive_chunk;  /* some leaf to look for in chunks */
    bool has_negated_chunk;
};

/* One phrase of an FTS5 expression: the leaf it stands for. */
struct tome_plan_phrase {
    uint8_t leaf;
    bool is_stem;
};

struct tome_expression {
    struct bh_buf text; /* empty: there is nothing to look for */
    struct tome_plan_phrase phrases[TOME_PLAN_PHRASES_MAX];
    size_t phrase_count;
};

/* `languages`: of the library, whose commonest words are not demanded. */
void tome_plan_make(const struct tome_query *query, uint32_t languages, struct tome_plan *ret_plan);

void tome_expression_init(struct tome_expression *expression);
void tome_expression_fini(struct tome_expression *expression);
static inline void tome_expression_fini_cleanup(struct tome_expression *const expression)
{
    tome_expression_fini(expression);
}

/* Chunks that hold all demanded clauses, as far as chunks alone can tell, and no negated one. */
void tome_expression_all(struct tome_expression *expression, const struct tome_plan *plan);

/* Chunks that hold any leaf, and no negated one. */
void tome_expression_any(struct tome_expression *expression, const struct tome_plan *plan);

/* One leaf: in chunks, or in the titles and authors of books. */
void tome_expression_leaf(struct tome_expression *expression, const struct tome_plan *plan,
                          size_t leaf, bool in_books);
