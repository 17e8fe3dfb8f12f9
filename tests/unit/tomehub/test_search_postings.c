/* Search over postings answers what search over FTS5 answers: the same chunks with the same scores,
 * the same counts, the same spelling. SQLite is the measure; the postings are made of the same
 * chunks and handed over as a database would, on demand. */
#include "library/search_postings.h"

#include "../prng.h"
#include "cmocka_setup.h"
#include "library/index_postings.h"
#include "library/search_job.h"
#include "test_library.h"

#define BOOKS_MAX 32
#define CHUNK_BYTES 1200

struct both {
    struct test_library *library;
    struct tome_index_postings *postings[BOOKS_MAX + 1]; /* by book id; NULL: none */
    struct tome_catalogue *catalogue;
    struct bh_arena *arena; /* of one search */
    char texts[BOOKS_MAX][12][CHUNK_BYTES];
    size_t fetches;
};

/* ---- A library of nonsense that has stems, phrases, names and rare words ---- */

static const char *const vocabulary[] = {
    "the",      "house",   "houses",    "housing",    "whale",      "whales",   "whaling",
    "sea",      "sail",    "sailed",    "sailing",    "sailor",     "band",     "bands",
    "speckled", "serpent", "serpents",  "general",    "generation", "generate", "of",
    "and",      "in",      "state",     "art",        "fire",       "fires",    "burn",
    "burning",  "burned",  "detective", "snake",      "swamp",      "adder",    "gold",
    "white",    "rough",   "boat",      "boats",      "harpoon",    "harpoons", "friend",
    "comic",    "tragic",  "strange",   "merely",     "number",     "numbers",  "cases",
    "studied",  "methods", "glancing",  "ungeziefer", "istanbul",   "ışıklar",  "élan",
};

static const char *const titles[] = { "The White Whale", "Houses of the Sea", "A Strange Detective",
                                      "Sailing to Istanbul", "General Methods" };
static const char *const authors[] = { "Herman Melville", "Arthur Conan Doyle", "", "Ada House" };
static const char *const languages[] = { "en", "en", "de", "fr", "" };
static const char *const tags[] = { "[\"sea\", \"Sci-Fi\"]", "[]", "[\"crime\"]" };
static const char *const headings[] = { NULL, "The Speckled Band", "Burning Houses", NULL };

static void write_text(char *const text, uint64_t *const seed)
{
    const uint64_t words = 5 + prng_below(seed, 60);
    size_t size = 0;
    for (uint64_t i = 0; i < words && size + 24 < CHUNK_BYTES; i++) {
        /* The square makes the first words common and the last ones rare. */
        const uint64_t a = prng_below(seed, BH_COUNT_OF(vocabulary));
        const uint64_t b = prng_below(seed, BH_COUNT_OF(vocabulary));
        size += (size_t)snprintf(text + size, CHUNK_BYTES - size, "%s%s", i > 0 ? " " : "",
                                 vocabulary[a < b ? a : b]);
    }
}

static void add_book(struct both *const both, const size_t number, uint64_t *const seed)
{
    struct test_book book = {
        .title = titles[number % BH_COUNT_OF(titles)],
        .author = authors[number % BH_COUNT_OF(authors)],
        .language = languages[prng_below(seed, BH_COUNT_OF(languages))],
        .source_type = number % 3 == 2 ? "NOTE" : "BOOK",
        .tags = tags[prng_below(seed, BH_COUNT_OF(tags))],
        .heading = headings[prng_below(seed, BH_COUNT_OF(headings))],
    };
    const uint64_t chunks = 1 + prng_below(seed, BH_COUNT_OF(both->texts[0]));
    for (uint64_t i = 0; i < chunks; i++) {
        write_text(both->texts[number][i], seed);
        book.chunks[i] = both->texts[number][i];
    }
    struct tome_index_chunk index_chunks[64];
    const int64_t id = test_library_add(both->library, &book);
    const size_t count = test_book_chunks(&book, id, index_chunks);
    assert_int_equal(
        tome_index_postings_prepare(both->library->analyzer,
                                    tome_language_from_code(bh_str_from(book.language)),
                                    index_chunks, count, &both->postings[id]),
        0);
}

