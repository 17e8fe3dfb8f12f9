/*
 * No transaction is held. Each statement tells the generation of the library it saw; postings of
 * visible books never change, so what is of the catalogue's generation is of one state of the
 * library. When it has moved on, or a hit's row has gone meanwhile, the search is done once more on
 * the newer catalogue. A replica may be behind the catalogue, which is the primary's: it is not
 * asked again before it has caught up.
 */
#include "library/search_postgres.h"

#include <stdlib.h>

#include "bulkhead/base/json.h"
#include "bulkhead/db/changes.h"
#include "library/search_facets.h"
#include "library/search_postings.h"
#include "library/spell.h"
#include "tomehub_sql.h"

#define FETCHED_BYTES_MAX ((size_t)256 << 20)
#define JSON_BYTES_MAX (32U << 20)
#define ARRAY_BYTES_MAX (4U << 20)
#define FETCHES_MAX 32 /* of one search: words, and per misspelt word its vocabulary and counts */
#define TRIES_MAX 8

struct postgres_search {
    struct tome_searcher *searcher;
    struct tome_search_job *job;
    struct tome_search_run run;
    struct tome_postings_search postings;
    struct bh_arena *arena;  /* of what is fetched */
    struct bh_db_rows hits;  /* of search_hits.sql */
    int64_t seen_generation; /* newer than the catalogue's: the library has changed */
};

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
}

/* ---- Fetching ---- */

/* Every statement tells the generation it saw. BH_ECONFLICT: not the catalogue's. */
static int check_generation(struct postgres_search *const search, const int64_t generation)
{
    search->seen_generation = generation;
    if (generation < search->postings.catalogue->generation)
        bh_db_note_seen(tome_searcher_db(search->searcher));
    return generation == search->postings.catalogue->generation ? 0 : BH_ECONFLICT;
}

static void write_words(struct bh_buf *const buf, const struct tome_word_lists *const words,
                        const bool are_prefixes)
{
    struct bh_json json;
    const struct tome_word_list *last = NULL;
    bh_json_init(&json, buf);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < words->count; i++) {
        const struct tome_word_list *const item = &words->items[i];
        /* Sorted: what begins with another prefix comes behind it. */
        if (are_prefixes && last != NULL && bh_str_starts_with(item->word, last->word))
            continue;
        bh_json_string(&json, item->word);
        last = item;
    }
    bh_json_array_end(&json);
}

static int take_lists(struct postgres_search *const search, const struct bh_db_rows *const rows)
{
    struct tome_fetched *const fetched = &search->postings.fetched;
    int result = rows->row_count > 0 ? 0 : BH_ECONFLICT;
    for (size_t i = 0; i < rows->row_count && result == 0; i++)
        result = !bh_db_is_null_at(rows, i, 0)
                     ? check_generation(search, bh_db_int_at(rows, i, 0))
                     : tome_word_lists_add(&fetched->chunks, search->arena,
                                           bh_db_text_at(rows, i, 1), bh_db_text_at(rows, i, 2));
    return result;
}

/* Also when no word is wanted: for the generation. */
static int fetch_lists(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct tome_fetched *const fetched = &search->postings.fetched;
    struct bh_buf words BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_buf prefixes BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&words, JSON_BYTES_MAX);
    bh_buf_init(&prefixes, JSON_BYTES_MAX);
    tome_word_lists_sort(&fetched->wanted);
    tome_word_lists_sort(&fetched->wanted_prefixes);
    write_words(&words, &fetched->wanted, false);
    write_words(&prefixes, &fetched->wanted_prefixes, true);
    if (bh_buf_error(&words) != 0 || bh_buf_error(&prefixes) != 0)
        return no_memory(reterr);
    const struct bh_db_value parameters[] = { bh_db_int(search->job->request->owner_id),
                                              bh_db_text(bh_buf_peek(&words)),
                                              bh_db_text(bh_buf_peek(&prefixes)) };
    struct bh_db_rows rows;
    const int result = bh_db_query(tome_searcher_db(search->searcher), BH_DB_READ,
                                   &TOME_SQL_SEARCH_POSTINGS, parameters, BH_COUNT_OF(parameters),
                                   search->arena, &rows, reterr);
    return result != 0 ? result : take_lists(search, &rows);
}

static int fetch_vocabulary(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct tome_fetched *const fetched = &search->postings.fetched;
    struct tome_vocabulary vocabulary = fetched->wanted_vocabulary;
    const struct bh_db_value parameters[] = { bh_db_int(search->job->request->owner_id),
                                              bh_db_text(vocabulary.letter),
                                              bh_db_int(vocabulary.letters_minimum),
                                              bh_db_int(vocabulary.letters_maximum),
                                              bh_db_int(TOME_SPELL_WORDS_MAX) };
    struct bh_db_rows rows;
    int result = bh_db_query(tome_searcher_db(search->searcher), BH_DB_READ,
                             &TOME_SQL_SEARCH_VOCABULARY, parameters, BH_COUNT_OF(parameters),
                             search->arena, &rows, reterr);
    if (result != 0)
        return result;
    struct bh_str *const words = bh_arena_calloc(search->arena, rows.row_count + 1, sizeof(*words));
    if (words == NULL)
        return no_memory(reterr);
    for (size_t i = 0; i < rows.row_count && result == 0; i++) {
        if (bh_db_is_null_at(&rows, i, 0))
            words[vocabulary.word_count++] = bh_db_text_at(&rows, i, 1);
        else
            result = check_generation(search, bh_db_int_at(&rows, i, 0));
    }
    vocabulary.words = words;
    if (result == 0)
        fetched->vocabularies[fetched->vocabulary_count++] = vocabulary;
    return result;
}

