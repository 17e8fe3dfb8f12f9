#include "library/search_postings.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

#include "bulkhead/base/json.h"
#include "library/phrase_list.h"
#include "library/postings.h"

#define ROWS_BETWEEN_LOOKS 1024

static struct tome_postings_search *search_of(const struct tome_search_run *const run)
{
    return run->context;
}

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
}

static int corrupt(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ECORRUPT,
                        "the search index is damaged; rebuild it with "
                        "`tomehub check --rebuild-index`");
}

static bool is_canceled(const struct tome_postings_search *const search)
{
    return search->canceled != NULL && atomic_load_explicit(search->canceled, memory_order_relaxed);
}

/* ---- Evaluation ---- */

struct cursor {
    struct tome_postings_reader reader;
    size_t phrase; /* in the expression */
};

/* Cursors of one group; the negated ones are a group as well. */
struct group {
    size_t first, end;
    size_t bytes; /* of their lists */
};

struct evaluation {
    struct cursor *cursors;
    size_t cursor_count;
    struct group groups[TOME_QUERY_TERMS_MAX];
    size_t group_count;
    size_t leading; /* the group with the least to read */
    struct group negated;
};

static int add_group(struct evaluation *const evaluation, struct tome_search_run *const run,
                     const struct tome_expression *const expression, const uint64_t leaves,
                     struct group *const ret_group)
{
    struct group group = { .first = evaluation->cursor_count };
    for (size_t i = 0; i < expression->phrase_count; i++) {
        struct bh_str list = BH_STR_NONE;
        if ((leaves >> expression->phrases[i].leaf & 1) == 0)
            continue;
        const int result = tome_phrase_list(run, expression, expression->phrases[i], &list);
        if (result < 0)
            return result;
        if (list.size == 0)
            continue;
        struct cursor *const cursor = &evaluation->cursors[evaluation->cursor_count++];
        cursor->phrase = i;
        tome_postings_read(&cursor->reader, list);
        group.bytes += list.size;
    }
    group.end = evaluation->cursor_count;
    *ret_group = group;
    return 0;
}

static int evaluation_init(struct evaluation *const evaluation, struct tome_search_run *const run,
                           const struct tome_expression *const expression)
{
    *evaluation = (struct evaluation){ .group_count = expression->group_count };
    evaluation->cursors = calloc(expression->phrase_count + 1, sizeof(*evaluation->cursors));
    int result = evaluation->cursors == NULL ? BH_ENOMEM : 0;
    for (size_t i = 0; i < expression->group_count && result == 0; i++) {
        result = add_group(evaluation, run, expression, expression->groups[i],
                           &evaluation->groups[i]);
        if (result == 0 &&
            evaluation->groups[i].bytes < evaluation->groups[evaluation->leading].bytes)
            evaluation->leading = i;
    }
    return result == 0
               ? add_group(evaluation, run, expression, expression->negated, &evaluation->negated)
               : result;
}

static void evaluation_fini(struct evaluation *const evaluation)
{
    free(evaluation->cursors);
}

/* The first chunk from `id` on that a cursor of the group stands at. */
static int64_t seek_group(struct evaluation *const evaluation, const struct group *const group,
                          const int64_t id)
{
    int64_t least = INT64_MAX;
    for (size_t i = group->first; i < group->end; i++) {
        struct tome_postings_reader *const reader = &evaluation->cursors[i].reader;
        if (reader->id < id)
            tome_postings_seek(reader, id);
        if (reader->id < least)
            least = reader->id;
    }
    return least;
}

/* The first chunk from `id` on that the expression finds, or INT64_MAX. */
static int64_t find(struct evaluation *const evaluation, int64_t id)
{
    for (;;) {
        id = seek_group(evaluation, &evaluation->groups[evaluation->leading], id);
        if (id == INT64_MAX)
            return id;
        int64_t farthest = id;
        for (size_t i = 0; i < evaluation->group_count && farthest == id; i++)
            if (i != evaluation->leading)
                farthest = seek_group(evaluation, &evaluation->groups[i], id);
        if (farthest == id) {
            if (seek_group(evaluation, &evaluation->negated, id) != id)
                return id;
            farthest++;
        }
        id = farthest;
    }
}

