#include "cmocka_setup.h"

#include "test_library.h"

static const struct test_book holmes = {
    .title = "The Adventures of Sherlock Holmes",
    .author = "Arthur Conan Doyle",
    .tags = "[\"detective\", \"Sci-Fi\"]",
    .heading = "The Speckled Band",
    .chunks = { "On glancing over my notes of the seventy odd cases in which I have studied the "
                "methods of my friend, I find many tragic, some comic, a large number merely "
                "strange.",
                "It is a swamp adder! cried the detective; the deadliest snake in India. He has "
                "died within ten seconds of being bitten.",
                "The speckled band! whispered Holmes. I took a step forward. In an instant his "
                "strange headgear began to move, and there reared itself from among his hair the "
                "squat diamond-shaped head of a loathsome serpent.",
                NULL },
};
static const struct test_book whale = {
    .title = "Moby-Dick; or, The Whale",
    .author = "Herman Melville",
    .chunks = { "Call me Ishmael. Some years ago, never mind how long precisely, having little or "
                "no money in my purse, I thought I would sail about a little and see the watery "
                "part of the world.",
                "The great whale rose from the sea, and the sailors sailed after it with harpoons "
                "in the whaling boats. The sea was rough.",
                "A white whale is rarer than a black one; a band of gold for the man who sees it.",
                NULL },
};
static const struct test_book turkish = {
    .title = "Işıklar Şehri",
    .author = "Ahmet Çelik",
    .language = "tr",
    .source_type = "NOTE",
    .chunks = { "İstanbul'un ışıkları gece boyunca sönmez; kitapların arasında bir çocuk uyur.",
                "ISPARTA gülleri ile ünlüdür.", NULL },
};
static const struct test_book german = {
    .title = "Die Verwandlung",
    .author = "Franz Kafka",
    .language = "de",
    .chunks = { "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich in "
                "seinem Bett zu einem ungeheueren Ungeziefer verwandelt. Die Häuser der Straße "
                "waren grau.",
                NULL },
};

/* Ids of the books above, in this order: 1 to 4. */
static int setup(void **const state)
{
    test_library_setup(state);
    assert_int_equal(test_library_add(*state, &holmes), 1);
    assert_int_equal(test_library_add(*state, &whale), 2);
    assert_int_equal(test_library_add(*state, &turkish), 3);
    assert_int_equal(test_library_add(*state, &german), 4);
    return 0;
}

/* The hits as "book.ordinal …", best first. */
static const char *hits_of(const struct tome_search_answer *const answer)
{
    static char result[1000];
    size_t size = 0;
    result[0] = '\0';
    for (size_t i = 0; i < answer->hit_count; i++)
        size += (size_t)snprintf(result + size, sizeof(result) - size, "%s%lld.%lld",
                                 i > 0 ? " " : "", (long long)(answer->hits[i].id >> 20),
                                 (long long)(answer->hits[i].id & 0xfffff));
    return result;
}

static const char *search(struct test_library *const library, const char *const query)
{
    const struct tome_search_answer answer = test_library_search(library, query);
    assert_int_equal(answer.total_count, answer.hit_count);
    return hits_of(&answer);
}

static void test_words(void **state)
{
    struct test_library *const library = *state;
    assert_string_equal(search(library, "ishmael"), "2.0");
    assert_string_equal(search(library, "whale sea"), "2.1");
    assert_string_equal(search(library, "the of a"), search(library, "the of a"));
    assert_string_equal(search(library, "zzzz"), "");
    assert_string_equal(search(library, ""), "");
    assert_string_equal(search(library, "\"\" - OR"), "");
    assert_string_equal(search(library, "-whale"), "");
}

static void test_stems_and_folding(void **state)
{
    struct test_library *const library = *state;
    assert_string_equal(search(library, "harpoon"), "2.1");
    assert_string_equal(search(library, "sailing sailor"), "2.1");
    assert_string_equal(search(library, "HÄUSER"), "4.0");
    assert_string_equal(search(library, "haus"), "4.0");
    assert_string_equal(search(library, "strasse"), "4.0");
    assert_string_equal(search(library, "traume"), "4.0");
}

static void test_turkish(void **state)
{
    struct test_library *const library = *state;
    static const char *const istanbul[] = { "istanbul", "İSTANBUL", "ISTANBUL", "ıstanbul" };
    for (size_t i = 0; i < BH_COUNT_OF(istanbul); i++)
        assert_string_equal(search(library, istanbul[i]), "3.0");
    assert_string_equal(search(library, "kitap"), "3.0");
    assert_string_equal(search(library, "çocuklar"), "3.0");
    assert_string_equal(search(library, "cocuk"), "3.0");
    assert_string_equal(search(library, "ısparta"), "3.1");
    assert_string_equal(search(library, "Isparta güller"), "3.1");
}