static int fetch(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct tome_fetched *const fetched = &search->postings.fetched;
    int result = fetched->wants_vocabulary ? fetch_vocabulary(search, reterr) : 0;
    if (result == 0 && (!fetched->wants_vocabulary || fetched->wanted.count > 0))
        result = fetch_lists(search, reterr);
    if (result == 0 && tome_fetched_done(fetched) < 0)
        result = no_memory(reterr);
    return result;
}

static const struct tome_catalogue_book *book_of(const struct postgres_search *const search,
                                                 const size_t hit)
{
    const struct tome_catalogue *const catalogue = search->postings.catalogue;
    const int64_t id = search->job->candidates[hit].id >> TOME_ORDINAL_BITS;
    return &catalogue->books[tome_visible_find(&catalogue->visible, id)];
}

/* The picked chunks, and those of their books that have page labels, as arrays of PostgreSQL. */
static void write_hits(const struct postgres_search *const search, struct bh_buf *const ids,
                       struct bh_buf *const labelled)
{
    int64_t last = 0;
    bh_buf_append_byte(ids, '{');
    bh_buf_append_byte(labelled, '{');
    for (size_t i = 0; i < search->job->count; i++) {
        const int64_t id = search->job->candidates[i].id;
        const int64_t book_id = id >> TOME_ORDINAL_BITS;
        if (i > 0)
            bh_buf_append_byte(ids, ',');
        bh_buf_append_int(ids, id);
        if (!book_of(search, i)->has_labels || book_id == last)
            continue;
        if (last > 0)
            bh_buf_append_byte(labelled, ',');
        bh_buf_append_int(labelled, book_id);
        last = book_id;
    }
    bh_buf_append_byte(ids, '}');
    bh_buf_append_byte(labelled, '}');
}

static int fetch_hits(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct bh_buf ids BH_CLEANUP(bh_buf_fini_cleanup);
    struct bh_buf labelled BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&ids, ARRAY_BYTES_MAX);
    bh_buf_init(&labelled, ARRAY_BYTES_MAX);
    write_hits(search, &ids, &labelled);
    if (bh_buf_error(&ids) != 0 || bh_buf_error(&labelled) != 0)
        return no_memory(reterr);
    const struct bh_db_value parameters[] = { bh_db_int(search->job->request->owner_id),
                                              bh_db_text(bh_buf_peek(&ids)),
                                              bh_db_text(bh_buf_peek(&labelled)) };
    return bh_db_query(tome_searcher_db(search->searcher), BH_DB_READ, &TOME_SQL_SEARCH_HITS,
                       parameters, BH_COUNT_OF(parameters), search->arena, &search->hits, reterr);
}

/* ---- Steps, without waiting ---- */

static int pick(void *const argument, struct tome_analyzer *const analyzer,
                const atomic_bool *const canceled, struct bh_error *const reterr)
{
    struct postgres_search *const search = argument;
    search->run.analyzer = analyzer;
    search->postings.canceled = canceled;
    return tome_search_job_pick(search->job, &search->run, reterr);
}

/* The columns of search_hits.sql. */
static struct tome_search_row row_at(const struct tome_catalogue_book *const book,
                                     const struct bh_db_rows *const rows, const size_t row)
{
    return (struct tome_search_row){
        .title = book->title,
        .author = book->author,
        .source_type = book->source_type,
        .page_kind = book->page_kind,
        .language = book->language,
        .tags = book->tags,
        .metadata = book->metadata,
        .chapter = bh_db_text_at(rows, row, 1),
        .page_number = bh_db_int_at(rows, row, 2),
        .page_breaks = bh_db_text_at(rows, row, 3),
        .paragraph = bh_db_int_at(rows, row, 4),
        .content = bh_db_text_at(rows, row, 5),
        .labels = bh_db_text_at(rows, row, 6),
    };
}

static int take_rows(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct tome_search_job *const job = search->job;
    const bool with_details = tome_search_job_wants_details(job);
    uint32_t *const rows = bh_arena_calloc(search->arena, job->count + 1, sizeof(*rows));
    if (rows == NULL)
        return no_memory(reterr);
    for (size_t i = 0; i < search->hits.row_count; i++) {
        const int64_t place = bh_db_int_at(&search->hits, i, 0);
        if (place >= 1 && (size_t)place <= job->count)
            rows[place - 1] = (uint32_t)i + 1;
    }
    int result = 0;
    for (size_t i = 0; i < job->count && result == 0; i++) {
        struct tome_search_row row = { .title = book_of(search, i)->title };
        if (with_details && rows[i] == 0) {
            tome_search_job_lost(job, i, reterr);
            return BH_ECONFLICT;
        }
        if (with_details)
            row = row_at(book_of(search, i), &search->hits, rows[i] - 1);
        result = tome_search_job_row(job, &search->run, i, &row, reterr);
    }
    return result;
}

