/*
 * The plan of a query: its terms as numbered leaves, which of them must hold, and the expressions
 * that find them: as groups and phrases, and as FTS5 has them written. Pure.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "library/index.h"
#include "library/query.h"

#define TOME_PLAN_PHRASES_MAX (TOME_QUERY_TERMS_MAX * (2 * TOME_LANGUAGE_COUNT))

struct tome_leaf {
    const struct tome_query_term *term;
    bool is_chunk; /* looked for in chunks (and titles); else a field of the book */
    bool is_negated;
    int previous;  /* the scored leaf before it in the query, or -1 */
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

/* What a phrase of an expression finds of its leaf. */
enum tome_phrase_kind {
    TOME_PHRASE_FORM,      /* the word or phrase as typed */
    TOME_PHRASE_STEM,      /* words with its stem (the word as typed among them) */
    TOME_PHRASE_STEM_FORM, /* the stem, being a word itself */
    TOME_PHRASE_VARIANT,   /* words with its stem, the word as typed being the stem */
    TOME_PHRASE_KINDS
};

struct tome_plan_phrase {
    uint8_t leaf;
    uint8_t kind;
    uint8_t stem; /* which of the word's stems; not of TOME_PHRASE_FORM */
};

/* Finds what holds at least one phrase of each group and none of a negated leaf. */
struct tome_expression {
    struct bh_buf text;         /* the groups for FTS5; empty: there is nothing to look for */
    struct bh_buf negated_text; /* the negated leaves for FTS5 */
    struct tome_plan_phrase phrases[TOME_PLAN_PHRASES_MAX];
    size_t phrase_count, positive_count;   /* negated ones come last */
    uint64_t groups[TOME_QUERY_TERMS_MAX]; /* leaves, a bit each */
    size_t group_count;
    uint64_t negated; /* leaves */
    bool in_books;    /* titles and authors rather than chunks */
};

/* `language`: whose commonest words are not demanded. */
void tome_plan_make(const struct tome_query *query, enum tome_language language,
                    struct tome_plan *ret_plan);

/* The language a query is most likely in, by its commonest words and what the library holds: chunks
 * by language. NONE: not clear. */
enum tome_language tome_plan_language(const struct tome_query *query,
                                      const int64_t language_chunks[TOME_LANGUAGE_COUNT]);

/* Makes phrases and prefixes as little demanded as plain words. False: there are none. */
bool tome_plan_relax(struct tome_plan *plan);

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

/* ---- What a phrase is made of ---- */

#define TOME_PHRASE_WORD_MAX (TOME_STEM_TAG_SIZE + TOME_FORM_MAX)

/* The words of a phrase as the index has them, from 0 on; `buffer` may hold the result. */
size_t tome_phrase_word_count(const struct tome_plan *plan, struct tome_plan_phrase phrase);
struct bh_str tome_phrase_word(const struct tome_plan *plan, struct tome_plan_phrase phrase,
                               size_t index, char buffer[TOME_PHRASE_WORD_MAX]);

/* Whether the last word is the beginning of a word. */
bool tome_phrase_is_prefix(const struct tome_plan *plan, const struct tome_expression *expression,
                           struct tome_plan_phrase phrase);

/* Whether it is looked for in body and heading alone. */
bool tome_phrase_is_forms_only(const struct tome_plan *plan,
                               const struct tome_expression *expression,
                               struct tome_plan_phrase phrase);