static bool has_corrupt(const struct evaluation *const evaluation)
{
    for (size_t i = 0; i < evaluation->cursor_count; i++)
        if (evaluation->cursors[i].reader.is_corrupt)
            return true;
    return false;
}

static void take_cursor(struct tome_scan *const scan, const struct cursor *const cursor)
{
    const struct tome_postings_reader *const reader = &cursor->reader;
    const uint32_t in_body = reader->counts[TOME_COLUMN_BODY];
    struct tome_places places = tome_postings_places(reader, TOME_COLUMN_BODY);
    while (tome_places_next(&places) && tome_scan_row_place(scan, cursor->phrase, places.position))
        ;
    if (in_body + reader->counts[TOME_COLUMN_STEMS] > 0)
        tome_scan_row_text(scan, cursor->phrase, in_body + reader->counts[TOME_COLUMN_STEMS]);
    if (reader->counts[TOME_COLUMN_HEADING] > 0)
        tome_scan_row_heading(scan, cursor->phrase);
}

static int take_row(struct tome_scan *const scan, const struct evaluation *const evaluation,
                    const int64_t id)
{
    for (size_t i = 0; i < evaluation->negated.first; i++)
        if (evaluation->cursors[i].reader.id == id)
            take_cursor(scan, &evaluation->cursors[i]);
    return tome_scan_row_end(scan);
}

static int scan_evaluated(struct tome_search_run *const run, struct evaluation *const evaluation,
                          const int64_t first, const int64_t last)
{
    struct tome_scan *const scan = &run->scan;
    size_t rows = 0;
    int result = 0;
    for (int64_t id = first; result == 0;) {
        id = find(evaluation, id);
        if (id > last || id == INT64_MAX)
            break;
        if (++rows % ROWS_BETWEEN_LOOKS == 0 && is_canceled(search_of(run)))
            return BH_ECANCELED;
        if (tome_scan_row_begin(scan, id)) {
            result = take_row(scan, evaluation, id);
            id++;
        } else {
            id = tome_scan_behind_book(scan, id);
        }
    }
    return result == 0 && has_corrupt(evaluation) ? BH_ECORRUPT : result;
}

static int explain(const int result, struct bh_error *const reterr)
{
    switch (result) {
    case BH_ECORRUPT:
        return corrupt(reterr);
    case BH_ELIMIT:
        return bh_error_set(reterr, BH_ELIMIT,
                            "too many words begin like that; give more of its letters");
    case BH_ENOMEM:
        return no_memory(reterr);
    default:
        return result < 0 ? bh_error_set(reterr, result, "%s", bh_error_text(result)) : 0;
    }
}

static int scan_chunks(struct tome_search_run *const run,
                       const struct tome_expression *const expression, const int64_t first,
                       const int64_t last, struct bh_error *const reterr)
{
    struct evaluation evaluation;
    int result = evaluation_init(&evaluation, run, expression);
    if (result == 0) {
        tome_scan_begin(&run->scan, expression);
        result = scan_evaluated(run, &evaluation, first, last);
    }
    evaluation_fini(&evaluation);
    return explain(result, reterr);
}

/* ---- Counts ---- */

/* Of one list: the runs say how many chunks they have. */
static int count_list(const struct tome_visible *const visible, const struct bh_str list,
                      int64_t *const ret_count)
{
    struct tome_postings_reader reader;
    int64_t book;
    uint32_t chunks;
    tome_postings_read(&reader, list);
    while (tome_postings_next_book(&reader, &book, &chunks))
        *ret_count += tome_visible_find(visible, book) >= 0 ? chunks : 0;
    return reader.is_corrupt ? BH_ECORRUPT : 0;
}

static int count_evaluated(const struct tome_search_run *const run,
                           struct evaluation *const evaluation, int64_t *const ret_count)
{
    const struct tome_visible *const visible = run->visible;
    int64_t book = -1;
    bool is_visible = false;
    if (evaluation->cursor_count == 1) /* read anew: the cursor has not moved */
        return count_list(visible,
                          (struct bh_str){ (const char *)evaluation->cursors[0].reader.at,
                                           evaluation->groups[0].bytes },
                          ret_count);
    for (int64_t id = find(evaluation, 0); id != INT64_MAX; id = find(evaluation, id + 1)) {
        if (id >> TOME_ORDINAL_BITS != book) {
            book = id >> TOME_ORDINAL_BITS;
            is_visible = tome_visible_find(visible, book) >= 0;
        }
        *ret_count += is_visible;
    }
    return has_corrupt(evaluation) ? BH_ECORRUPT : 0;
}

