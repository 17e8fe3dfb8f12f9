/*
 * Concepts: the key terms of an owner's books, over all of them, and which stand together. What is
 * counted is counted in books that are ready. Every call is a fiber's and names the owner.
 */
#pragma once

#include "bulkhead/db/db.h"
#include "concepts/key_terms.h"

#define TOME_CONCEPT_COLUMNS 6
#define TOME_RELATION_COLUMNS 5
#define TOME_CONCEPTS_LIMIT_MAX 100

struct tome_concept {
    int64_t id;
    struct bh_str label;
    int64_t count; /* occurrences; of a relation: chunks that hold both */
    int64_t books;
};

struct tome_concepts {
    const struct tome_concept *items; /* in the arena, as all strings */
    size_t count;
};

/* Rows of a book, for concept_insert and relation_insert, in `arena`. A relation is written both
 * ways. BH_ENOMEM. */
struct tome_concept_rows {
    const struct bh_db_value *concepts, *relations;
    size_t concept_count, relation_count;
};
int tome_concepts_rows(const struct tome_key_result *result, int64_t owner_id, int64_t book_id,
                       struct bh_arena *arena, struct tome_concept_rows *ret_rows) BH_MUST_CHECK;

/* Those a word of which begins like `prefix` (folded; empty: any), the most frequent first. */
int tome_concepts_find(struct bh_db *db, int64_t owner_id, struct bh_str prefix, int64_t limit,
                       struct bh_arena *arena, struct tome_concepts *ret_concepts,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* One, and those it stands with, the closest first. BH_ENOTFOUND. */
int tome_concepts_get(struct bh_db *db, int64_t owner_id, int64_t id, int64_t limit,
                      struct bh_arena *arena, struct tome_concept *ret_concept,
                      struct tome_concepts *ret_related, struct bh_error *reterr) BH_MUST_CHECK;
