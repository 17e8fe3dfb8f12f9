#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "concepts/key_terms.h"

struct fixture {
    struct tome_analyzer *analyzer;
    struct bh_arena *arena;
    struct tome_key_terms *terms;
    struct tome_key_result result;
};

static int setup(void **const state)
{
    struct fixture *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(tome_analyzer_create(&fixture->analyzer), 0);
    assert_int_equal(bh_arena_create(16U << 20, &fixture->arena), 0);
    assert_int_equal(tome_key_terms_create(&fixture->terms), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **const state)
{
    struct fixture *const fixture = *state;
    tome_key_terms_destroy(fixture->terms);
    tome_analyzer_destroy(fixture->analyzer);
    bh_arena_destroy(fixture->arena);
    free(fixture);
    return 0;
}

static void add(struct fixture *const fixture, const char *const text)
{
    tome_key_terms_add(fixture->terms, bh_str_from(text));
}

/* The labels with their counts: "Irene Adler 2, barometer 3". */
static const char *found(struct fixture *const fixture)
{
    static char list[2000];
    size_t size = 0;
    assert_int_equal(tome_key_terms_result(fixture->terms, fixture->analyzer, TOME_LANGUAGE_ENGLISH,
                                           fixture->arena, &fixture->result),
                     0);
    list[0] = '\0';
    for (size_t i = 0; i < fixture->result.term_count; i++)
        size += (size_t)snprintf(list + size, sizeof(list) - size, "%s%.*s %lld", i > 0 ? ", " : "",
                                 BH_STR_ARGS(fixture->result.terms[i].label),
                                 (long long)fixture->result.terms[i].count);
    return list;
}

static void test_names(void **state)
{
    struct fixture *const fixture = *state;
    add(fixture, "Here stood Irene Adler. Then Irene Adler left with Holmes.");
    add(fixture, "It was Holmes who saw the King of Bohemia. The end. The end.");
    assert_string_equal(found(fixture), "Irene Adler 2, Holmes 2");
    assert_int_equal(fixture->result.relation_count, 1);
    assert_int_equal(fixture->result.relations[0].count, 1);
}

static void test_clustered_words(void **state)
{
    struct fixture *const fixture = *state;
    add(fixture, "the barometer fell, the barometer rose, the barometer broke near houses");
    add(fixture, "many houses and more of the evenings; and the houses of old");
    assert_string_equal(found(fixture), "barometer 3, houses 3");
}

static void test_forms_of_a_word_are_one(void **state)
{
    struct fixture *const fixture = *state;
    add(fixture, "whales: lanterns lanterns lanterns lanterns, lantern lantern lantern");
    assert_string_equal(found(fixture), "lanterns 4");
}

/* What is one word to the pass over bytes may be several to the analysis; each wants an index. */
static void test_a_term_has_three_words_at_most(void **state)
{
    struct fixture *const fixture = *state;
    add(fixture,
        "of Alfa\u00abBeta\u00abGamma\u00abDelta and Alfa\u00abBeta\u00abGamma\u00abDelta");
    assert_string_equal(found(fixture), "Alfa\u00abBeta\u00abGamma\u00abDelta 2");
    const struct bh_str term = fixture->result.terms[0].term;
    assert_true(bh_str_equal(term, BH_STR("alfa beta gamma")));
}

static void test_no_text_harms(void **state)
{
    static const char *const texts[] = {
        "",     "\xff\xfe\x80 \xe2",     "\xe2\x80",      "A A A A A A A",
        "\xc3", "The The The. Of Of Of", "12 12 12 _ _ _"
    };
    struct fixture *const fixture = *state;
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++)
        add(fixture, texts[i]);
    (void)found(fixture);
    for (size_t i = 0; i < fixture->result.term_count; i++)
        assert_true(bh_str_is_utf8(fixture->result.terms[i].label));
}

static void test_many_words(void **state)
{
    struct fixture *const fixture = *state;
    char text[200];
    for (int i = 0; i < 60000; i++) {
        snprintf(text, sizeof(text), "word%c%c%c%c ended so, said Zora Quill to Zora Quill",
                 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676 % 26, 'a' + i / 17576 % 26);
        add(fixture, text);
    }
    assert_non_null(strstr(found(fixture), "Zora Quill 120000"));
    assert_true(fixture->result.term_count <= TOME_KEY_TERMS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clustered_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forms_of_a_word_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_term_has_three_words_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_text_harms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