static void read_catalogue(struct both *const both)
{
    static const struct bh_statement books = TEST_STATEMENT(
        "SELECT b.id, b.chunk_count, b.word_count, b.language, b.title, b.author, b.source_type, "
        "b.tags, b.title_sort, b.created_at, f.title, f.author, "
        "b.page_kind, b.metadata, 0 "
        "FROM books b JOIN books_fts f ON f.rowid = b.id WHERE b.state = 'ready' ORDER BY b.id");
    static const struct bh_statement lengths = TEST_STATEMENT(
        "SELECT book_id, first_ordinal, lengths FROM index_lengths");
    struct test_library *const library = both->library;
    struct bh_db_rows book_rows, length_rows;
    TEST_CHECK(bh_db_query(library->db, BH_DB_READ, &books, NULL, 0, library->arena, &book_rows,
                           &library->error));
    TEST_CHECK(bh_db_query(library->db, BH_DB_READ, &lengths, NULL, 0, library->arena, &length_rows,
                           &library->error));
    TEST_CHECK(
        tome_catalogue_create(1, 1, &book_rows, &length_rows, &both->catalogue, &library->error));
}

static int setup(void **const state)
{
    struct both *const both = calloc(1, sizeof(*both));
    assert_non_null(both);
    test_library_setup((void **)&both->library);
    assert_int_equal(bh_arena_create(256U << 20, &both->arena), 0);
    uint64_t seed = 20261121;
    for (size_t i = 0; i < BOOKS_MAX; i++)
        add_book(both, i, &seed);
    read_catalogue(both);
    *state = both;
    return 0;
}

static int teardown(void **const state)
{
    struct both *const both = *state;
    for (size_t i = 0; i <= BOOKS_MAX; i++)
        tome_index_postings_destroy(both->postings[i]);
    tome_catalogue_unref(both->catalogue);
    bh_arena_destroy(both->arena);
    test_library_teardown((void **)&both->library);
    free(both);
    return 0;
}

/* ---- Fetching, as from a database ---- */

/* Adds the lists of all words that `prefix` begins, or of the word itself. */
static void fetch_lists(struct both *const both, struct tome_fetched *const fetched,
                        const struct bh_str wanted, const bool is_prefix)
{
    for (size_t id = 1; id <= BOOKS_MAX; id++) {
        const struct tome_index_postings *const postings = both->postings[id];
        for (size_t i = 0; postings != NULL && i < tome_index_postings_count(postings); i++) {
            const struct bh_str word = tome_index_postings_word(postings, i);
            if (is_prefix ? !bh_str_starts_with(word, wanted) || word.data[1] == '.'
                          : !bh_str_equal(word, wanted))
                continue;
            /* Put behind what there is already, as the database does. */
            const struct bh_str list = tome_index_postings_list(postings, i);
            struct tome_word_list *known = NULL;
            for (size_t j = 0; j < fetched->chunks.count; j++)
                if (bh_str_equal(fetched->chunks.items[j].word, word))
                    known = &fetched->chunks.items[j];
            if (known == NULL) {
                assert_int_equal(tome_word_lists_add(&fetched->chunks, fetched->arena, word, list),
                                 0);
                continue;
            }
            char *const both_lists = bh_arena_alloc(fetched->arena,
                                                    known->postings.size + list.size);
            memcpy(both_lists, known->postings.data, known->postings.size);
            memcpy(both_lists + known->postings.size, list.data, list.size);
            known->postings = (struct bh_str){ both_lists, known->postings.size + list.size };
        }
    }
}

