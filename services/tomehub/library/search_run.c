#include "library/search_run.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/json.h"
#include "library/index.h"
#include "library/score.h"
#include "library/spell.h"

/* So many books are scanned one by one, by ranges, rather than passed by in one scan of all. */
#define RANGES_MAX 64

#define SPELL_HITS_MAX 2 /* more hits than these need no other spelling */

/* With match "some": what must be found of all that the words weigh. */
#define WEIGHT_SHARE_MINIMUM 0.25

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
}

/* ---- Books ---- */

struct tome_scan_book *tome_search_run_book_at(struct tome_search_run *const run, size_t *const at,
                                               const int64_t id)
{
    const struct tome_visible *const visible = run->visible;
    while (*at < visible->book_count && visible->books[*at].id < id)
        ++*at;
    return *at < visible->book_count && visible->books[*at].id == id ? &run->scan.books[*at] : NULL;
}

void tome_search_run_mark_book(struct tome_search_run *const run, const size_t leaf,
                               struct tome_scan_book *const book, const bool in_title,
                               const bool in_author)
{
    const uint64_t bit = UINT64_C(1) << leaf;
    const enum tome_query_field field = run->plan.leaves[leaf].term->field;
    if (field == TOME_QUERY_ANY) {
        book->title_leaves |= in_title ? bit : 0;
        book->author_leaves |= in_author ? bit : 0;
        run->plan.leaves[leaf].count++;
    } else if (field == TOME_QUERY_AUTHOR ? in_author : in_title) {
        book->field_leaves |= bit;
    }
}

/* Whether `text` has the same words as the term. */
static bool has_same_words(struct tome_analyzer *const analyzer, const struct bh_str text,
                           const struct tome_query_term *const term)
{
    struct tome_token token;
    size_t count = 0;
    tome_analyzer_begin(analyzer, text);
    while (tome_analyzer_next(analyzer, &token)) {
        if (count == term->word_count || !bh_str_equal(token.form, term->words[count].form))
            return false;
        count++;
    }
    return count == term->word_count;
}

static bool has_tag(struct tome_analyzer *const analyzer, const struct bh_str tags,
                    const struct tome_query_term *const term)
{
    json_t *array BH_CLEANUP(bh_json_decref_cleanup) = NULL;
    if (bh_json_parse(tags, 2, &array, NULL) < 0)
        return false;
    size_t i;
    json_t *tag;
    json_array_foreach(array, i, tag)
    {
        if (json_is_string(tag) &&
            has_same_words(analyzer, bh_str_from(json_string_value(tag)), term))
            return true;
    }
    return false;
}

void tome_search_run_match_fields(struct tome_search_run *const run,
                                  struct tome_scan_book *const book,
                                  const struct bh_str source_type, const struct bh_str tags)
{
    for (size_t i = 0; i < run->plan.leaf_count; i++) {
        const struct tome_query_term *const term = run->plan.leaves[i].term;
        const bool has = (term->field == TOME_QUERY_TYPE &&
                          has_same_words(run->analyzer, source_type, term)) ||
                         (term->field == TOME_QUERY_TAG && has_tag(run->analyzer, tags, term));
        book->field_leaves |= has ? UINT64_C(1) << i : 0;
    }
}

/* book:4 names a book by its id; otherwise by its title. */
static bool match_book_id(struct tome_search_run *const run, const size_t index)
{
    const struct tome_query_term *const term = run->plan.leaves[index].term;
    int64_t id = 0;
    if (term->word_count != 1 || bh_str_to_int64(term->words[0].form, 1, INT64_MAX, &id) < 0)
        return false;
    const int64_t at = tome_visible_find(run->visible, id);
    if (at >= 0)
        run->scan.books[at].field_leaves |= UINT64_C(1) << index;
    return at >= 0;
}

static int match_all_books(struct tome_search_run *const run, struct bh_error *const reterr)
{
    bool wants_fields = false;
    int result = 0;
    for (size_t i = 0; i < run->plan.leaf_count && result == 0; i++) {
        const struct tome_leaf *const leaf = &run->plan.leaves[i];
        const enum tome_query_field field = leaf->term->field;
        if (field == TOME_QUERY_TAG || field == TOME_QUERY_TYPE)
            wants_fields = true;
        else if (field == TOME_QUERY_BOOK && match_book_id(run, i))
            continue;
        else if (field != TOME_QUERY_ANY || (!leaf->is_negated && !leaf->is_stop))
            result = run->source->match_books(run, i, reterr);
    }
    return result == 0 && wants_fields ? run->source->match_fields(run, reterr) : result;
}

