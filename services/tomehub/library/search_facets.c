#include "library/search_facets.h"

#include <stdlib.h>

#include "bulkhead/base/json.h"

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ELIMIT, "the answer needs more memory than a request may take");
}

struct counter {
    struct tome_facet_value *values;
    size_t count, capacity;
    size_t *slots; /* open addressing by label: index of a value plus 1 */
    size_t slot_count;
};

static size_t hash_label(const struct bh_str label)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < label.size; i++)
        hash = (hash ^ (unsigned char)label.data[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 29);
}

static size_t *counter_slot(const struct counter *const counter, const struct bh_str label)
{
    size_t at = hash_label(label) & (counter->slot_count - 1);
    while (counter->slots[at] != 0 &&
           !bh_str_equal(counter->values[counter->slots[at] - 1].label, label))
        at = (at + 1) & (counter->slot_count - 1);
    return &counter->slots[at];
}

static int counter_grow(struct counter *const counter, struct bh_arena *const arena)
{
    const size_t capacity = counter->capacity > 0 ? counter->capacity * 2 : 32;
    struct tome_facet_value *const values = bh_arena_calloc(arena, capacity, sizeof(*values));
    size_t *const slots = bh_arena_calloc(arena, capacity * 2, sizeof(*slots));
    if (values == NULL || slots == NULL)
        return BH_ENOMEM;
    for (size_t i = 0; i < counter->count; i++)
        values[i] = counter->values[i];
    counter->values = values;
    counter->capacity = capacity;
    counter->slots = slots;
    counter->slot_count = capacity * 2;
    for (size_t i = 0; i < counter->count; i++)
        *counter_slot(counter, values[i].label) = i + 1;
    return 0;
}

static int counter_add(struct counter *const counter, struct bh_arena *const arena,
                       const struct bh_str label, const int64_t hits)
{
    if (label.size == 0)
        return 0;
    if (counter->count == counter->capacity && counter_grow(counter, arena) < 0)
        return BH_ENOMEM;
    size_t *const slot = counter_slot(counter, label);
    if (*slot == 0) {
        const char *const copy = bh_arena_strdup(arena, label);
        if (copy == NULL)
            return BH_ENOMEM;
        counter->values[counter->count++] = (struct tome_facet_value){ .label = { copy,
                                                                                  label.size } };
        *slot = counter->count;
    }
    counter->values[*slot - 1].count += hits;
    return 0;
}

static int counter_add_tags(struct counter *const counter, struct bh_arena *const arena,
                            const struct bh_str tags, const int64_t hits)
{
    json_t *array BH_CLEANUP(bh_json_decref_cleanup) = NULL;
    if (bh_str_equal(tags, BH_STR("[]")) || bh_json_parse(tags, 2, &array, NULL) < 0)
        return 0;
    size_t i;
    json_t *tag;
    json_array_foreach(array, i, tag)
    {
        if (json_is_string(tag) &&
            counter_add(counter, arena, bh_str_from(json_string_value(tag)), hits) < 0)
            return BH_ENOMEM;
    }
    return 0;
}

static int compare_values(const void *const a, const void *const b)
{
    const struct tome_facet_value *const left = a, *const right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    const int order = bh_str_compare(left->label, right->label);
    return order != 0 ? order : left->id < right->id ? -1 : left->id > right->id;
}

static struct tome_facet finish_facet(struct tome_facet_value *const values, const size_t count)
{
    if (count > 1)
        qsort(values, count, sizeof(*values), compare_values);
    const size_t shown = count < TOME_SEARCH_FACET_VALUES_MAX ? count
                                                              : TOME_SEARCH_FACET_VALUES_MAX;
    return (struct tome_facet){ values, shown };
}

struct tome_facets {
    struct counter authors, source_types, tags;
    struct tome_facet_value *books; /* most hits first; titles come later */
    size_t book_count;              /* of those shown */
};

static int count_books(struct tome_search_run *const run, struct tome_facets *const facets)
{
    const size_t found = (size_t)run->scan.book_count;
    facets->books = bh_arena_calloc(run->arena, found + 1, sizeof(*facets->books));
    if (facets->books == NULL)
        return BH_ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < run->visible->book_count && count < found; i++) {
        const int64_t hits = run->scan.books[i].hit_count;
        if (hits == 0)
            continue;
        facets->books[count].id = run->visible->books[i].id;
        facets->books[count].count = hits;
        count++;
    }
    facets->book_count = finish_facet(facets->books, count).count;
    return 0;
}

int tome_facets_begin(struct tome_search_run *const run, struct tome_facets **const ret_facets,
                      struct bh_error *const reterr)
{
    struct tome_facets *const facets = bh_arena_calloc(run->arena, 1, sizeof(*facets));
    if (facets == NULL || count_books(run, facets) < 0)
        return no_memory(reterr);
    *ret_facets = facets;
    return 0;
}

int tome_facets_add(struct tome_facets *const facets, struct tome_search_run *const run,
                    const size_t index, const struct bh_str title, const struct bh_str author,
                    const struct bh_str source_type, const struct bh_str tags,
                    struct bh_error *const reterr)
{
    const int64_t hits = run->scan.books[index].hit_count;
    const int64_t book_id = run->visible->books[index].id;
    for (size_t i = 0; i < facets->book_count; i++) {
        if (facets->books[i].id != book_id)
            continue;
        const char *const copy = bh_arena_strdup(run->arena, title);
        facets->books[i].label = (struct bh_str){ copy, copy != NULL ? title.size : 0 };
    }
    if (counter_add(&facets->authors, run->arena, author, hits) < 0 ||
        counter_add(&facets->source_types, run->arena, source_type, hits) < 0 ||
        counter_add_tags(&facets->tags, run->arena, tags, hits) < 0)
        return no_memory(reterr);
    return 0;
}

void tome_facets_end(struct tome_facets *const facets, struct tome_search_answer *const answer)
{
    answer->facet_books = (struct tome_facet){ facets->books, facets->book_count };
    answer->facet_authors = finish_facet(facets->authors.values, facets->authors.count);
    answer->facet_source_types = finish_facet(facets->source_types.values,
                                              facets->source_types.count);
    answer->facet_tags = finish_facet(facets->tags.values, facets->tags.count);
}