static void test_phrases_are_exact(void **state)
{
    struct test_library *const library = *state;
    /* The heading matches with its chapter's first chunk. */
    assert_string_equal(search(library, "\"speckled band\""), "1.2 1.0");
    assert_string_equal(search(library, "\"band speckled\""), "");
    assert_string_equal(search(library, "\"white whale\""), "2.2");
    assert_string_equal(search(library, "\"white whales\""), "");
    assert_string_equal(search(library, "\"call me ishmael\""), "2.0");
    assert_string_equal(search(library, "\"the sea was\""), "2.1");
    assert_string_equal(search(library, "\"diamond shaped\""), "1.2");
    assert_string_equal(search(library, "diamond-shaped"), "1.2");
}

static void test_operators(void **state)
{
    struct test_library *const library = *state;
    assert_string_equal(search(library, "whale -white -ishmael"), "2.1");
    assert_string_equal(search(library, "ishmael OR serpent"), "1.2 2.0");
    assert_string_equal(search(library, "serpe*"), "1.2");
    assert_string_equal(search(library, "ungehe*"), "4.0");
    assert_string_equal(search(library, "whale -\"white whale\" rough"), "2.1");
    assert_string_equal(search(library, "sea -\"great whale\""), "");
}

static void test_titles_and_authors_count_as_words(void **state)
{
    struct test_library *const library = *state;
    /* melville stands in no chunk: with a word of the text it finds that chunk. */
    assert_string_equal(search(library, "melville ishmael"), "2.0");
    assert_string_equal(search(library, "sherlock serpent"), "1.2");
    /* A title alone finds the book's first chunk. */
    assert_string_equal(search(library, "kafka verwandlung"), "4.0");
    assert_string_equal(search(library, "adventures of sherlock holmes"), "1.2 1.0");
}

static void test_fields(void **state)
{
    struct test_library *const library = *state;
    assert_string_equal(search(library, "author:melville band"), "2.2");
    assert_string_equal(search(library, "title:whale"), "2.0");
    assert_string_equal(search(library, "book:1 band"), "1.2 1.0");
    assert_string_equal(search(library, "book:verwandlung grau"), "4.0");
    assert_string_equal(search(library, "tag:detective snake"), "1.1");
    assert_string_equal(search(library, "tag:sci-fi snake"), "1.1");
    assert_string_equal(search(library, "tag:sci snake"), "");
    assert_string_equal(search(library, "type:note isparta"), "3.1");
    assert_string_equal(search(library, "-author:doyle band"), "2.2");
    assert_string_equal(search(library, "author:\"conan doyle\""), "1.0");
    assert_string_equal(search(library, "author:\"doyle conan\""), "");
    assert_string_equal(search(library, "type:note OR serpent"), "1.2 3.0");
}

static void test_filters(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("band");
    assert_int_equal(test_library_search_for(library, &request).total_count, 3);
    const int64_t ids[] = { 2, 77 };
    request.filters = (struct tome_search_filters){ .book_ids = ids, .book_id_count = 2 };
    assert_int_equal(test_library_search_for(library, &request).total_count, 1);
    const struct bh_str authors[] = { BH_STR("Arthur Conan Doyle"), BH_STR("Nobody") };
    request.filters = (struct tome_search_filters){ .authors = authors, .author_count = 2 };
    assert_int_equal(test_library_search_for(library, &request).total_count, 2);
    const struct bh_str tags[] = { BH_STR("detective") };
    request.filters = (struct tome_search_filters){ .tags = tags, .tag_count = 1 };
    assert_int_equal(test_library_search_for(library, &request).total_count, 2);
    const struct bh_str types[] = { BH_STR("NOTE") };
    request.filters = (struct tome_search_filters){ .source_types = types, .source_type_count = 1 };
    assert_int_equal(test_library_search_for(library, &request).total_count, 0);
}

