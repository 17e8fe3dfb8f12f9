#include "library/search_details.h"

#include <stdlib.h>

#include "bulkhead/base/json.h"
#include "extract/page_breaks.h"
#include "library/index.h"
#include "library/snippet.h"

#define LABEL_SEPARATOR '\x1f'
#define IDS_BYTES_MAX (32U << 20)

/* Columns of search_details.sql. */
enum {
    COLUMN_ID,
    COLUMN_TITLE,
    COLUMN_AUTHOR,
    COLUMN_SOURCE_TYPE,
    COLUMN_PAGE_KIND,
    COLUMN_LANGUAGE,
    COLUMN_TAGS,
    COLUMN_METADATA,
    COLUMN_CHAPTER,
    COLUMN_PAGE_NUMBER,
    COLUMN_PAGE_END,
    COLUMN_PAGE_BREAKS,
    COLUMN_PARAGRAPH,
    COLUMN_CONTENT,
    COLUMN_LABELS
};

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ELIMIT, "the answer needs more memory than a request may take");
}

/* A copy of the column in the arena; data is NULL when there is no room. */
static struct bh_str copy_column(struct bh_arena *const arena, sqlite3_stmt *const statement,
                                 const int column)
{
    const struct bh_str text = tome_search_column(statement, column);
    const char *const copy = bh_arena_strdup(arena, text);
    return (struct bh_str){ copy, copy != NULL ? text.size : 0 };
}

/* The page's label among "number:label" pieces, else the number. */
static struct bh_str page_label(struct bh_arena *const arena, struct bh_str labels,
                                const int64_t page)
{
    while (labels.size > 0) {
        struct bh_str label = bh_str_split(&labels, LABEL_SEPARATOR);
        int64_t number = 0;
        if (bh_str_to_int64(bh_str_split(&label, ':'), 0, INT64_MAX, &number) == 0 &&
            number == page) {
            const char *const copy = bh_arena_strdup(arena, label);
            return (struct bh_str){ copy, copy != NULL ? label.size : 0 };
        }
    }
    return bh_str_from(bh_arena_printf(arena, "%lld", (long long)page));
}

static int read_details(struct tome_search_run *const run, sqlite3_stmt *const statement,
                        struct tome_search_hit *const hit, struct bh_error *const reterr)
{
    struct bh_arena *const arena = run->arena;
    hit->author = copy_column(arena, statement, COLUMN_AUTHOR);
    hit->source_type = copy_column(arena, statement, COLUMN_SOURCE_TYPE);
    hit->page_kind = copy_column(arena, statement, COLUMN_PAGE_KIND);
    hit->tags = copy_column(arena, statement, COLUMN_TAGS);
    hit->metadata = copy_column(arena, statement, COLUMN_METADATA);
    hit->chapter = copy_column(arena, statement, COLUMN_CHAPTER);
    hit->content = copy_column(arena, statement, COLUMN_CONTENT);
    hit->paragraph = sqlite3_column_int64(statement, COLUMN_PARAGRAPH);
    if (hit->content.data == NULL)
        return no_memory(reterr);

    struct tome_snippet snippet;
    const enum tome_language language = tome_language_from_code(
        tome_search_column(statement, COLUMN_LANGUAGE));
    if (tome_snippet_make(run->search->analyzer, language, &run->plan, hit->content, arena,
                          &snippet) < 0)
        return no_memory(reterr);
    hit->snippet = snippet.text;
    hit->highlights = snippet.highlights;
    hit->highlight_count = snippet.highlight_count;
    hit->page_number = tome_page_at((uint32_t)sqlite3_column_int64(statement, COLUMN_PAGE_NUMBER),
                                    tome_search_column(statement, COLUMN_PAGE_BREAKS),
                                    snippet.first_match);
    hit->page_label = page_label(arena, tome_search_column(statement, COLUMN_LABELS),
                                 hit->page_number);
    return 0;
}

static void write_ids(struct bh_buf *const buf, const struct tome_candidate *const candidates,
                      const size_t count)
{
    struct bh_json json;
    bh_json_init(&json, buf);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        bh_json_int(&json, candidates[i].id);
    bh_json_array_end(&json);
}