/* ---- Filters ---- */

/* Clauses of nothing but fields hold for a book as a whole: they filter. */
static void exclude_by_fields(struct tome_search_run *const run)
{
    const struct tome_plan *const plan = &run->plan;
    uint64_t chunk_leaves = 0;
    for (size_t i = 0; i < plan->leaf_count; i++)
        chunk_leaves |= plan->leaves[i].is_chunk ? UINT64_C(1) << i : 0;
    for (size_t i = 0; i < run->visible->book_count; i++) {
        struct tome_scan_book *const book = &run->scan.books[i];
        for (size_t j = 0; j < plan->clause_count; j++) {
            const struct tome_plan_clause *const clause = &plan->clauses[j];
            const bool holds = (book->field_leaves & clause->leaves) != 0;
            if (clause->is_negated ? holds : (clause->leaves & chunk_leaves) == 0 && !holds)
                book->is_excluded = true;
        }
        run->allowed_count += !book->is_excluded;
    }
}

static bool has_filter(const struct tome_search_filters *const filters)
{
    return filters->book_id_count + filters->source_type_count + filters->author_count +
               filters->tag_count >
           0;
}

/* ---- Order ---- */

static int read_order(struct tome_search_run *const run, struct bh_error *const reterr)
{
    if (run->request->sort == TOME_SORT_RELEVANCE)
        return 0;
    const size_t count = run->visible->book_count;
    run->book_order = calloc(count + 1, sizeof(*run->book_order));
    if (run->book_order == NULL)
        return no_memory(reterr);
    for (size_t i = 0; i < count; i++)
        run->book_order[i] = (uint32_t)i;
    run->scan.book_order = run->book_order;
    return run->request->sort == TOME_SORT_PAGE ? 0 : run->source->order_books(run, reterr);
}

/* ---- Weights ---- */

static int weigh_leaves(struct tome_search_run *const run, struct bh_error *const reterr)
{
    for (size_t i = 0; i < run->plan.leaf_count; i++) {
        struct tome_leaf *const leaf = &run->plan.leaves[i];
        if (!leaf->is_chunk || leaf->is_negated || leaf->is_stop)
            continue;
        struct tome_expression expression BH_CLEANUP(tome_expression_fini_cleanup);
        tome_expression_init(&expression);
        tome_expression_leaf(&expression, &run->plan, i, false);
        if (bh_buf_error(&expression.text) != 0)
            return no_memory(reterr);
        int64_t count = 0;
        const int result = run->source->count(run, &expression, &count, reterr);
        if (result < 0)
            return result;
        leaf->count = count > leaf->count ? count : leaf->count; /* it had the titles' */
        leaf->weight = tome_score_weight(leaf->count, run->visible->chunk_count);
    }
    return 0;
}

/* ---- Scans ---- */

static int scan(struct tome_search_run *const run, const struct tome_expression *const expression,
                const int64_t first, const int64_t last, struct bh_error *const reterr)
{
    if (expression->group_count == 0 || run->visible->book_count == 0)
        return 0;
    if (bh_buf_error(&expression->text) != 0 || bh_buf_error(&expression->negated_text) != 0)
        return no_memory(reterr);
    return run->source->scan(run, expression, first, last, reterr);
}

static int scan_range(struct tome_search_run *const run,
                      const struct tome_expression *const expression, const size_t book,
                      struct bh_error *const reterr)
{
    const int64_t first = run->visible->books[book].id << TOME_ORDINAL_BITS;
    return scan(run, expression, first, first + (INT64_C(1) << TOME_ORDINAL_BITS) - 1, reterr);
}