static void fetch_vocabulary(struct both *const both, struct tome_fetched *const fetched)
{
    static const struct bh_statement statement = TEST_STATEMENT(
        "SELECT word FROM index_words WHERE owner_id = 1 AND substr(word, 1, 1) = ?1 "
        "AND length(word) BETWEEN ?2 AND ?3 ORDER BY word");
    struct test_library *const library = both->library;
    struct tome_vocabulary *const wanted = &fetched->wanted_vocabulary;
    const struct bh_db_value parameters[] = { bh_db_text(wanted->letter),
                                              bh_db_int(wanted->letters_minimum),
                                              bh_db_int(wanted->letters_maximum) };
    struct bh_db_rows rows;
    TEST_CHECK(bh_db_query(library->db, BH_DB_READ, &statement, parameters, 3, both->arena, &rows,
                           &library->error));
    struct bh_str *const words = bh_arena_calloc(both->arena, rows.row_count + 1, sizeof(*words));
    for (size_t i = 0; i < rows.row_count; i++)
        words[i] = bh_db_text_at(&rows, i, 0);
    wanted->words = words;
    wanted->word_count = rows.row_count;
    fetched->vocabularies[fetched->vocabulary_count++] = *wanted;
}

static void fetch(struct both *const both, struct tome_fetched *const fetched)
{
    assert_true(tome_fetched_wants(fetched));
    struct tome_word_lists prefixed = fetched->wanted_prefixes;
    tome_word_lists_sort(&fetched->wanted);
    for (size_t i = 0; i < fetched->wanted.count; i++)
        fetch_lists(both, fetched, fetched->wanted.items[i].word, false);
    for (size_t i = 0; i < prefixed.count; i++) {
        const struct tome_word_lists kept = fetched->chunks;
        fetched->chunks = (struct tome_word_lists){ 0 };
        fetch_lists(both, fetched, prefixed.items[i].word, true);
        for (size_t j = 0; j < kept.count; j++)
            assert_int_equal(tome_word_lists_add(&fetched->chunks, fetched->arena,
                                                 kept.items[j].word, kept.items[j].postings),
                             0);
    }
    if (fetched->wants_vocabulary)
        fetch_vocabulary(both, fetched);
    assert_int_equal(tome_fetched_done(fetched), 0);
    both->fetches++;
}

/* ---- Comparing ---- */

static void search_postings(struct both *const both, struct tome_search_job *const job)
{
    struct test_library *const library = both->library;
    struct tome_postings_search search = { .catalogue = both->catalogue };
    struct tome_search_run *const run = calloc(1, sizeof(*run));
    tome_fetched_init(&search.fetched, both->arena);
    run->source = &tome_search_postings;
    run->context = &search;
    run->visible = &both->catalogue->visible;
    run->analyzer = library->analyzer;
    tome_search_job_begin(job, run);
    both->fetches = 0;
    int result;
    while ((result = tome_search_job_pick(job, run, &library->error)) == TOME_SEARCH_WANTS) {
        fetch(both, &search.fetched);
        assert_in_range(both->fetches, 1, 16);
    }
    TEST_CHECK(result);
    tome_search_run_fini(run);
    free(run);
}

static void expect_same(struct both *const both, const struct tome_search_request *const request)
{
    const struct tome_search_answer fts = test_library_search_for(both->library, request);
    struct tome_search_job job = { .request = request, .arena = both->arena, .page = 1 };
    bh_arena_reset(both->arena);
    search_postings(both, &job);
    const struct tome_search_answer *const ours = &job.answer.chunks;
    const char *const query = request->query.data;
    if (ours->total_count != fts.total_count || job.count != fts.hit_count)
        fail_msg("%s: %lld hits, FTS5 finds %lld", query, (long long)ours->total_count,
                 (long long)fts.total_count);
    assert_int_equal(ours->total_books, fts.total_books);
    assert_int_equal(ours->match_some, fts.match_some);
    if (!bh_str_equal(ours->did_you_mean, fts.did_you_mean))
        fail_msg("%s: did you mean %.*s, FTS5: %.*s", query, BH_STR_ARGS(ours->did_you_mean),
                 BH_STR_ARGS(fts.did_you_mean));
    for (size_t i = 0; i < fts.hit_count; i++) {
        if (job.candidates[i].id != fts.hits[i].id ||
            (double)job.candidates[i].score != fts.hits[i].score)
            fail_msg("%s: hit %zu is %llx with %f, FTS5: %llx with %f", query, i,
                     (long long)job.candidates[i].id, (double)job.candidates[i].score,
                     (long long)fts.hits[i].id, fts.hits[i].score);
    }
    bh_arena_reset(both->library->arena);
}

