#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/snippet.h"

struct fixture {
    struct tome_analyzer *analyzer;
    struct bh_arena *arena;
};

static int setup(void **const state)
{
    struct fixture *const fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(tome_analyzer_create(&fixture->analyzer), 0);
    assert_int_equal(bh_arena_create(64U << 20, &fixture->arena), 0);
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

static struct tome_snippet make(struct fixture *const fixture, const enum tome_language language,
                                const char *const text, const struct bh_str content)
{
    static struct tome_plan plan;
    const uint32_t languages = UINT32_C(1) << language;
    struct tome_query query;
    struct tome_snippet snippet;
    assert_int_equal(tome_query_parse(fixture->analyzer, bh_str_from(text), languages, false,
                                      fixture->arena, &query),
                     0);
    tome_plan_make(&query, language, &plan);
    for (size_t i = 0; i < plan.leaf_count; i++)
        plan.leaves[i].weight = 1.0;
    assert_int_equal(
        tome_snippet_make(fixture->analyzer, language, &plan, content, fixture->arena, &snippet),
        0);
    assert_true(bh_str_is_utf8(snippet.text));
    return snippet;
}

/* The excerpt with [ and ] around what is marked. */
static const char *marked(const struct tome_snippet *const snippet)
{
    static char result[20000];
    size_t size = 0, next = 0;
    uint32_t character = 0;
    for (size_t i = 0; i <= snippet->text.size; i++) {
        const bool at_end = i == snippet->text.size;
        if (at_end || ((unsigned char)snippet->text.data[i] & 0xc0) != 0x80) {
            if (next < snippet->highlight_count && snippet->highlights[next].end == character) {
                result[size++] = ']';
                next++;
            }
            if (next < snippet->highlight_count && snippet->highlights[next].start == character)
                result[size++] = '[';
            character++;
        }
        if (!at_end)
            result[size++] = snippet->text.data[i];
    }
    assert_int_equal(next, snippet->highlight_count);
    result[size] = '\0';
    return result;
}

static const char *excerpt(struct fixture *const fixture, const char *const query,
                           const char *const content)
{
    const struct tome_snippet snippet = make(fixture, TOME_LANGUAGE_ENGLISH, query,
                                             bh_str_from(content));
    return marked(&snippet);
}

/* `count` times the same sentence, which holds none of the words looked for; from malloc. */
static char *repeat(const char *const before, const char *const sentence, const size_t count,
                    const char *const after)
{
    char *const text = malloc(strlen(before) + count * strlen(sentence) + strlen(after) + 1);
    assert_non_null(text);
    char *end = stpcpy(text, before);
    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, sentence);
    stpcpy(end, after);
    return text;
}

static void test_what_matched_is_marked(void **state)
{
    struct fixture *const fixture = *state;
    static const char content[] = "The sailors sailed to the white whale.";
    assert_string_equal(excerpt(fixture, "whale", content),
                        "The sailors sailed to the white [whale].");
    assert_string_equal(excerpt(fixture, "sailing whales", content),
                        "The sailors [sailed] to the white [whale].");
    /* Stems that share but their first letter with the word, or all but its end. */
    assert_string_equal(excerpt(fixture, "die sky relate", "Dying skies, relational relics."),
                        "[Dying] [skies], [relational] relics.");
    assert_string_equal(excerpt(fixture, "sail*", content),
                        "The [sailors] [sailed] to the white whale.");
    assert_string_equal(excerpt(fixture, "\"white whale\"", content),
                        "The sailors sailed to the [white whale].");
    assert_string_equal(excerpt(fixture, "\"white whal\"*", content),
                        "The sailors sailed to the [white whale].");
    assert_string_equal(excerpt(fixture, "white OR sailors", content),
                        "The [sailors] sailed to the [white] whale.");
}

