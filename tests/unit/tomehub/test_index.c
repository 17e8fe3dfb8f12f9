#include "cmocka_setup.h"

#include "test_library.h"

/* A book of many chunks, its words partly its own. */
static const struct test_book voyage = {
    .title = "A Voyage",
    .author = "Ada North",
    .heading = "Sailing Orders",
    .tags = "[\"journey\"]",
    .chunks = { "The schooner sailed at dawn with a cargo of copper.",
                "Copper rang in the hold; the schooner rolled.", "", "1,000 … 3.14",
                "Gökyüzü 東京 e\u0301cole l'Étranger's", "The captain slept.", NULL },
};
static const struct test_book harbour = {
    .title = "The Harbour",
    .author = "Bo South",
    .chunks = { "A schooner lay in the harbour.", NULL },
};

static int64_t count(struct test_library *const library, const char *const sql)
{
    return test_library_run(library, sql);
}

static void check_integrity(struct test_library *const library)
{
    test_library_run(library, "INSERT INTO chunks_fts (chunks_fts) VALUES ('integrity-check')");
    test_library_run(library, "INSERT INTO books_fts (books_fts) VALUES ('integrity-check')");
}

/* Chunks that a word of the index finds, whether or not they are visible. */
static int64_t found(struct test_library *const library, const char *const expression)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM chunks_fts WHERE chunks_fts MATCH '%s'",
             expression);
    return count(library, sql);
}

static void test_what_is_added_and_removed_leaves_nothing(void **state)
{
    struct test_library *const library = *state;
    const int64_t id = test_library_add(library, &voyage);
    check_integrity(library);
    assert_int_equal(found(library, "schooner"), 2);
    assert_int_equal(found(library, "heading:\"sailing orders\""), 6);
    assert_int_equal(found(library, "stems:\"b.sail\""), 1);
    assert_true(count(library, "SELECT count(*) FROM index_words") > 10);
    assert_int_equal(count(library, "SELECT count(*) FROM index_lengths"), 1);

    test_library_remove(library, id, &voyage);
    check_integrity(library);
    assert_int_equal(found(library, "schooner OR copper OR sail OR sailing OR captain"), 0);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), 0);
    assert_int_equal(count(library, "SELECT count(*) FROM books_fts"), 0);
    test_library_run(library, "CREATE VIRTUAL TABLE IF NOT EXISTS temp.terms "
                              "USING fts5vocab(main, chunks_fts, row)");
    assert_int_equal(count(library, "SELECT count(*) FROM temp.terms"), 0);
}

static void test_words_stay_while_another_book_holds_them(void **state)
{
    struct test_library *const library = *state;
    const int64_t first = test_library_add(library, &voyage);
    const int64_t second = test_library_add(library, &harbour);
    test_library_remove(library, first, &voyage);
    check_integrity(library);
    assert_int_equal(
        count(library, "SELECT count(*) FROM index_words WHERE word IN ('schooner', 'copper')"), 1);
    assert_int_equal(test_library_search(library, "schooner").total_count, 1);
    test_library_remove(library, second, &harbour);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), 0);
}

/* Adds or removes chunks first … end of the book, prepared as one batch. */
static void write_range_knowing(struct test_library *const library, const int64_t id,
                                const struct test_book *const book, const size_t first,
                                const size_t end, const bool is_removal,
                                struct tome_known_words *const known)
{
    struct tome_index_chunk chunks[64];
    assert_true(test_book_chunks(book, id, chunks) >= end);
    struct tome_index_batch *batch = NULL;
    struct bh_db_transaction *transaction = NULL;
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer,
                                  TOME_LANGUAGE_ENGLISH, chunks + first, end - first, &batch,
                                  &library->error));
    TEST_CHECK(bh_db_begin(library->db, BH_DB_WRITE, &transaction, &library->error));
    TEST_CHECK(is_removal ? tome_index_remove(transaction, 1, batch, &library->error)
                          : tome_index_add_words(transaction, 1, batch, known, &library->error));
    if (!is_removal)
        TEST_CHECK(tome_index_add_chunks(transaction, batch, &library->error));
    TEST_CHECK(bh_db_commit(transaction, &library->error));
    tome_index_batch_destroy(batch);
}