static void test_long_questions_find_the_best_partial_matches(void **state)
{
    struct test_library *const library = *state;
    const struct tome_search_answer answer = test_library_search(
        library, "what was the name of the deadly snake that killed the doctor in the bedroom");
    assert_true(answer.match_some);
    assert_true(answer.hit_count > 0);
    assert_int_equal(answer.hits[0].id, (1 << 20) + 1);
    const struct tome_search_answer all = test_library_search(library, "the whale of the sea");
    assert_false(all.match_some);
    /* Phrases stay demanded as long as they find something. */
    const struct tome_search_answer phrase = test_library_search(
        library, "\"swamp adder\" kangaroo umbrella telegraph");
    assert_string_equal(hits_of(&phrase), "1.1");
    assert_true(phrase.match_some);
}

static void test_spelling(void **state)
{
    struct test_library *const library = *state;
    const struct tome_search_answer answer = test_library_search(library, "the ishmeal story");
    assert_true(answer.did_you_mean.size > 0);
    const struct tome_search_answer corrected = test_library_search(library, "ungezeifer");
    assert_true(bh_str_equal(corrected.did_you_mean, BH_STR("ungeziefer")));
    assert_string_equal(hits_of(&corrected), "4.0");
    const struct tome_search_answer right = test_library_search(library, "ishmael");
    assert_int_equal(right.did_you_mean.size, 0);
    const struct tome_search_answer none = test_library_search(library, "xylophonist");
    assert_int_equal(none.did_you_mean.size, 0);
    assert_int_equal(none.total_count, 0);
}

static void test_instant_completes_the_last_word(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("white wha");
    request.instant = true;
    struct tome_search_answer answer = test_library_search_for(library, &request);
    assert_string_equal(hits_of(&answer), "2.2");
    /* A whole word is found by its stem as well. */
    request.query = BH_STR("serpents");
    answer = test_library_search_for(library, &request);
    assert_string_equal(hits_of(&answer), "1.2");
    /* A word just begun completes titles only. */
    request.query = BH_STR("ka");
    answer = test_library_search_for(library, &request);
    assert_string_equal(hits_of(&answer), "4.0");
}

static void test_details(void **state)
{
    struct test_library *const library = *state;
    const struct tome_search_answer answer = test_library_search(library, "\"speckled band\"");
    const struct tome_search_hit *const hit = &answer.hits[0];
    assert_true(bh_str_equal(hit->title, bh_str_from(holmes.title)));
    assert_true(bh_str_equal(hit->author, bh_str_from(holmes.author)));
    assert_true(bh_str_equal(hit->chapter, bh_str_from(holmes.heading)));
    assert_true(bh_str_equal(hit->source_type, BH_STR("BOOK")));
    assert_true(bh_str_equal(hit->page_kind, BH_STR("section")));
    assert_true(bh_str_equal(hit->tags, bh_str_from(holmes.tags)));
    assert_true(bh_str_equal(hit->metadata, BH_STR("{}")));
    assert_true(bh_str_equal(hit->content, bh_str_from(holmes.chunks[2])));
    assert_int_equal(hit->book_id, 1);
    assert_int_equal(hit->page_number, 3);
    assert_true(bh_str_equal(hit->page_label, BH_STR("3")));
    assert_int_equal(hit->highlight_count, 1);
    assert_int_equal(hit->highlights[0].start, 4);
    assert_int_equal(hit->highlights[0].end, 17);
    assert_true(hit->score > 0);
}

static void test_page_of_the_first_highlight(void **state)
{
    struct test_library *const library = *state;
    static const struct test_book book = {
        .title = "Pages",
        .page_breaks = "20:7,40:8",
        .chunks = { "aardvark first page. badger second page. cormorant third page.", NULL },
    };
    const int64_t id = test_library_add(library, &book);
    char sql[200];
    snprintf(sql, sizeof(sql), "INSERT INTO page_labels VALUES (%lld, 7, 'vii')", (long long)id);
    test_library_run(library, sql);
    struct tome_search_answer answer = test_library_search(library, "aardvark");
    assert_int_equal(answer.hit_count, 1);
    assert_int_equal(answer.hits[0].page_number, 1);
    answer = test_library_search(library, "badger");
    assert_int_equal(answer.hits[0].page_number, 7);
    assert_true(bh_str_equal(answer.hits[0].page_label, BH_STR("vii")));
    answer = test_library_search(library, "cormorant");
    assert_int_equal(answer.hits[0].page_number, 8);
    assert_true(bh_str_equal(answer.hits[0].page_label, BH_STR("8")));
}

static void test_without_details(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("ishmael");
    request.include_details = false;
    const struct tome_search_answer answer = test_library_search_for(library, &request);
    assert_int_equal(answer.hit_count, 1);
    assert_true(bh_str_equal(answer.hits[0].title, bh_str_from(whale.title)));
    assert_int_equal(answer.hits[0].content.size, 0);
}

