/*
 * The query language: what a person types, made into clauses. Nothing a person may type is an
 * error.
 *
 * A query is a list of clauses that must all hold; a clause is one or more alternatives (a OR b),
 * and may be negated (-a). An alternative is a word, a phrase ("a b") or a prefix (a*), perhaps
 * within a field (title:a, author:"a b", tag:a, type:a, book:4). Quotes without an end reach to the
 * end; operators without operands are dropped; anything else is words.
 *
 * Pure: no database, no I/O. The result lives in the caller's arena.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "library/analysis.h"

/* Words past these are ignored; the answer is that of the words before. */
#define TOME_QUERY_TERMS_MAX 64
#define TOME_QUERY_WORDS_MAX 1024 /* with repeated ones */
#define TOME_QUERY_PHRASE_MAX 32

enum tome_query_field {
    TOME_QUERY_ANY,
    TOME_QUERY_TITLE,
    TOME_QUERY_AUTHOR,
    TOME_QUERY_TAG,
    TOME_QUERY_TYPE,
    TOME_QUERY_BOOK
};

struct tome_query_stem {
    enum tome_language language;
    struct bh_str text;
};

struct tome_query_word {
    struct bh_str form;
    const struct tome_query_stem *stems; /* one for each language asked for; none if exact */
    size_t stem_count;
    struct bh_str source; /* as typed, in the query */
};

/* One alternative: a word (word_count 1) or a phrase. */
struct tome_query_term {
    enum tome_query_field field;
    bool prefix;  /* the last word is the beginning of a word */
    bool instant; /* a prefix because it may still be being typed */
    bool quoted;  /* exact forms, no stems */
    const struct tome_query_word *words;
    size_t word_count;
};

struct tome_query_clause {
    bool negated;
    struct tome_query_term *terms; /* alternatives */
    size_t term_count;
};

struct tome_query {
    struct tome_query_clause *clauses;
    size_t clause_count;
    size_t term_count; /* over all clauses */
};

/* `text`: UTF-8, borrowed as long as the result. `languages`: those to make stems for, a bit (1 <<
 * language) each. `instant`: the last word may still be being typed: it is taken as a word and as a
 * prefix, unless a blank stands behind it. An empty result (no clauses) means nothing that can be
 * searched was typed. BH_ENOMEM. */
int tome_query_parse(struct tome_analyzer *analyzer, struct bh_str text, uint32_t languages,
                     bool instant, struct bh_arena *arena,
                     struct tome_query *ret_query) BH_MUST_CHECK;