static void test_same_answers_to_queries_of_all_kinds(void **state)
{
    static const char *const queries[] = {
        "house",
        "houses",
        "\"houses\"",
        "the",
        "the of and",
        "whale sea",
        "\"the sea\"",
        "\"the the\"",
        "\"house the\" sail",
        "whale -sea",
        "whale -\"the sea\"",
        "-sea",
        "house OR serpent",
        "\"speckled band\"",
        "speckled band",
        "general",
        "generation",
        "sail*",
        "hous* sea",
        "\"the sai\"*",
        "-sail* house",
        "title:whale",
        "title:whale sea",
        "author:doyle burn",
        "author:\"conan doyle\"",
        "-author:doyle whale",
        "book:2 house",
        "book:whale house",
        "tag:crime fire",
        "tag:sci-fi",
        "type:note sea",
        "type:note OR whale",
        "melville harpoon",
        "melville",
        "strange detective snake",
        "istanbul",
        "isiklar",
        "elan",
        "sepent",
        "harpon",
        "detectiv",
        "ungezeifer",
        "the harpon",
        "xylophone",
        "glancing harpoons ungeziefer studied methods numbers",
        "what strange detective studied the burning swamp of gold with methods",
        "\"white whale\" xylophone",
        "\"no such phrase\"",
        "\"sailed rough\" xylophone umbrella",
        "state-of-the-art",
        "-whale -sea the",
        "whale OR whale OR house sea OR fire -boat",
        "burned burning burn",
        "\"burning houses\"",
        "houses -burning",
        "",
        "\"\"",
        "...",
    };
    struct both *const both = *state;
    for (size_t i = 0; i < BH_COUNT_OF(queries); i++) {
        struct tome_search_request request = test_request(queries[i]);
        request.page_size = 1000;
        expect_same(both, &request);
        request.instant = true;
        expect_same(both, &request);
    }
}