static void test_facets(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("band OR snake");
    request.facets = true;
    const struct tome_search_answer answer = test_library_search_for(library, &request);
    assert_int_equal(answer.total_count, 4);
    assert_int_equal(answer.total_books, 2);
    assert_int_equal(answer.facet_books.count, 2);
    assert_int_equal(answer.facet_books.values[0].id, 1);
    assert_int_equal(answer.facet_books.values[0].count, 3);
    assert_true(bh_str_equal(answer.facet_books.values[0].label, bh_str_from(holmes.title)));
    assert_int_equal(answer.facet_authors.count, 2);
    assert_true(bh_str_equal(answer.facet_authors.values[1].label, bh_str_from(whale.author)));
    assert_int_equal(answer.facet_source_types.values[0].count, 4);
    assert_int_equal(answer.facet_tags.count, 2);
    assert_int_equal(answer.facet_tags.values[0].count, 3);
}

static void test_sorts(void **state)
{
    struct test_library *const library = *state;
    static const struct {
        enum tome_search_sort sort;
        const char *hits;
    } cases[] = {
        { TOME_SORT_PAGE, "1.0 1.2 2.2" },
        { TOME_SORT_NEWEST, "2.2 1.0 1.2" },
        { TOME_SORT_TITLE, "2.2 1.0 1.2" }, /* Moby-Dick, The Adventures */
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct tome_search_request request = test_request("band");
        request.sort = cases[i].sort;
        const struct tome_search_answer answer = test_library_search_for(library, &request);
        assert_string_equal(hits_of(&answer), cases[i].hits);
    }
}

static void test_books(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("band");
    request.page_size = 10;
    struct tome_search_books_answer answer;
    TEST_CHECK(
        tome_search_books(library->searcher, &request, library->arena, &answer, &library->error));
    assert_int_equal(answer.total_books, 2);
    assert_int_equal(answer.total_count, 3);
    assert_int_equal(answer.book_count, 2);
    assert_false(answer.has_next);
    assert_int_equal(answer.books[0].book_id, 1);
    assert_int_equal(answer.books[0].match_count, 2);
    assert_int_equal(answer.books[0].page_count, 2);
    assert_int_equal(answer.books[0].pages[0].page_number, 1);
    assert_int_equal(answer.books[0].pages[1].page_number, 3);
    assert_true(answer.books[0].pages[1].snippet.size > 0);
    assert_true(bh_str_equal(answer.books[1].title, bh_str_from(whale.title)));
    request.page_size = 1;
    TEST_CHECK(
        tome_search_books(library->searcher, &request, library->arena, &answer, &library->error));
    assert_true(answer.has_next);
    request.page = 3;
    TEST_CHECK(
        tome_search_books(library->searcher, &request, library->arena, &answer, &library->error));
    assert_int_equal(answer.book_count, 0);
    request.page = UINT32_MAX;
    request.page_size = UINT32_MAX;
    TEST_CHECK(
        tome_search_books(library->searcher, &request, library->arena, &answer, &library->error));
    assert_int_equal(answer.book_count, 0);
}

/* Three languages, as many words as a query may have: one expression of hundreds of phrases. */
static void test_the_longest_query(void **state)
{
    struct test_library *const library = *state;
    char query[1000] = "ishmael";
    size_t size = strlen(query);
    for (unsigned i = 0; i < 100; i++)
        size += (size_t)snprintf(query + size, sizeof(query) - size, " word%cs%c",
                                 'a' + (int)(i % 26), 'a' + (int)(i / 26));
    const struct tome_search_answer answer = test_library_search(library, query);
    assert_true(answer.match_some);
    assert_string_equal(hits_of(&answer), "2.0");
}