int tome_search_details(struct tome_search_run *const run,
                        const struct tome_candidate *const candidates, const size_t count,
                        const bool with_details, struct tome_search_hit *const hits,
                        struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(
        run->session, with_details ? &TOME_SQL_SEARCH_DETAILS : &TOME_SQL_SEARCH_TITLES, &statement,
        reterr);
    if (result < 0)
        return result;
    struct bh_buf ids BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&ids, IDS_BYTES_MAX);
    write_ids(&ids, candidates, count);
    if (bh_buf_error(&ids) != 0)
        return no_memory(reterr);
    sqlite3_bind_text(statement, 1, ids.data, (int)ids.size, SQLITE_STATIC);
    size_t i = 0;
    while (i < count && (result = tome_search_step(run->session, statement, reterr)) == 1) {
        struct tome_search_hit *const hit = &hits[i];
        hit->id = candidates[i].id;
        hit->book_id = hit->id >> TOME_ORDINAL_BITS;
        hit->score = (double)candidates[i].score;
        hit->title = copy_column(run->arena, statement, with_details ? COLUMN_TITLE : 0);
        if (with_details)
            result = read_details(run, statement, hit, reterr);
        if (result < 0)
            break;
        i++;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (result < 0)
        return result;
    if (i < count)
        return bh_error_set(
            reterr, BH_ECORRUPT,
            "the search index names chunk %lld, which is not there; rebuild it with "
            "`tomehub check --rebuild-index`",
            (long long)candidates[i].id);
    return 0;
}

/* ---- Facets ---- */

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

struct facets {
    struct counter authors, source_types, tags;
    struct tome_facet_value *books; /* most hits first; titles come later */
    size_t book_count;              /* of those shown */
};

static int count_books(struct tome_search_run *const run, struct facets *const facets)
{
    const size_t found = (size_t)run->scan.book_count;
    facets->books = bh_arena_calloc(run->arena, found + 1, sizeof(*facets->books));
    if (facets->books == NULL)
        return BH_ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < run->search->book_count && count < found; i++) {
        const int64_t hits = run->scan.books[i].hit_count;
        if (hits == 0)
            continue;
        facets->books[count].id = run->search->books[i].id;
        facets->books[count].count = hits;
        count++;
    }
    facets->book_count = finish_facet(facets->books, count).count;
    return 0;
}

static int count_book(struct facets *const facets, struct bh_arena *const arena,
                      sqlite3_stmt *const statement, const int64_t book_id, const int64_t hits)
{
    for (size_t i = 0; i < facets->book_count; i++)
        if (facets->books[i].id == book_id)
            facets->books[i].label = copy_column(arena, statement, 0);
    if (counter_add(&facets->authors, arena, tome_search_column(statement, 1), hits) < 0 ||
        counter_add(&facets->source_types, arena, tome_search_column(statement, 2), hits) < 0)
        return BH_ENOMEM;
    return counter_add_tags(&facets->tags, arena, tome_search_column(statement, 3), hits);
}

int tome_search_facets(struct tome_search_run *const run, struct tome_search_answer *const answer,
                       struct bh_error *const reterr)
{
    struct facets facets = { 0 };
    if (count_books(run, &facets) < 0)
        return no_memory(reterr);
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(run->session, &TOME_SQL_SEARCH_FACET, &statement, reterr);
    for (size_t i = 0; i < run->search->book_count && result >= 0; i++) {
        const int64_t hits = run->scan.books[i].hit_count;
        if (hits == 0)
            continue;
        sqlite3_bind_int64(statement, 1, run->search->books[i].id);
        result = tome_search_step(run->session, statement, reterr);
        if (result == 1 &&
            count_book(&facets, run->arena, statement, run->search->books[i].id, hits) < 0)
            result = no_memory(reterr);
        sqlite3_reset(statement);
    }
    if (result < 0)
        return result;
    answer->facet_books = (struct tome_facet){ facets.books, facets.book_count };
    answer->facet_authors = finish_facet(facets.authors.values, facets.authors.count);
    answer->facet_source_types = finish_facet(facets.source_types.values,
                                              facets.source_types.count);
    answer->facet_tags = finish_facet(facets.tags.values, facets.tags.count);
    return 0;
}