static int count_chunks(struct tome_search_run *const run,
                        const struct tome_expression *const expression, int64_t *const ret_count,
                        struct bh_error *const reterr)
{
    struct tome_catalogue *const catalogue = search_of(run)->catalogue;
    const struct bh_str text = bh_buf_peek(&expression->text);
    if (tome_catalogue_counted(catalogue, text, ret_count))
        return 0;
    struct evaluation evaluation;
    int64_t count = 0;
    int result = evaluation_init(&evaluation, run, expression);
    if (result == 0)
        result = count_evaluated(run, &evaluation, &count);
    evaluation_fini(&evaluation);
    if (result < 0)
        return explain(result, reterr);
    tome_catalogue_keep_count(catalogue, text, count);
    *ret_count = count;
    return 0;
}

/* ---- Words ---- */

static int begin_plan(struct tome_search_run *const run, struct bh_error *const reterr)
{
    struct tome_fetched *const fetched = &search_of(run)->fetched;
    const struct tome_expression *const any = &run->any;
    bool has_all = true;
    for (size_t i = 0; i < any->phrase_count; i++) {
        const struct tome_plan_phrase phrase = any->phrases[i];
        const bool is_prefix = tome_phrase_is_prefix(&run->plan, any, phrase);
        const size_t count = tome_phrase_word_count(&run->plan, phrase);
        for (size_t j = 0; j < count; j++) {
            char buffer[TOME_PHRASE_WORD_MAX];
            const struct bh_str word = tome_phrase_word(&run->plan, phrase, j, buffer);
            has_all &= is_prefix && j + 1 == count ? tome_fetched_has_prefix(fetched, word)
                                                   : tome_fetched_has(fetched, word);
        }
    }
    if (fetched->out_of_memory)
        return no_memory(reterr);
    return has_all ? 0 : TOME_SEARCH_WANTS;
}

static int64_t letters_of(const struct bh_str word)
{
    int64_t count = 0;
    for (size_t i = 0; i < word.size; i++)
        count += ((unsigned char)word.data[i] & 0xc0) != 0x80;
    return count;
}

static int find_words(struct tome_search_run *const run, const struct bh_str form,
                      const unsigned most, tome_search_word *const take, void *const argument,
                      struct bh_error *const reterr)
{
    struct tome_fetched *const fetched = &search_of(run)->fetched;
    const int64_t letters = letters_of(form);
    int32_t first_size = 0;
    U8_FWD_1((const uint8_t *)form.data, first_size, (int32_t)form.size);
    const struct tome_vocabulary *const vocabulary = tome_fetched_vocabulary(
        fetched, (struct bh_str){ form.data, (size_t)first_size }, letters - most, letters + most);
    if (fetched->out_of_memory)
        return no_memory(reterr);
    if (vocabulary == NULL)
        return TOME_SEARCH_WANTS;
    for (size_t i = 0; i < vocabulary->word_count && take(argument, vocabulary->words[i]); i++)
        ;
    return 0;
}

static int expect_words(struct tome_search_run *const run, const struct bh_str *const words,
                        const size_t count, struct bh_error *const reterr)
{
    struct tome_fetched *const fetched = &search_of(run)->fetched;
    bool has_all = true;
    for (size_t i = 0; i < count; i++)
        has_all &= tome_fetched_has(fetched, words[i]);
    if (fetched->out_of_memory)
        return no_memory(reterr);
    return has_all ? 0 : TOME_SEARCH_WANTS;
}

static int count_word(struct tome_search_run *const run, const struct bh_str word,
                      const int64_t least, int64_t *const ret_count, struct bh_error *const reterr)
{
    struct tome_postings_reader reader;
    int64_t count = 0;
    tome_postings_read(&reader, tome_word_lists_find(&search_of(run)->fetched.chunks, word));
    while (tome_postings_next(&reader))
        count += reader.counts[TOME_COLUMN_BODY] > 0 &&
                 tome_visible_find(run->visible, reader.id >> TOME_ORDINAL_BITS) >= 0;
    *ret_count = count > least ? count : 0;
    return reader.is_corrupt ? corrupt(reterr) : 0;
}

/* ---- Books ---- */