static void test_what_did_not_match_is_not_marked(void **state)
{
    struct fixture *const fixture = *state;
    static const char content[] = "The sailors sailed to the white whale.";
    assert_string_equal(excerpt(fixture, "\"whales\"", content), content);
    assert_string_equal(excerpt(fixture, "\"whale white\"", content), content);
    assert_string_equal(excerpt(fixture, "-whale", content), content);
    assert_string_equal(excerpt(fixture, "author:sailors", content), content);
    assert_string_equal(excerpt(fixture, "", content), content);
    assert_string_equal(excerpt(fixture, "the whale", content),
                        "The sailors sailed to the white [whale].");
    assert_string_equal(excerpt(fixture, "hite", content), content);
}

static void test_phrases_that_overlap_are_one_mark(void **state)
{
    struct fixture *const fixture = *state;
    assert_string_equal(excerpt(fixture, "\"one two\" \"two three\"", "zero one two three four"),
                        "zero [one two three] four");
    assert_string_equal(excerpt(fixture, "two \"one two three\"", "zero one two three four"),
                        "zero [one two three] four");
    assert_string_equal(excerpt(fixture, "\"one two three\" \"two three\"", "zero one two three"),
                        "zero [one two three]");
    assert_string_equal(excerpt(fixture, "\"two three\" \"one two three\"", "zero one two three"),
                        "zero [one two three]");
    assert_string_equal(excerpt(fixture, "\"a b a b\"", "b a b a b a b c"), "b [a b a b a b] c");
}

static void test_blanks_become_one(void **state)
{
    struct fixture *const fixture = *state;
    assert_string_equal(
        excerpt(fixture, "\"two three\"", "\n\n one\t two \r\n\n  three   four \n "),
        "one [two three] four");
    assert_string_equal(excerpt(fixture, "x", " \n\t "), "");
    assert_string_equal(excerpt(fixture, "x", ""), "");
    assert_int_equal(make(fixture, TOME_LANGUAGE_ENGLISH, "x", BH_STR_NONE).text.size, 0);
}

static void test_marks_count_characters(void **state)
{
    struct fixture *const fixture = *state;
    assert_string_equal(excerpt(fixture, "cafe fox", "naïve “Café” — \U0001f98a fox"),
                        "naïve “[Café]” — \U0001f98a [fox]");
    /* Marks that stand behind their letters belong to the word. */
    assert_string_equal(excerpt(fixture, "école", "L e\u0301cole\u0327 e\u0301\u0302\u0303"),
                        "L [e\u0301cole\u0327] e\u0301\u0302\u0303");
    assert_string_equal(excerpt(fixture, "東京", "私は東京に住む"), "私は[東京]に住む");
    struct tome_snippet snippet = make(fixture, TOME_LANGUAGE_TURKISH, "kitap ışık",
                                       BH_STR("KİTAPLARIN IŞIĞI, kitabı"));
    assert_string_equal(marked(&snippet), "[KİTAPLARIN] [IŞIĞI], [kitabı]");
    snippet = make(fixture, TOME_LANGUAGE_GERMAN, "strasse", BH_STR("Die STRAẞE, die Straßen"));
    assert_string_equal(marked(&snippet), "Die [STRAẞE], die [Straßen]");
}

static void test_the_window_is_where_the_matches_are(void **state)
{
    struct fixture *const fixture = *state;
    static const char filler[] = "Nothing of interest happened on that day. ";
    char *const early = repeat("A badger sat there. ", filler, 50, "");
    struct tome_snippet snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "badger",
                                       bh_str_from(early));
    assert_int_equal(snippet.first_match, 2);
    assert_true(bh_str_starts_with(snippet.text, BH_STR("A badger sat there. Nothing")));
    assert_true(bh_str_ends_with(snippet.text, BH_STR("…")));
    assert_in_range(snippet.text.size, 100, TOME_SNIPPET_BYTES + 100);
    free(early);

    char *const late = repeat("", filler, 50, "A badger sat there.");
    snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "badger", bh_str_from(late));
    assert_int_equal(snippet.first_match, 50 * strlen(filler) + 2);
    assert_true(bh_str_starts_with(snippet.text, BH_STR("…Nothing of")));
    assert_true(bh_str_ends_with(snippet.text, BH_STR("A badger sat there.")));
    free(late);

    /* Two different words together are better than one of them twice. */
    char *const far = repeat("A badger, a badger. ", filler, 50, "A badger met a heron.");
    snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "badger heron", bh_str_from(far));
    assert_true(bh_str_ends_with(snippet.text, BH_STR("A badger met a heron.")));
    assert_int_equal(snippet.highlight_count, 2);
    free(far);
}