static void write_range(struct test_library *const library, const int64_t id,
                        const struct test_book *const book, const size_t first, const size_t end,
                        const bool is_removal)
{
    write_range_knowing(library, id, book, first, end, is_removal, NULL);
}

static void test_batches_may_differ_between_adding_and_removing(void **state)
{
    struct test_library *const library = *state;
    write_range(library, 900, &voyage, 0, 2, false);
    write_range(library, 900, &voyage, 2, 5, false);
    write_range(library, 900, &voyage, 5, 6, false);
    check_integrity(library);
    assert_int_equal(found(library, "schooner"), 2);
    write_range(library, 900, &voyage, 0, 1, true);
    check_integrity(library);
    assert_int_equal(found(library, "schooner"), 1);
    assert_int_equal(
        count(library, "SELECT count(*) FROM index_words WHERE word IN ('schooner', 'cargo')"), 1);
    write_range(library, 900, &voyage, 1, 6, true);
    check_integrity(library);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), 0);
    test_library_run(library, "DELETE FROM index_lengths");
}

/* What is remembered of the vocabulary must not outlive what is in it, whoever removed it. */
static void test_known_words_come_back_after_their_removal(void **state)
{
    struct test_library *const library = *state;
    struct tome_known_words *known = NULL;
    assert_int_equal(tome_known_words_create(&known), 0);
    write_range_knowing(library, 902, &voyage, 0, 2, false, known);
    const int64_t words = count(library, "SELECT count(*) FROM index_words");
    assert_true(words > 5);
    write_range_knowing(library, 902, &voyage, 2, 6, false, known);
    assert_true(count(library, "SELECT count(*) FROM index_words") > words);
    write_range(library, 902, &voyage, 0, 6, true);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), 0);
    write_range_knowing(library, 903, &voyage, 0, 2, false, known);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), words);

    /* Made anew without the chunks, which were never written: nothing is left. */
    TEST_CHECK(tome_index_rebuild(library->db, &library->error));
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), 0);
    write_range_knowing(library, 904, &voyage, 0, 2, false, known);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), words);
    write_range(library, 904, &voyage, 0, 2, true);
    tome_known_words_destroy(known);
    test_library_run(library, "DELETE FROM index_lengths");
}

static void test_a_transaction_rolled_back_leaves_nothing(void **state)
{
    struct test_library *const library = *state;
    struct tome_index_chunk chunks[64];
    const size_t chunk_count = test_book_chunks(&voyage, 901, chunks);
    struct tome_index_batch *batch = NULL;
    struct bh_db_transaction *transaction = NULL;
    TEST_CHECK(tome_index_prepare(tome_index_form(library->db), library->analyzer,
                                  TOME_LANGUAGE_ENGLISH, chunks, chunk_count, &batch,
                                  &library->error));
    TEST_CHECK(bh_db_begin(library->db, BH_DB_WRITE, &transaction, &library->error));
    test_library_write(library, transaction, 901, &voyage);
    TEST_CHECK(tome_index_add_words(transaction, 1, batch, NULL, &library->error));
    TEST_CHECK(tome_index_add_chunks(transaction, batch, &library->error));
    TEST_CHECK(tome_index_set_book(transaction, library->analyzer, 1, 901, BH_STR("Title"),
                                   BH_STR("Author"), &library->error));
    bh_db_rollback(transaction);
    tome_index_batch_destroy(batch);
    check_integrity(library);
    assert_int_equal(found(library, "schooner"), 0);
    assert_int_equal(count(library, "SELECT count(*) FROM index_words"), 0);
    assert_int_equal(count(library, "SELECT count(*) FROM books_fts"), 0);
    assert_int_equal(count(library, "SELECT count(*) FROM index_lengths"), 0);
}