/* Scans the books for which `wanted` holds, one by one. */
static int scan_books(struct tome_search_run *const run, const bool only_set_aside,
                      struct bh_error *const reterr)
{
    int result = 0;
    run->scan.with_set_aside = true;
    for (size_t i = 0; i < run->visible->book_count && result == 0; i++) {
        const struct tome_scan_book *const book = &run->scan.books[i];
        if (!book->is_excluded && (book->is_set_aside || !only_set_aside))
            result = scan_range(run, &run->any, i, reterr);
    }
    return result;
}

/* Where a title or a field holds some of the words, a chunk needs only the others: such books are
 * scanned apart, for any of the words. Returns how many there are. */
static size_t set_books_aside(struct tome_search_run *const run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->visible->book_count; i++) {
        struct tome_scan_book *const book = &run->scan.books[i];
        book->is_set_aside = !book->is_excluded && (book->title_leaves | book->author_leaves) != 0;
        for (size_t j = 0; j < run->plan.clause_count && !book->is_set_aside; j++) {
            const struct tome_plan_clause *const clause = &run->plan.clauses[j];
            const bool is_mixed = (clause->leaves & (clause->leaves - 1)) != 0;
            book->is_set_aside = is_mixed && !book->is_excluded &&
                                 (book->field_leaves & clause->leaves) != 0;
        }
        count += book->is_set_aside;
    }
    return count;
}

static int scan_for_all(struct tome_search_run *const run, struct bh_error *const reterr)
{
    tome_scan_restart(&run->scan);
    run->scan.match_some = false;
    const size_t aside_count = set_books_aside(run);
    run->scan.with_set_aside = true;
    int result = 0;
    if (run->allowed_count <= RANGES_MAX && run->allowed_count < run->visible->book_count) {
        result = scan_books(run, false, reterr);
    } else if (aside_count > RANGES_MAX) {
        result = scan(run, &run->any, 0, INT64_MAX, reterr);
    } else {
        struct tome_expression all BH_CLEANUP(tome_expression_fini_cleanup);
        tome_expression_init(&all);
        tome_expression_all(&all, &run->plan);
        run->scan.with_set_aside = false;
        result = scan(run, &all, 0, INT64_MAX, reterr);
        if (result == 0)
            result = scan_books(run, true, reterr);
    }
    return result == 0 ? tome_scan_add_books(&run->scan, reterr) : result;
}

static int scan_for_some(struct tome_search_run *const run, struct bh_error *const reterr)
{
    tome_scan_restart(&run->scan);
    run->scan.match_some = true;
    run->scan.with_set_aside = true;
    double total = 0.0, largest = 0.0;
    for (size_t i = 0; i < run->plan.leaf_count; i++) {
        const struct tome_leaf *const leaf = &run->plan.leaves[i];
        if (leaf->count == 0)
            continue; /* nothing holds it, so it cannot be asked for */
        total += leaf->weight;
        largest = leaf->weight > largest ? leaf->weight : largest;
    }
    const double share = WEIGHT_SHARE_MINIMUM * total;
    run->scan.weight_minimum = share < largest ? share : largest;
    int result = run->allowed_count <= RANGES_MAX && run->allowed_count < run->visible->book_count
                     ? scan_books(run, false, reterr)
                     : scan(run, &run->any, 0, INT64_MAX, reterr);
    return result == 0 ? tome_scan_add_books(&run->scan, reterr) : result;
}

/* Fewer hits than these are next to nothing for so many words: a question of many words is rarely
 * answered by the one chunk that happens to hold them all. */
static int64_t hits_enough(const size_t word_clause_count)
{
    return word_clause_count < 2 ? 0 : word_clause_count == 2 ? 1 : 10;
}

/* ---- The run ---- */

static void forget_plan(struct tome_search_run *const run)
{
    tome_expression_fini(&run->any);
    tome_scan_fini(&run->scan);
    free(run->book_order);
    run->book_order = NULL;
    run->scan = (struct tome_scan){ 0 };
}