static int match_books(struct tome_search_run *const run, const size_t leaf,
                       struct bh_error *const reterr)
{
    struct tome_expression *const expression = malloc(sizeof(*expression));
    struct evaluation evaluation = { 0 };
    if (expression == NULL)
        return no_memory(reterr);
    tome_expression_init(expression);
    tome_expression_leaf(expression, &run->plan, leaf, true);
    int result = evaluation_init(&evaluation, run, expression);
    size_t at = 0;
    int64_t id = result == 0 ? find(&evaluation, 0) : INT64_MAX;
    for (; id != INT64_MAX; id = find(&evaluation, id + 1)) {
        bool in_title = false, in_author = false;
        for (size_t i = 0; i < evaluation.cursor_count; i++) {
            const struct tome_postings_reader *const reader = &evaluation.cursors[i].reader;
            in_title |= reader->id == id && reader->counts[TOME_COLUMN_BODY] > 0;
            in_author |= reader->id == id && reader->counts[TOME_COLUMN_HEADING] > 0;
        }
        struct tome_scan_book *const book = tome_search_run_book_at(run, &at,
                                                                    id >> TOME_ORDINAL_BITS);
        if (book != NULL)
            tome_search_run_mark_book(run, leaf, book, in_title, in_author);
    }
    evaluation_fini(&evaluation);
    tome_expression_fini(expression);
    free(expression);
    return explain(result, reterr);
}

static int match_fields(struct tome_search_run *const run, struct bh_error *const reterr)
{
    const struct tome_catalogue *const catalogue = search_of(run)->catalogue;
    (void)reterr;
    for (size_t i = 0; i < run->visible->book_count; i++)
        tome_search_run_match_fields(run, &run->scan.books[i], catalogue->books[i].source_type,
                                     catalogue->books[i].tags);
    return 0;
}

static bool is_one_of(const struct bh_str text, const struct bh_str *const values,
                      const size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bh_str_equal(text, values[i]))
            return true;
    return count == 0;
}

static bool has_one_of(const struct bh_str tags, const struct bh_str *const values,
                       const size_t count)
{
    json_t *array BH_CLEANUP(bh_json_decref_cleanup) = NULL;
    size_t i;
    json_t *tag;
    if (count == 0)
        return true;
    if (bh_str_equal(tags, BH_STR("[]")) || bh_json_parse(tags, 2, &array, NULL) < 0)
        return false;
    json_array_foreach(array, i, tag)
    {
        if (json_is_string(tag) && is_one_of(bh_str_from(json_string_value(tag)), values, count))
            return true;
    }
    return false;
}

static bool has_id(const struct tome_search_filters *const filters, const int64_t id)
{
    for (size_t i = 0; i < filters->book_id_count; i++)
        if (filters->book_ids[i] == id)
            return true;
    return filters->book_id_count == 0;
}

static int filter_books(struct tome_search_run *const run, struct bh_error *const reterr)
{
    const struct tome_search_filters *const filters = &run->request->filters;
    (void)reterr;
    for (size_t i = 0; i < run->visible->book_count; i++) {
        const struct tome_catalogue_book *const book = &search_of(run)->catalogue->books[i];
        run->scan.books[i].is_excluded =
            !has_id(filters, run->visible->books[i].id) ||
            !is_one_of(book->source_type, filters->source_types, filters->source_type_count) ||
            !is_one_of(book->author, filters->authors, filters->author_count) ||
            !has_one_of(book->tags, filters->tags, filters->tag_count);
    }
    return 0;
}

static int order_books(struct tome_search_run *const run, struct bh_error *const reterr)
{
    const struct tome_catalogue *const catalogue = search_of(run)->catalogue;
    const uint32_t *const places = run->request->sort == TOME_SORT_NEWEST
                                       ? catalogue->places_by_age
                                       : catalogue->places_by_title;
    (void)reterr;
    memcpy(run->book_order, places, run->visible->book_count * sizeof(*places));
    return 0;
}

const struct tome_search_source tome_search_postings = {
    .begin = begin_plan,
    .match_books = match_books,
    .match_fields = match_fields,
    .filter_books = filter_books,
    .order_books = order_books,
    .count = count_chunks,
    .scan = scan_chunks,
    .words = find_words,
    .expect_words = expect_words,
    .count_word = count_word,
};