static void set_title(struct test_library *const library, const int64_t id, const char *const title)
{
    struct bh_db_transaction *transaction = NULL;
    TEST_CHECK(bh_db_begin(library->db, BH_DB_WRITE, &transaction, &library->error));
    TEST_CHECK(tome_index_set_book(transaction, library->analyzer, 1, id, bh_str_from(title),
                                   BH_STR("Ada North"), &library->error));
    TEST_CHECK(bh_db_commit(transaction, &library->error));
    test_library_bump(library);
}

static void test_a_new_title_takes_the_old_ones_place(void **state)
{
    struct test_library *const library = *state;
    const int64_t id = test_library_add(library, &voyage);
    assert_int_equal(test_library_search(library, "title:voyage").total_count, 1);
    set_title(library, id, "An Expedition");
    assert_int_equal(test_library_search(library, "title:voyage").total_count, 0);
    assert_int_equal(test_library_search(library, "title:expeditions").total_count, 1);
    set_title(library, id, "");
    assert_int_equal(test_library_search(library, "title:expeditions").total_count, 0);
    assert_int_equal(test_library_search(library, "author:north").total_count, 1);
    check_integrity(library);
    test_library_remove(library, id, &voyage);
}

/* ---- Visibility ---- */

static void assert_nothing(struct test_library *const library, const char *const query)
{
    struct tome_search_request request = test_request(query);
    request.facets = true;
    const struct tome_search_answer answer = test_library_search_for(library, &request);
    assert_int_equal(answer.hit_count, 0);
    assert_int_equal(answer.total_count, 0);
    assert_int_equal(answer.total_books, 0);
    assert_int_equal(answer.did_you_mean.size, 0);
    assert_int_equal(answer.facet_books.count, 0);
    assert_int_equal(answer.facet_authors.count, 0);
    assert_int_equal(answer.facet_source_types.count, 0);
    assert_int_equal(answer.facet_tags.count, 0);
    struct tome_search_books_answer books;
    TEST_CHECK(
        tome_search_books(library->searcher, &request, library->arena, &books, &library->error));
    assert_int_equal(books.total_books, 0);
    assert_int_equal(books.total_count, 0);
    assert_int_equal(books.did_you_mean.size, 0);
}

static void assert_hidden(struct test_library *const library)
{
    static const char *const queries[] = {
        "schooner",
        "copper cargo",
        "\"cargo of copper\"",
        "schoo*",
        "title:voyage",
        "author:north",
        "tag:journey",
        "voyage",
        "north copper",
        "sailing orders",
        "schoner",
        "coppre cargo",
        "where did the captain of the copper schooner sleep at dawn",
    };
    for (size_t i = 0; i < BH_COUNT_OF(queries); i++)
        assert_nothing(library, queries[i]);
}

static void test_only_ready_books_of_the_owner_are_there(void **state)
{
    struct test_library *const library = *state;
    static const struct test_book visible = { .title = "Gardens",
                                              .chunks = { "Roses bloom in June.", NULL } };
    const int64_t other_id = test_library_add(library, &visible);
    test_library_run(library, "INSERT INTO owners (id, generation) VALUES (2, 1)");
    static const char *const states[] = { "loading", "purging" };
    for (size_t i = 0; i < BH_COUNT_OF(states); i++) {
        struct test_book hidden = voyage;
        hidden.state = states[i];
        const int64_t id = test_library_add(library, &hidden);
        assert_hidden(library);
        test_library_remove(library, id, &hidden);
    }
    struct test_book foreign = voyage;
    foreign.owner_id = 2;
    const int64_t id = test_library_add(library, &foreign);
    assert_hidden(library);
    struct tome_search_request request = test_request("schooner copper");
    request.owner_id = 2;
    assert_int_equal(test_library_search_for(library, &request).total_count, 2);
    request.query = BH_STR("roses");
    assert_int_equal(test_library_search_for(library, &request).total_count, 0);
    /* Nor may its owner be told of the first one's words, or the other way round. */
    request.query = BH_STR("rosse june");
    assert_int_equal(test_library_search_for(library, &request).did_you_mean.size, 0);
    /* Naming the book does not help. */
    char query[64];
    snprintf(query, sizeof(query), "book:%lld schooner", (long long)id);
    assert_nothing(library, query);
    struct tome_search_request by_filter = test_request("schooner");
    by_filter.filters = (struct tome_search_filters){ .book_ids = &id, .book_id_count = 1 };
    assert_int_equal(test_library_search_for(library, &by_filter).total_count, 0);
    test_library_remove(library, id, &foreign);
    test_library_remove(library, other_id, &visible);
}

