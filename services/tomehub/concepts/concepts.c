#include "concepts/concepts.h"

#include "library/library.h"
#include "tomehub_sql.h"

/* ---- A book's rows ---- */

int tome_concepts_rows(const struct tome_key_result *const result, const int64_t owner_id,
                       const int64_t book_id, struct bh_arena *const arena,
                       struct tome_concept_rows *const ret_rows)
{
    struct bh_db_value *const concepts = bh_arena_calloc(
        arena, TOME_KEY_TERMS_MAX * TOME_CONCEPT_COLUMNS, sizeof(*concepts));
    struct bh_db_value *const relations = bh_arena_calloc(
        arena, (size_t)2 * TOME_KEY_RELATIONS_MAX * TOME_RELATION_COLUMNS, sizeof(*relations));
    if (concepts == NULL || relations == NULL)
        return BH_ENOMEM;
    struct bh_db_value *at = concepts;
    for (size_t i = 0; i < result->term_count; i++) {
        const struct tome_key_term *const term = &result->terms[i];
        *at++ = bh_db_int(owner_id);
        *at++ = bh_db_int(book_id);
        *at++ = bh_db_int(term->id);
        *at++ = bh_db_text(term->term);
        *at++ = bh_db_text(term->label);
        *at++ = bh_db_int(term->count);
    }
    at = relations;
    for (size_t i = 0; i < 2 * result->relation_count; i++) {
        const struct tome_key_relation *const relation = &result->relations[i / 2];
        const int64_t a = result->terms[relation->a].id, b = result->terms[relation->b].id;
        *at++ = bh_db_int(owner_id);
        *at++ = bh_db_int(book_id);
        *at++ = bh_db_int(i % 2 == 0 ? a : b);
        *at++ = bh_db_int(i % 2 == 0 ? b : a);
        *at++ = bh_db_int(relation->count);
    }
    *ret_rows = (struct tome_concept_rows){ .concepts = concepts,
                                            .relations = relations,
                                            .concept_count = result->term_count,
                                            .relation_count = 2 * result->relation_count };
    return 0;
}

/* ---- Reading ---- */

static int query(struct bh_db *const db, const struct bh_statement *const statement,
                 const struct bh_db_value *const parameters, const size_t count,
                 struct bh_arena *const arena, struct tome_concepts *const ret_concepts,
                 struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, statement, parameters, count, arena, &rows,
                                   reterr);
    if (result != 0)
        return result;
    struct tome_concept *const items = bh_arena_calloc(arena, rows.row_count + 1, sizeof(*items));
    if (items == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        items[row] = (struct tome_concept){ .id = bh_db_int_at(&rows, row, 0),
                                            .label = bh_db_text_at(&rows, row, 1),
                                            .count = bh_db_int_at(&rows, row, 2),
                                            .books = bh_db_int_at(&rows, row, 3) };
    *ret_concepts = (struct tome_concepts){ items, rows.row_count };
    return 0;
}

int tome_concepts_find(struct bh_db *const db, const int64_t owner_id, const struct bh_str prefix,
                       const int64_t limit, struct bh_arena *const arena,
                       struct tome_concepts *const ret_concepts, struct bh_error *const reterr)
{
    const struct bh_db_value find[] = { bh_db_int(owner_id), bh_db_text(prefix), bh_db_int(limit) };
    const struct bh_db_value most[] = { bh_db_int(owner_id), bh_db_int(limit) };
    return prefix.size == 0 ? query(db, &TOME_SQL_CONCEPTS_MOST, most, BH_COUNT_OF(most), arena,
                                    ret_concepts, reterr)
                            : query(db, &TOME_SQL_CONCEPTS_FIND, find, BH_COUNT_OF(find), arena,
                                    ret_concepts, reterr);
}

int tome_concepts_get(struct bh_db *const db, const int64_t owner_id, const int64_t id,
                      const int64_t limit, struct bh_arena *const arena,
                      struct tome_concept *const ret_concept,
                      struct tome_concepts *const ret_related, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(id),
                                              bh_db_int(limit) };
    struct tome_concepts found;
    int result = query(db, &TOME_SQL_CONCEPT_BY_ID, parameters, 2, arena, &found, reterr);
    if (result == 0 && found.count == 0)
        result = bh_error_set(reterr, BH_ENOTFOUND, "there is no concept %lld", (long long)id);
    if (result != 0)
        return result;
    *ret_concept = found.items[0];
    return query(db, &TOME_SQL_CONCEPT_RELATIONS, parameters, BH_COUNT_OF(parameters), arena,
                 ret_related, reterr);
}