/* Pages by number and pages by cursor are the same hits in the same order, each once. */
static void test_pages(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("band OR snake OR whale OR sea");
    const struct tome_search_answer all = test_library_search_for(library, &request);
    assert_in_range(all.hit_count, 5, 20);
    assert_false(all.has_next);
    assert_int_equal(all.next_cursor.size, 0);
    request.page_size = 2;
    struct bh_str cursor = BH_STR_NONE;
    for (size_t i = 0; i < all.hit_count; i += 2) {
        request.page = 1 + (uint32_t)(i / 2);
        request.cursor = BH_STR_NONE;
        const struct tome_search_answer page = test_library_search_for(library, &request);
        request.cursor = cursor;
        request.page = 1;
        const struct tome_search_answer behind = test_library_search_for(library, &request);
        assert_int_equal(page.total_count, all.hit_count);
        assert_int_equal(behind.total_count, all.hit_count);
        assert_int_equal(page.hit_count, behind.hit_count);
        assert_int_equal(page.has_next, i + 2 < all.hit_count);
        assert_int_equal(behind.has_next, page.has_next);
        assert_int_equal(behind.page, 1 + i / 2);
        for (size_t j = 0; j < page.hit_count; j++) {
            assert_int_equal(page.hits[j].id, all.hits[i + j].id);
            assert_int_equal(behind.hits[j].id, all.hits[i + j].id);
        }
        cursor = behind.next_cursor;
    }
    assert_int_equal(cursor.size, 0);
    request.cursor = BH_STR_NONE;
    request.page = UINT32_MAX;
    assert_int_equal(test_library_search_for(library, &request).hit_count, 0);
}

static void test_cursors_of_others_are_refused(void **state)
{
    struct test_library *const library = *state;
    static const char *const cursors[] = { "x",
                                           "-",
                                           "7ff0000000000000-1-2",
                                           "0-1",
                                           "0--1-2",
                                           "4000000000000000-1-2-3",
                                           "4000000000000000-1-1" };
    for (size_t i = 0; i < BH_COUNT_OF(cursors); i++) {
        struct tome_search_request request = test_request("band");
        struct tome_search_answer answer;
        request.cursor = bh_str_from(cursors[i]);
        assert_int_equal(
            tome_search(library->searcher, &request, library->arena, &answer, &library->error),
            BH_EINVAL);
    }
}

/* Ranks and hits of an owner are what they are in a library of the owner's own. */
static void test_owners_do_not_meet(void **state)
{
    static const struct test_book theirs = {
        .owner_id = 2,
        .title = "The Speckled Band",
        .tags = "[\"theirs\"]",
        .chunks = { "The speckled band was of another owner.", "A whale, a band, a swamp adder.",
                    "Speckled, speckled band; a lagniappe for nobody else." },
    };
    void *shared_state = NULL, *alone_state = NULL;
    (void)state;
    assert_int_equal(setup(&shared_state), 0);
    assert_int_equal(setup(&alone_state), 0);
    struct test_library *const library = shared_state, *const alone = alone_state;
    test_library_run(library, "INSERT OR IGNORE INTO owners (id) VALUES (2)");
    for (size_t i = 0; i < 20; i++) {
        struct test_book another = theirs;
        another.title = i % 2 == 0 ? "Another Band" : "Another Whale";
        test_library_add(library, &another);
    }
    static const char *const queries[] = { "speckled band", "whale", "band OR whale", "the adder" };
    for (size_t i = 0; i < BH_COUNT_OF(queries); i++) {
        struct tome_search_request request = test_request(queries[i]);
        request.facets = true;
        const struct tome_search_answer mine = test_library_search_for(library, &request);
        const struct tome_search_answer wanted = test_library_search_for(alone, &request);
        assert_int_equal(mine.hit_count, wanted.hit_count);
        assert_true(mine.hit_count > 0);
        for (size_t hit = 0; hit < mine.hit_count; hit++) {
            assert_int_equal(mine.hits[hit].id, wanted.hits[hit].id);
            assert_memory_equal(&mine.hits[hit].score, &wanted.hits[hit].score, sizeof(double));
        }
    }
    assert_string_equal(search(library, "lagniappe"), "");
    const struct tome_search_request misspelt = test_request("lagniapppe");
    assert_int_equal(test_library_search_for(library, &misspelt).did_you_mean.size, 0);
    test_library_teardown(&alone_state);
    test_library_teardown(&shared_state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_stems_and_folding),
        cmocka_unit_test(test_turkish),
        cmocka_unit_test(test_phrases_are_exact),
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_titles_and_authors_count_as_words),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_long_questions_find_the_best_partial_matches),
        cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_instant_completes_the_last_word),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_without_details),
        cmocka_unit_test(test_facets),
        cmocka_unit_test(test_sorts),
        cmocka_unit_test(test_books),
        cmocka_unit_test(test_the_longest_query),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_cursors_of_others_are_refused),
        cmocka_unit_test(test_page_of_the_first_highlight),
        cmocka_unit_test(test_owners_do_not_meet),
    };
    return cmocka_run_group_tests(tests, setup, test_library_teardown);
}