static void test_a_flip_swaps_books_at_once(void **state)
{
    struct test_library *const library = *state;
    struct test_book next = harbour;
    next.state = "loading";
    const int64_t old_id = test_library_add(library, &voyage);
    const int64_t new_id = test_library_add(library, &next);
    const struct tome_search_answer before = test_library_search(library, "schooner");
    assert_int_equal(before.total_books, 1);
    assert_int_equal(before.hits[0].book_id, old_id);
    test_library_run(library,
                     "UPDATE books SET state = CASE state WHEN 'ready' THEN 'purging' ELSE 'ready' "
                     "END");
    test_library_bump(library);
    const struct tome_search_answer after = test_library_search(library, "schooner");
    assert_int_equal(after.total_books, 1);
    assert_int_equal(after.hits[0].book_id, new_id);
    test_library_remove(library, old_id, &voyage);
    test_library_remove(library, new_id, &next);
}

static void test_an_unknown_owner(void **state)
{
    struct test_library *const library = *state;
    struct tome_search_request request = test_request("schooner");
    request.owner_id = 77;
    struct tome_search_answer answer;
    assert_int_equal(
        tome_search(library->searcher, &request, library->arena, &answer, &library->error),
        BH_ENOTFOUND);
}

/* ---- Words in the index ---- */

static void test_operators_in_the_index(void **state)
{
    struct test_library *const library = *state;
    static const struct test_book book = {
        .title = "Operators",
        .chunks = { "alpha beta gamma", "alpha gamma beta", "beta delta OR near and not",
                    "alphabet", "v2.0 costs 1,000", NULL },
    };
    static const struct {
        const char *query;
        int64_t total;
    } cases[] = {
        { "\"alpha beta\"", 1 },
        { "\"gamma alpha\"", 0 }, /* ends one chunk, begins the next */
        { "alpha -\"alpha beta\"", 1 },
        { "gamma OR delta", 3 },
        { "alpha*", 3 },
        { "\"alph\"", 0 },
        { "\"beta gam\"*", 1 },
        { "alpha gamma OR delta", 2 },
        { "-alpha beta", 1 },
        { "-alpha*  beta", 1 },
        { "\"or near and not\"", 1 },
        { "\"1000\"", 1 },
        { "1,000", 1 },
        { "\"v2 0\"", 1 },
        { "beta -delta -gamma", 0 },
        { "\"beta\" \"delta\"", 1 },
    };
    const int64_t id = test_library_add(library, &book);
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct tome_search_answer answer = test_library_search(library, cases[i].query);
        if (answer.total_count != cases[i].total || answer.match_some)
            fail_msg("%s: %lld hits, not %lld%s", cases[i].query, (long long)answer.total_count,
                     (long long)cases[i].total, answer.match_some ? ", of some words" : "");
    }
    test_library_remove(library, id, &book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_added_and_removed_leaves_nothing),
        cmocka_unit_test(test_words_stay_while_another_book_holds_them),
        cmocka_unit_test(test_batches_may_differ_between_adding_and_removing),
        cmocka_unit_test(test_known_words_come_back_after_their_removal),
        cmocka_unit_test(test_a_transaction_rolled_back_leaves_nothing),
        cmocka_unit_test(test_a_new_title_takes_the_old_ones_place),
        cmocka_unit_test(test_only_ready_books_of_the_owner_are_there),
        cmocka_unit_test(test_a_flip_swaps_books_at_once),
        cmocka_unit_test(test_an_unknown_owner),
        cmocka_unit_test(test_operators_in_the_index),
    };
    return cmocka_run_group_tests(tests, test_library_setup, test_library_teardown);
}