static void test_without_a_match_it_is_the_beginning(void **state)
{
    struct fixture *const fixture = *state;
    char *const text = repeat("First. ", "Nothing of interest happened on that day. ", 50, "");
    const struct tome_snippet snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "xylophone",
                                             bh_str_from(text));
    assert_int_equal(snippet.highlight_count, 0);
    assert_int_equal(snippet.first_match, 0);
    assert_true(bh_str_starts_with(snippet.text, BH_STR("First. Nothing")));
    assert_true(bh_str_ends_with(snippet.text, BH_STR("…")));
    free(text);
}

static void test_words_without_end(void **state)
{
    struct fixture *const fixture = *state;
    char *const giant = repeat("", "ä", 5000, " badger ");
    char *const around = repeat(giant, "ö", 5000, "");
    struct tome_snippet snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "badger",
                                       bh_str_from(around));
    assert_int_equal(snippet.highlight_count, 1);
    assert_in_range(snippet.text.size, 10, TOME_SNIPPET_BYTES + 200);
    assert_int_equal(snippet.first_match, 10001);
    /* The giant itself is found by its beginning and shown whole. */
    snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "aaaa*", bh_str_from(around));
    assert_int_equal(snippet.highlight_count, 1);
    assert_int_equal(snippet.highlights[0].end - snippet.highlights[0].start, 5000);
    free(around);
    free(giant);

    /* One letter under thousands of marks. */
    char *const marks = repeat("badger e", "\u0301", 5000, "");
    snippet = make(fixture, TOME_LANGUAGE_ENGLISH, "badger", bh_str_from(marks));
    assert_int_equal(snippet.highlight_count, 1);
    free(marks);
}

static void test_marks_are_bounded(void **state)
{
    struct fixture *const fixture = *state;
    char *const text = repeat("", "a ", 5000, "");
    const struct tome_snippet snippet = make(fixture, TOME_LANGUAGE_NONE, "a", bh_str_from(text));
    assert_int_equal(snippet.highlight_count, TOME_SNIPPET_HIGHLIGHTS_MAX);
    marked(&snippet);
    free(text);
}

static void test_without_memory(void **state)
{
    struct fixture *const fixture = *state;
    static const struct tome_plan plan;
    struct bh_arena *small = NULL;
    assert_int_equal(bh_arena_create(64, &small), 0);
    struct tome_snippet snippet = { .first_match = 77 };
    assert_int_equal(tome_snippet_make(fixture->analyzer, TOME_LANGUAGE_ENGLISH, &plan,
                                       BH_STR("some words"), small, &snippet),
                     BH_ENOMEM);
    assert_int_equal(snippet.first_match, 77);
    bh_arena_destroy(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_matched_is_marked),
        cmocka_unit_test(test_what_did_not_match_is_not_marked),
        cmocka_unit_test(test_phrases_that_overlap_are_one_mark),
        cmocka_unit_test(test_blanks_become_one),
        cmocka_unit_test(test_marks_count_characters),
        cmocka_unit_test(test_the_window_is_where_the_matches_are),
        cmocka_unit_test(test_without_a_match_it_is_the_beginning),
        cmocka_unit_test(test_words_without_end),
        cmocka_unit_test(test_marks_are_bounded),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