static int take_facets(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct tome_facets *facets = NULL;
    int result = tome_facets_begin(&search->run, &facets, reterr);
    for (size_t i = 0; i < search->run.visible->book_count && result == 0; i++) {
        const struct tome_catalogue_book *const book = &search->postings.catalogue->books[i];
        if (search->run.scan.books[i].hit_count > 0)
            result = tome_facets_add(facets, &search->run, i, book->title, book->author,
                                     book->source_type, book->tags, reterr);
    }
    if (result == 0)
        tome_facets_end(facets, &search->job->answer.chunks);
    return result;
}

static int finish(void *const argument, struct tome_analyzer *const analyzer,
                  const atomic_bool *const canceled, struct bh_error *const reterr)
{
    struct postgres_search *const search = argument;
    (void)canceled;
    search->run.analyzer = analyzer;
    int result = take_rows(search, reterr);
    if (result == 0 && search->job->request->facets && !search->job->by_book)
        result = take_facets(search, reterr);
    if (result == 0)
        tome_search_job_finish(search->job);
    return result;
}

/* ---- The search ---- */

static int search_steps(struct postgres_search *const search, struct bh_error *const reterr)
{
    struct tome_searcher *const searcher = search->searcher;
    /* Nothing is fetched yet: this tells the words, in microseconds. */
    int result = tome_searcher_run(searcher, true, pick, search, reterr);
    for (unsigned fetches = 0; result == TOME_SEARCH_WANTS || fetches == 0; fetches++) {
        if (result != 0 && result != TOME_SEARCH_WANTS)
            return result;
        if (fetches == FETCHES_MAX)
            return bh_error_set(reterr, BH_EINTERNAL, "a search asks for ever more words");
        const int fetched = fetch(search, reterr);
        if (fetched != 0)
            return fetched;
        if (result == TOME_SEARCH_WANTS)
            result = tome_searcher_run(searcher, false, pick, search, reterr);
    }
    if (result == 0 && search->job->count > 0 && tome_search_job_wants_details(search->job))
        result = fetch_hits(search, reterr);
    return result == 0
               ? tome_searcher_run(searcher, search->job->count == 0, finish, search, reterr)
               : result;
}

/* On one catalogue. BH_ECONFLICT: it is out of date by now. */
static int search_catalogue(struct tome_searcher *const searcher, struct tome_search_job *const job,
                            struct tome_catalogue *const catalogue, int64_t *const ret_generation,
                            struct bh_error *const reterr)
{
    struct postgres_search *const search = calloc(1, sizeof(*search));
    if (search == NULL || bh_arena_create(FETCHED_BYTES_MAX, &search->arena) < 0) {
        free(search);
        return no_memory(reterr);
    }
    search->searcher = searcher;
    search->job = job;
    search->seen_generation = catalogue->generation;
    search->postings.catalogue = catalogue;
    tome_fetched_init(&search->postings.fetched, search->arena);
    search->run.source = &tome_search_postings;
    search->run.context = &search->postings;
    search->run.visible = &catalogue->visible;
    tome_search_job_begin(job, &search->run);
    const int result = search_steps(search, reterr);
    *ret_generation = search->seen_generation;
    tome_search_run_fini(&search->run);
    bh_arena_destroy(search->arena);
    free(search);
    return result;
}

int tome_search_postgres(struct tome_searcher *const searcher, struct tome_search_job *const job,
                         struct bh_error *const reterr)
{
    const int64_t owner_id = job->request->owner_id;
    int64_t generation = -1;
    int result = BH_ECONFLICT;
    for (unsigned try = 0; try < TRIES_MAX && result == BH_ECONFLICT; try++) {
        struct tome_catalogue *catalogue = NULL;
        int64_t seen = 0;
        result = tome_searcher_catalogue(searcher, owner_id, generation, &catalogue, reterr);
        if (result != 0)
            return result;
        const bool is_newest = catalogue->generation < generation; /* there was no newer one */
        result = search_catalogue(searcher, job, catalogue, &seen, reterr);
        if (result == BH_ECONFLICT && is_newest && seen == catalogue->generation) {
            tome_catalogue_unref(catalogue);
            return BH_ECORRUPT; /* a row is missing for good; which one has been told */
        }
        /* A row that has gone although the generation was the catalogue's: the change came in
         * between, so the next one is wanted. */
        generation = seen > catalogue->generation ? seen : catalogue->generation;
        generation += result == BH_ECONFLICT && seen == catalogue->generation;
        tome_catalogue_unref(catalogue);
    }
    return result == BH_ECONFLICT
               ? bh_error_set(reterr, BH_EUNAVAILABLE,
                              "the library changed each time it was searched; try again")
               : result;
}