static void append_random_operand(char *const query, const size_t size, uint64_t *const seed)
{
    const char *const word = vocabulary[prng_below(seed, BH_COUNT_OF(vocabulary))];
    const char *const other = vocabulary[prng_below(seed, BH_COUNT_OF(vocabulary))];
    static const char *const shapes[] = { "%s",         "%s %s",        "-%s",      "\"%s %s\"",
                                          "%.3s*",      "%s OR %s",     "title:%s", "author:%s",
                                          "-\"%s %s\"", "\"%s %.2s\"*", "%.*s" };
    const size_t used = strlen(query);
    const size_t shape = prng_below(seed, BH_COUNT_OF(shapes));
    char operand[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (shape + 1 == BH_COUNT_OF(shapes)) /* misspelt: the last letter is missing */
        snprintf(operand, sizeof(operand), shapes[shape], (int)strlen(word) - 1, word);
    else
        snprintf(operand, sizeof(operand), shapes[shape], word, other);
#pragma GCC diagnostic pop
    snprintf(query + used, size - used, "%s%s", used > 0 ? " " : "", operand);
}

static void test_same_answers_to_random_queries(void **state)
{
    struct both *const both = *state;
    uint64_t seed = 4711;
    for (unsigned round = 0; round < 1000; round++) {
        char query[512] = "";
        for (uint64_t i = 1 + prng_below(&seed, 5); i > 0; i--)
            append_random_operand(query, sizeof(query), &seed);
        if (!bh_str_is_utf8(bh_str_from(query)))
            continue;
        struct tome_search_request request = test_request(query);
        request.page_size = 1000;
        request.instant = prng_below(&seed, 4) == 0;
        expect_same(both, &request);
    }
}

static void test_same_order_and_filters(void **state)
{
    static const enum tome_search_sort sorts[] = { TOME_SORT_NEWEST, TOME_SORT_TITLE,
                                                   TOME_SORT_PAGE };
    static const int64_t ids[] = { 2, 5, 900 };
    const struct bh_str types[] = { BH_STR("NOTE") }, names[] = { BH_STR("Ada House") };
    const struct bh_str marks[] = { BH_STR("Sci-Fi"), BH_STR("crime") };
    const struct tome_search_filters filters[] = {
        { .book_ids = ids, .book_id_count = 3 },
        { .source_types = types, .source_type_count = 1 },
        { .authors = names, .author_count = 1 },
        { .tags = marks, .tag_count = 2 },
        { .tags = marks, .tag_count = 1, .source_types = types, .source_type_count = 1 },
    };
    struct both *const both = *state;
    struct tome_search_request request = test_request("whale OR house OR sea");
    for (size_t i = 0; i < BH_COUNT_OF(sorts); i++) {
        request.sort = sorts[i];
        expect_same(both, &request);
    }
    request.sort = TOME_SORT_RELEVANCE;
    for (size_t i = 0; i < BH_COUNT_OF(filters); i++) {
        request.filters = filters[i];
        expect_same(both, &request);
    }
}

static void test_books_are_ranked_alike(void **state)
{
    struct both *const both = *state;
    struct test_library *const library = both->library;
    struct tome_search_request request = test_request("whale sea");
    struct tome_search_books_answer fts;
    TEST_CHECK(
        tome_search_books(library->searcher, &request, library->arena, &fts, &library->error));
    struct tome_search_job job = { .request = &request, .arena = both->arena, .by_book = true };
    bh_arena_reset(both->arena);
    search_postings(both, &job);
    const struct tome_search_books_answer *const ours = &job.answer.by_books;
    assert_int_equal(ours->book_count, fts.book_count);
    assert_in_range(ours->book_count, 2, BOOKS_MAX);
    for (size_t i = 0; i < fts.book_count; i++) {
        assert_int_equal(ours->books[i].book_id, fts.books[i].book_id);
        assert_int_equal(ours->books[i].match_count, fts.books[i].match_count);
        assert_int_equal(ours->books[i].page_count, fts.books[i].page_count);
        assert_true(ours->books[i].score == fts.books[i].score);
    }
}

static void test_damaged_postings_are_told(void **state)
{
    struct both *const both = *state;
    struct bh_error error;
    struct tome_postings_search search = { .catalogue = both->catalogue };
    struct tome_search_run *const run = calloc(1, sizeof(*run));
    const struct tome_search_request request = test_request("damagedword");
    struct tome_search_job job = { .request = &request, .arena = both->arena, .page = 1 };
    bh_arena_reset(both->arena);
    tome_fetched_init(&search.fetched, both->arena);
    run->source = &tome_search_postings;
    run->context = &search;
    run->visible = &both->catalogue->visible;
    run->analyzer = both->library->analyzer;
    tome_search_job_begin(&job, run);
    assert_int_equal(tome_search_job_pick(&job, run, &error), TOME_SEARCH_WANTS);
    for (size_t i = 0; i < search.fetched.wanted.count; i++)
        assert_int_equal(tome_word_lists_add(&search.fetched.chunks, both->arena,
                                             search.fetched.wanted.items[i].word,
                                             BH_STR("\x01\x05\x03garbage")),
                         0);
    assert_int_equal(tome_fetched_done(&search.fetched), 0);
    assert_int_equal(tome_search_job_pick(&job, run, &error), BH_ECORRUPT);
    assert_non_null(strstr(error.message, "--rebuild-index"));
    tome_search_run_fini(run);
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers_to_queries_of_all_kinds),
        cmocka_unit_test(test_same_answers_to_random_queries),
        cmocka_unit_test(test_same_order_and_filters),
        cmocka_unit_test(test_books_are_ranked_alike),
        cmocka_unit_test(test_damaged_postings_are_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