/* Everything up to the first scan. */
static int prepare(struct tome_search_run *const run, const struct bh_str text,
                   struct bh_error *const reterr)
{
    forget_plan(run);
    tome_expression_init(&run->any);
    run->text = text;
    run->allowed_count = 0;
    const int64_t *const language_chunks = run->visible->language_chunks;
    uint32_t languages = 0;
    for (int i = TOME_LANGUAGE_NONE + 1; i < TOME_LANGUAGE_COUNT; i++)
        languages |= language_chunks[i] > 0 ? UINT32_C(1) << i : 0;
    if (tome_query_parse(run->analyzer, text, languages, run->request->instant, run->arena,
                         &run->query) < 0)
        return no_memory(reterr);
    tome_plan_make(&run->query, tome_plan_language(&run->query, language_chunks), &run->plan);
    if (tome_scan_init(&run->scan, run->visible, &run->plan, run->keep) < 0)
        return no_memory(reterr);
    run->scan.read_lengths = run->read_lengths;
    run->scan.lengths_argument = run->context;
    run->scan.has_bound = run->has_bound;
    run->scan.bound = run->bound;
    tome_expression_any(&run->any, &run->plan);
    int result = run->source->begin(run, reterr);
    if (result == 0 && has_filter(&run->request->filters))
        result = run->source->filter_books(run, reterr);
    if (result == 0)
        result = match_all_books(run, reterr);
    if (result == 0)
        exclude_by_fields(run);
    if (result == 0)
        result = weigh_leaves(run, reterr);
    return result == 0 ? read_order(run, reterr) : result;
}

static int search_all(struct tome_search_run *const run, const struct bh_str text,
                      struct bh_error *const reterr)
{
    const int result = prepare(run, text, reterr);
    return result == 0 ? scan_for_all(run, reterr) : result;
}

static int search_some(struct tome_search_run *const run, const struct bh_str text,
                       struct bh_error *const reterr)
{
    int result = text.data != run->text.data ? prepare(run, text, reterr) : 0;
    if (result == 0)
        result = scan_for_some(run, reterr);
    /* Not even what was quoted is there: then it is not demanded either. */
    if (result == 0 && run->scan.hit_count == 0 && tome_plan_relax(&run->plan))
        result = scan_for_some(run, reterr);
    return result;
}

/* Few hits: another spelling may have been meant. With none at all it is searched in their stead.
 * */
static int correct_spelling(struct tome_search_run *const run, struct bh_error *const reterr)
{
    const bool has_none = run->scan.hit_count == 0;
    const int result = tome_spell_correct(run, &run->did_you_mean, reterr);
    if (result < 0 || !has_none || run->did_you_mean.size == 0)
        return result;
    return search_all(run, run->did_you_mean, reterr);
}

int tome_search_run_do(struct tome_search_run *const run, struct bh_error *const reterr)
{
    const struct bh_str query = run->request->query;
    run->did_you_mean = BH_STR_NONE;
    int result = search_all(run, query, reterr);
    if (result == 0 && run->scan.hit_count <= SPELL_HITS_MAX)
        result = correct_spelling(run, reterr);
    if (result == 0 && run->scan.hit_count < hits_enough(run->plan.word_clause_count)) {
        result = search_some(run, run->scan.hit_count == 0 ? query : run->text, reterr);
        if (result == 0 && run->scan.hit_count == 0 && run->did_you_mean.size > 0)
            result = search_some(run, run->did_you_mean, reterr);
    }
    if (result == 0)
        tome_scan_finish(&run->scan);
    return result;
}

int tome_search_run_best(struct tome_search_run *const run, const size_t book,
                         struct tome_candidate *const ret_best, const size_t capacity,
                         size_t *const ret_count, struct bh_error *const reterr)
{
    const struct tome_scan whole = run->scan;
    const struct tome_scan_book counted = run->scan.books[book];
    run->scan.candidates = NULL;
    run->scan.candidate_count = run->scan.capacity = 0;
    run->scan.keep = capacity;
    run->scan.has_worst = false;
    run->scan.with_set_aside = true;
    run->scan.books[book].has_first = false;
    int result = scan_range(run, &run->any, book, reterr);
    if (result == 0)
        result = tome_scan_add_book(&run->scan, book, reterr);
    tome_scan_finish(&run->scan);
    *ret_count = run->scan.candidate_count;
    if (run->scan.candidate_count > 0)
        memcpy(ret_best, run->scan.candidates, run->scan.candidate_count * sizeof(*ret_best));
    free(run->scan.candidates);
    run->scan = whole;
    run->scan.books[book] = counted;
    return result;
}

void tome_search_run_fini(struct tome_search_run *const run)
{
    forget_plan(run);
}
