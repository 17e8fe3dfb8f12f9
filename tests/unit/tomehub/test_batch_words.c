/* The different words of a batch: what is remembered of a word is what analysis says of it. */
#include "cmocka_setup.h"

#include <stdio.h>

#include "library/batch_words.h"
#include "library/index.h"

#define STEMS_MAXIMUM ((size_t)1 << 20)

struct fixture {
    struct tome_analyzer *analyzer, *plain;
    struct tome_batch_words words;
    struct bh_buf text, forms, stems;
};

static int setup(void **const state)
{
    static struct fixture fixture;
    fixture = (struct fixture){ .analyzer = NULL };
    assert_int_equal(tome_analyzer_create(&fixture.analyzer), 0);
    assert_int_equal(tome_analyzer_create(&fixture.plain), 0);
    tome_batch_words_init(&fixture.words, STEMS_MAXIMUM);
    bh_buf_init(&fixture.text, STEMS_MAXIMUM);
    bh_buf_init(&fixture.forms, STEMS_MAXIMUM);
    bh_buf_init(&fixture.stems, STEMS_MAXIMUM);
    *state = &fixture;
    return 0;
}

static int teardown(void **const state)
{
    struct fixture *const fixture = *state;
    bh_buf_fini(&fixture->text);
    bh_buf_fini(&fixture->forms);
    bh_buf_fini(&fixture->stems);
    tome_batch_words_fini(&fixture->words);
    tome_analyzer_destroy(fixture->plain);
    tome_analyzer_destroy(fixture->analyzer);
    return 0;
}

/* Meets the words of `text`; each stem is compared with what another analyzer says. Returns how
 * many words there are. */
static size_t read_text(struct fixture *const fixture, const struct bh_str text,
                        const enum tome_language language)
{
    struct tome_token token, again;
    size_t count = 0;
    tome_analyzer_begin(fixture->analyzer, text);
    tome_analyzer_begin(fixture->plain, text);
    for (; tome_analyzer_next(fixture->analyzer, &token); count++) {
        const struct tome_span form = { fixture->forms.size, token.form.size };
        bh_buf_append_str(&fixture->forms, token.form);
        bh_buf_append_byte(&fixture->forms, ' ');
        struct tome_batch_word *const word = tome_batch_words_meet(&fixture->words,
                                                                   fixture->forms.data, form);
        assert_non_null(word);
        assert_int_equal(word->size, form.size);
        assert_int_equal(word->is_vocabulary, tome_index_is_vocabulary(token.form));
        bh_buf_clear(&fixture->stems);
        tome_batch_words_stem(&fixture->words, word, fixture->analyzer, &token, language,
                              &fixture->stems);

        assert_true(tome_analyzer_next(fixture->plain, &again));
        const struct bh_str stem = tome_analyzer_stem(fixture->plain, &again, language);
        char tag[TOME_STEM_TAG_SIZE], expected[256];
        tome_stem_tag(language, tag);
        const int size = bh_str_equal(stem, again.form)
                             ? 0
                             : snprintf(expected, sizeof(expected), "%.*s%.*s ", TOME_STEM_TAG_SIZE,
                                        tag, BH_STR_ARGS(stem));
        const struct bh_str wanted = { expected, (size_t)size };
        assert_true(bh_str_equal(bh_buf_peek(&fixture->stems), wanted));
    }
    return count;
}

static void each_word_is_remembered_once(void **const state)
{
    struct fixture *const fixture = *state;
    const struct bh_str text = BH_STR("The houses and the housing, the HOUSES and a barometer");
    assert_int_equal(read_text(fixture, text, TOME_LANGUAGE_ENGLISH), 10);
    assert_int_equal(fixture->words.count, 6);
    assert_true(fixture->words.words[1].is_vocabulary);
    assert_false(fixture->words.words[0].is_vocabulary);
}

/* Longer than what an entry holds, and alike for as long as that. */
static void long_words_are_told_apart(void **const state)
{
    struct fixture *const fixture = *state;
    const struct bh_str text = BH_STR("internationale internationales internationalen "
                                      "internationalea internationales");
    assert_int_equal(read_text(fixture, text, TOME_LANGUAGE_GERMAN), 5);
    assert_int_equal(fixture->words.count, 4);
}

static void many_words_keep_their_stems(void **const state)
{
    struct fixture *const fixture = *state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 3000; i++)
            bh_buf_printf(&fixture->text, "%c%c%cings ", 'a' + i % 26, 'a' + i / 26 % 26,
                          'a' + i / 676);
    assert_int_equal(read_text(fixture, bh_buf_peek(&fixture->text), TOME_LANGUAGE_ENGLISH), 6000);
    assert_int_equal(fixture->words.count, 3000);
}

/* Forms are the same, stems are not: they come of how the word is written. */
static void accents_and_the_turkish_i_are_stemmed_as_written(void **const state)
{
    struct fixture *const fixture = *state;
    const struct bh_str turkish = BH_STR("kıtapları kitapları KITAPLARI kıtaplari ISIKLAR ışıklar");
    read_text(fixture, turkish, TOME_LANGUAGE_TURKISH);
    const struct bh_str french = BH_STR("aimées aimees élève eleve élèves eleves AIMÉES");
    tome_batch_words_fini(&fixture->words);
    tome_batch_words_init(&fixture->words, STEMS_MAXIMUM);
    read_text(fixture, french, TOME_LANGUAGE_FRENCH);
}

static void stems_have_a_maximum(void **const state)
{
    struct fixture *const fixture = *state;
    struct tome_token token;
    tome_batch_words_fini(&fixture->words);
    tome_batch_words_init(&fixture->words, 4);
    tome_analyzer_begin(fixture->analyzer, BH_STR("houses"));
    assert_true(tome_analyzer_next(fixture->analyzer, &token));
    struct tome_batch_word *const word = tome_batch_words_meet(
        &fixture->words, token.form.data, (struct tome_span){ 0, token.form.size });
    assert_non_null(word);
    tome_batch_words_stem(&fixture->words, word, fixture->analyzer, &token, TOME_LANGUAGE_ENGLISH,
                          &fixture->stems);
    assert_int_equal(bh_buf_error(&fixture->stems), BH_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_word_is_remembered_once, setup, teardown),
        cmocka_unit_test_setup_teardown(long_words_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(many_words_keep_their_stems, setup, teardown),
        cmocka_unit_test_setup_teardown(accents_and_the_turkish_i_are_stemmed_as_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(stems_have_a_maximum, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
