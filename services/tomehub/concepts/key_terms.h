/*
 * A book's key terms, found in one pass over its text: names (capital letters inside a sentence,
 * "Irene Adler") and words that come in clusters ("barometer"), with which of them share chunks.
 *
 * A count of each word by its bytes, a few nanoseconds a byte: analysis, stemming and language are
 * asked only of the few best, at the end. Scripts without capitals give clustered words alone,
 * those without blanks nothing. Deterministic. One thread at a time.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "library/analysis.h"

#define TOME_KEY_TERMS_MAX 40
#define TOME_KEY_WORDS_MAX 3 /* of a term: there is an index for each (migration 0010) */
#define TOME_KEY_RELATIONS_MAX 120

struct tome_key_terms; /* opaque */

int tome_key_terms_create(struct tome_key_terms **ret_terms) BH_MUST_CHECK;
/* NULL is fine. */
void tome_key_terms_destroy(struct tome_key_terms *terms);

/* The next chunk of the book, without what it repeats of the one before. What no memory is left for
 * is not counted. */
void tome_key_terms_add(struct tome_key_terms *terms, struct bh_str text);

struct tome_key_term {
    int64_t id;          /* of the term in any book: a hash of its stems, below 2^53, above 0 */
    struct bh_str term;  /* folded, for look-up: "irene adler" */
    struct bh_str label; /* as the book writes it: "Irene Adler" */
    int64_t count;       /* occurrences */
};

struct tome_key_relation {
    size_t a, b;   /* terms, a < b */
    int64_t count; /* chunks that hold both */
};

struct tome_key_result {
    struct tome_key_term terms[TOME_KEY_TERMS_MAX]; /* the most telling first */
    size_t term_count;
    struct tome_key_relation relations[TOME_KEY_RELATIONS_MAX]; /* the closest first */
    size_t relation_count;
};

/* Of all chunks added; strings in `arena`. BH_ENOMEM. */
int tome_key_terms_result(struct tome_key_terms *terms, struct tome_analyzer *analyzer,
                          enum tome_language language, struct bh_arena *arena,
                          struct tome_key_result *ret_result) BH_MUST_CHECK;
