#include "cmocka_setup.h"

#include "library/language.h"

static void test_codes(void **state)
{
    (void)state;
    assert_int_equal(tome_language_from_code(BH_STR("en")), TOME_LANGUAGE_ENGLISH);
    assert_int_equal(tome_language_from_code(BH_STR("EN-gb")), TOME_LANGUAGE_ENGLISH);
    assert_int_equal(tome_language_from_code(BH_STR("ger")), TOME_LANGUAGE_GERMAN);
    assert_int_equal(tome_language_from_code(BH_STR("deu_AT")), TOME_LANGUAGE_GERMAN);
    assert_int_equal(tome_language_from_code(BH_STR("tur")), TOME_LANGUAGE_TURKISH);
    assert_int_equal(tome_language_from_code(BH_STR("")), TOME_LANGUAGE_NONE);
    assert_int_equal(tome_language_from_code(BH_STR("-")), TOME_LANGUAGE_NONE);
    assert_int_equal(tome_language_from_code(BH_STR("tlh")), TOME_LANGUAGE_NONE);
    for (int i = 0; i < TOME_LANGUAGE_COUNT; i++)
        assert_int_equal(
            tome_language_from_code(bh_str_from(tome_language_code((enum tome_language)i))), i);
}

static void test_detection(void **state)
{
    (void)state;
    static const struct {
        enum tome_language language;
        const char *text;
    } cases[] = {
        { TOME_LANGUAGE_ENGLISH, "It is a truth universally acknowledged, that a single man in "
                                 "possession of a good fortune, must be in want of a wife." },
        { TOME_LANGUAGE_TURKISH, "Kitabın bu bölümünde bir çok yeni kavram ele alınır ve her biri "
                                 "için ayrı bir örnek verilir." },
        { TOME_LANGUAGE_GERMAN, "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, "
                                "fand er sich in seinem Bett zu einem Ungeziefer verwandelt." },
        { TOME_LANGUAGE_FRENCH, "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma "
                                "bougie éteinte, mes yeux se fermaient si vite." },
        { TOME_LANGUAGE_SPANISH, "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no "
                                 "ha mucho tiempo que vivía un hidalgo de los de lanza." },
        { TOME_LANGUAGE_ITALIAN, "Nel mezzo del cammin di nostra vita mi ritrovai per una selva "
                                 "oscura, che la diritta via era smarrita." },
        { TOME_LANGUAGE_PORTUGUESE, "O poeta é um fingidor. Finge tão completamente que chega a "
                                    "fingir que é dor a dor que deveras não sente mais." },
        { TOME_LANGUAGE_DUTCH, "Ik ben makelaar in koffie, en woon op de Lauriergracht. Het is "
                               "mijn gewoonte niet om romans te schrijven." },
        { TOME_LANGUAGE_RUSSIAN, "Все счастливые семьи похожи друг на друга, и каждая несчастливая "
                                 "семья несчастлива по-своему, но это не так." },
        { TOME_LANGUAGE_NONE, "" },
        { TOME_LANGUAGE_NONE, "xyzzy plugh 1234 foo bar" },
        { TOME_LANGUAGE_NONE, "東京都は日本の首都である" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++)
        assert_int_equal(tome_language_detect(bh_str_from(cases[i].text)), cases[i].language);
}

/* Look-up is by bisection: lists must stand in byte order, and so every listed word is found. */
static void test_stop_words(void **state)
{
    (void)state;
    static const char *const english[] = { "a", "the", "with", "yourselves", "what", "dont" };
    for (size_t i = 0; i < BH_COUNT_OF(english); i++)
        assert_true(tome_language_is_stop_word(TOME_LANGUAGE_ENGLISH, bh_str_from(english[i])));
    assert_true(tome_language_is_stop_word(TOME_LANGUAGE_TURKISH, BH_STR("icin")));
    assert_true(tome_language_is_stop_word(TOME_LANGUAGE_GERMAN, BH_STR("uber")));
    assert_true(tome_language_is_stop_word(TOME_LANGUAGE_RUSSIAN, BH_STR("я")));
    assert_false(tome_language_is_stop_word(TOME_LANGUAGE_ENGLISH, BH_STR("whale")));
    assert_false(tome_language_is_stop_word(TOME_LANGUAGE_ENGLISH, BH_STR("")));
    assert_false(tome_language_is_stop_word(TOME_LANGUAGE_NONE, BH_STR("the")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_detection),
        cmocka_unit_test(test_stop_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
