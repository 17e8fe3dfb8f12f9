#include "cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

#include "answers/extractive.h"

struct fixture {
    struct tome_analyzer *analyzer;
    struct bh_arena *arena;
};

static int setup(void **const state)
{
    struct fixture *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(tome_analyzer_create(&fixture->analyzer), 0);
    assert_int_equal(bh_arena_create(16U << 20, &fixture->arena), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **const state)
{
    struct fixture *const fixture = *state;
    tome_analyzer_destroy(fixture->analyzer);
    bh_arena_destroy(fixture->arena);
    free(fixture);
    return 0;
}

static const struct tome_query_stem lamp_stems[] = { { TOME_LANGUAGE_ENGLISH, { "lamp", 4 } } };
static const struct tome_query_stem burn_stems[] = { { TOME_LANGUAGE_ENGLISH, { "burn", 4 } } };

/* "lamps burning", and how much of the question each word is. */
static struct tome_extractive make(struct fixture *const fixture, const char *const *const contents,
                                   const size_t count)
{
    static struct tome_search_hit hits[TOME_EXTRACTIVE_CHUNKS_MAX + 4];
    const struct tome_search_word words[] = {
        { .form = BH_STR("lamps"), .stems = lamp_stems, .stem_count = 1, .weight = 2.0 },
        { .form = BH_STR("burning"), .stems = burn_stems, .stem_count = 1, .weight = 3.0 },
        { .form = BH_STR("whale"), .weight = 1.0 },
    };
    struct tome_search_answer found = { .hits = hits, .hit_count = count };
    struct tome_extractive answer;
    for (size_t i = 0; i < count; i++)
        hits[i] = (struct tome_search_hit){ .content = bh_str_from(contents[i]),
                                            .title = BH_STR("Light"),
                                            .score = 10.0 - (double)i,
                                            .passage.language = TOME_LANGUAGE_ENGLISH };
    found.words = words;
    found.word_count = BH_COUNT_OF(words);
    assert_int_equal(tome_extractive_make(fixture->analyzer, &found, fixture->arena, &answer), 0);
    return answer;
}

static void expect(const struct tome_extractive *const answer, const size_t index,
                   const char *const text)
{
    assert_true(index < answer->count);
    const struct bh_str said = answer->sentences[index].text;
    assert_int_equal(said.size, strlen(text));
    assert_memory_equal(said.data, text, said.size);
}

static void test_the_best_sentence_comes_first(void **state)
{
    static const char *const contents[] = {
        "The harbour was dark and cold. A lamp burns all night at the very end of the pier. "
        "Nobody knew of it."
    };
    const struct tome_extractive answer = make(*state, contents, 1);
    assert_int_equal(answer.count, 1);
    expect(&answer, 0, "A lamp burns all night at the very end of the pier.");
    assert_true(answer.coverage > 0.8 && answer.coverage < 0.85);
}

static void test_what_says_the_same_is_said_once(void **state)
{
    static const char *const contents[] = {
        "A lamp burns all night at the end of the pier.",
        "A lamp burns all night at the end of the old pier.",
        "Oil was burning in every lamp of the town hall that evening, wrote the mayor.",
    };
    const struct tome_extractive answer = make(*state, contents, 3);
    assert_int_equal(answer.count, 2);
    expect(&answer, 0, contents[0]);
    expect(&answer, 1, contents[2]);
}

static void test_sentences_of_a_chunk_keep_their_order(void **state)
{
    static const char *const contents[] = {
        "Lamps were rare in that part of the town. They found one burning lamp beside the whale."
    };
    const struct tome_extractive answer = make(*state, contents, 1);
    for (size_t i = 1; i < answer.count; i++)
        assert_true(answer.sentences[i].text.data > answer.sentences[i - 1].text.data);
    expect(&answer, answer.count - 1, "They found one burning lamp beside the whale.");
}

static void test_too_little_is_declined(void **state)
{
    static const char *const contents[] = { "The whale swam slowly past the dark pier." };
    const struct tome_extractive answer = make(*state, contents, 1);
    assert_int_equal(answer.count, 0);
    assert_true(answer.coverage < 0.2);
}

static void test_nothing_found_is_declined(void **state)
{
    const struct tome_extractive answer = make(*state, NULL, 0);
    assert_int_equal(answer.count, 0);
}

static void test_only_the_first_chunks_are_read(void **state)
{
    const char *contents[TOME_EXTRACTIVE_CHUNKS_MAX + 1];
    for (size_t i = 0; i < TOME_EXTRACTIVE_CHUNKS_MAX; i++)
        contents[i] = "Nothing of the kind is told here.";
    contents[TOME_EXTRACTIVE_CHUNKS_MAX] = "A lamp burns all night at the end of the pier.";
    assert_int_equal(make(*state, contents, BH_COUNT_OF(contents)).count, 0);
}

static void test_sentences_end(void **state)
{
    (void)state;
    static const char text[] = " I.\n\nDr. Roe came.  He left!\nWhy?";
    static const char *const wanted[] = { "I.", "Dr. Roe came.", "He left!", "Why?" };
    struct bh_str sentence;
    size_t at = 0;
    for (size_t i = 0; i < BH_COUNT_OF(wanted); i++) {
        assert_true(tome_sentence_next(BH_STR(text), &at, &sentence));
        assert_int_equal(sentence.size, strlen(wanted[i]));
        assert_memory_equal(sentence.data, wanted[i], sentence.size);
    }
    assert_false(tome_sentence_next(BH_STR(text), &at, &sentence));
    at = 0;
    assert_false(tome_sentence_next(BH_STR_NONE, &at, &sentence));
}

static void test_likeness(void **state)
{
    struct fixture *const fixture = *state;
    struct tome_sentence_words a, b, none = { .count = 0 };
    tome_sentence_words(fixture->analyzer, TOME_LANGUAGE_ENGLISH,
                        BH_STR("The lamps burn. The lamps burn."), &a);
    tome_sentence_words(fixture->analyzer, TOME_LANGUAGE_ENGLISH, BH_STR("a burning candle"), &b);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.token_count, 6);
    assert_true(tome_sentence_has(&a, tome_sentence_hash(BH_STR("lamp"))));
    assert_false(tome_sentence_has(&b, tome_sentence_hash(BH_STR("lamp"))));
    assert_true(tome_sentence_likeness(&a, &a) > 0.999);
    assert_true(tome_sentence_likeness(&a, &b) > 0.33 && tome_sentence_likeness(&a, &b) < 0.34);
    assert_true(tome_sentence_likeness(&none, &none) < 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_best_sentence_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_says_the_same_is_said_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sentences_of_a_chunk_keep_their_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_too_little_is_declined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_found_is_declined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_first_chunks_are_read, setup, teardown),
        cmocka_unit_test(test_sentences_end),
        cmocka_unit_test_setup_teardown(test_likeness, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
