#include "cmocka_setup.h"

#include <stdio.h>

#include "bulkhead/base/buf.h"
#include "library/analysis.h"

/* The forms of `text`, or its stems, joined by blanks. */
static const char *analyse(const struct bh_str text, const bool stems,
                           const enum tome_language language)
{
    static char result[4096];
    struct tome_analyzer *analyzer = NULL;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    tome_analyzer_begin(analyzer, text);
    struct tome_token token;
    size_t size = 0, end_before = 0;
    while (tome_analyzer_next(analyzer, &token)) {
        assert_true(token.start < token.end && token.end <= text.size);
        assert_true(token.start >= end_before);
        end_before = token.end;
        assert_in_range(token.form.size, 1, TOME_FORM_MAX);
        assert_true(bh_str_is_utf8(token.form));
        const struct bh_str word = stems ? tome_analyzer_stem(analyzer, &token, language)
                                         : token.form;
        assert_in_range(word.size, 1, TOME_FORM_MAX);
        size += (size_t)snprintf(result + size, sizeof(result) - size, "%s%.*s",
                                 size > 0 ? " " : "", BH_STR_ARGS(word));
        assert_true(size < sizeof(result));
    }
    result[size] = '\0';
    tome_analyzer_destroy(analyzer);
    return result;
}

static const char *forms(const char *const text)
{
    return analyse(bh_str_from(text), false, TOME_LANGUAGE_NONE);
}

static const char *stems(const char *const text, const enum tome_language language)
{
    return analyse(bh_str_from(text), true, language);
}

static void test_words_are_runs_of_letters_and_digits(void **state)
{
    (void)state;
    assert_string_equal(forms("The quick, brown fox (1887)!"), "the quick brown fox 1887");
    assert_string_equal(forms(""), "");
    assert_string_equal(forms("… — !? \t\n"), "");
    assert_string_equal(forms("state-of-the-art snake_case F-14"),
                        "state of the art snake case f 14");
}

static void test_case_and_diacritics_are_folded(void **state)
{
    (void)state;
    assert_string_equal(forms("Čapek Brontë ÉCOLE naïve façade Ångström"),
                        "capek bronte ecole naive facade angstrom");
    assert_string_equal(forms("Straße STRASSE œuvre Æsir Øre Łódź"),
                        "strasse strasse oeuvre aesir ore lodz");
    assert_string_equal(forms("ﬁnd Ⅷ ＡＢＣ x²"), "find viii abc x2");
    assert_string_equal(forms("Ἀθῆναι ΣΟΦΟΣ σοφός"), "αθηναι σοφοσ σοφοσ");
    assert_string_equal(forms("Ёлка ЁЛКА елка"), "елка елка елка");
}

static void test_composed_and_decomposed_are_the_same(void **state)
{
    (void)state;
    assert_string_equal(forms("Bronte\xcc\x88"), "bronte");
    char composed[64];
    snprintf(composed, sizeof(composed), "%s", stems("créées", TOME_LANGUAGE_FRENCH));
    assert_string_equal(stems("cre\xcc\x81"
                              "e\xcc\x81"
                              "es",
                              TOME_LANGUAGE_FRENCH),
                        composed);
}

static void test_turkish_letters_meet_their_plain_spelling(void **state)
{
    (void)state;
    assert_string_equal(forms("İstanbul ISTANBUL istanbul ıstanbul"),
                        "istanbul istanbul istanbul istanbul");
    assert_string_equal(forms("ŞİŞLİ'DE Ağaç güneş çığlık IŞIK ışık"),
                        "sisli de agac gunes ciglik isik isik");
    /* KITAPLARI is kitapları in Turkish: the same stem as kitap. */
    assert_string_equal(stems("KITAPLARI kitapları kitaplar kitap", TOME_LANGUAGE_TURKISH),
                        "kitap kitap kitap kitap");
    assert_string_equal(stems("IŞIKLAR ışık Işıklar", TOME_LANGUAGE_TURKISH), "isik isik isik");
}

static void test_apostrophes(void **state)
{
    (void)state;
    assert_string_equal(forms("Holmes's don't I'll we've it’s can’t"), "holmes dont i we it cant");
    assert_string_equal(forms("L'Étranger dell'arte O'Brien rock'n'roll aujourd'hui"),
                        "l etranger dell arte o brien rock n roll aujourd hui");
    assert_string_equal(forms("Ankara'da 'quoted' boys' 80's"), "ankara da quoted boys 80");
    assert_string_equal(forms("' '' a' 'b"), "a b");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(forms("1,000 12,345,678 3.14 1,00 v2.1.3 12.5.2020"),
                        "1000 12345678 3.14 1 00 v2 1 3 12 5 2020");
    assert_string_equal(forms("in 1887. Then 5,5 and 7."), "in 1887 then 5 5 and 7");
    assert_string_equal(forms("1.000.000 2,"), "1 000 000 2");
    assert_string_equal(forms("1't.2 1't,000"), "1t 2 1t 000"); /* no number any more */
}

static void test_scripts_without_blanks_give_characters(void **state)
{
    (void)state;
    assert_string_equal(forms("東京都は Tokyo"), "東 京 都 は tokyo");
    struct tome_analyzer *analyzer = NULL;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    tome_analyzer_begin(analyzer, BH_STR("東京 都 a東"));
    struct tome_token token;
    const bool joined[] = { false, true, false, false, false };
    for (size_t i = 0; i < BH_COUNT_OF(joined); i++) {
        assert_true(tome_analyzer_next(analyzer, &token));
        assert_int_equal(token.joined, joined[i]);
    }
    assert_false(tome_analyzer_next(analyzer, &token));
    tome_analyzer_destroy(analyzer);
}

static void test_stems(void **state)
{
    (void)state;
    assert_string_equal(stems("Houses housing house", TOME_LANGUAGE_ENGLISH), "hous hous hous");
    assert_string_equal(stems("Holmes's Holmes running 1887 3d", TOME_LANGUAGE_ENGLISH),
                        "holm holm run 1887 3d");
    assert_string_equal(stems("Häuser Hauses", TOME_LANGUAGE_GERMAN), "haus haus");
    assert_string_equal(stems("houses", TOME_LANGUAGE_NONE), "houses");
    /* The second time comes from the cache, and languages do not mix in it. */
    assert_string_equal(stems("nation nation nationen", TOME_LANGUAGE_GERMAN),
                        "nation nation nation");
}

static void test_byte_ranges_point_at_the_word(void **state)
{
    (void)state;
    struct tome_analyzer *analyzer = NULL;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    tome_analyzer_begin(analyzer, BH_STR("« Été » Holmes's hat"));
    struct tome_token token;
    assert_true(tome_analyzer_next(analyzer, &token));
    assert_int_equal(token.start, 3);
    assert_int_equal(token.end, 8);
    assert_false(token.ascii);
    assert_true(tome_analyzer_next(analyzer, &token));
    assert_int_equal(token.end - token.start, strlen("Holmes"));
    assert_true(tome_analyzer_next(analyzer, &token));
    assert_int_equal(token.end - token.start, strlen("hat"));
    tome_analyzer_destroy(analyzer);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    assert_string_equal(forms("ab\xff"
                              "cd\xc3 \xe2\x82 x\xf0\x9f\x98\x80y"),
                        "ab cd x y");
    assert_string_equal(analyse((struct bh_str){ "a\0b", 3 }, false, TOME_LANGUAGE_NONE), "a b");
    assert_string_equal(forms("\xcc\x81\xcc\x81"), ""); /* marks without a letter */
    assert_string_equal(forms("\xed\xa0\x80"), "");     /* a surrogate */
    char marks[1 + 2 * 300 + 1] = "e";
    for (size_t i = 0; i < 300; i++)
        memcpy(marks + 1 + 2 * i, "\xcc\x81", 2);
    assert_string_equal(forms(marks), "e");
    assert_string_equal(stems(marks, TOME_LANGUAGE_FRENCH), "e");
}

static void test_long_words_are_cut_between_characters(void **state)
{
    (void)state;
    char text[1001];
    memset(text, 'a', 1000);
    text[1000] = '\0';
    assert_int_equal(strlen(forms(text)), TOME_FORM_MAX);
    assert_int_equal(strlen(stems(text, TOME_LANGUAGE_ENGLISH)), TOME_FORM_MAX);
    char greek[2 * 100 + 2] = "a";
    for (size_t i = 0; i < 100; i++)
        memcpy(greek + 1 + 2 * i, "\xce\xb1", 2);
    assert_int_equal(strlen(forms(greek)), TOME_FORM_MAX - 1);
    memset(text, '9', 1000);
    assert_int_equal(strlen(forms(text)), TOME_FORM_MAX);
}

static unsigned roll(uint64_t *const seed, const size_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((*seed >> 33) % below);
}

static struct bh_str random_text(uint64_t *const seed, char *const text, const size_t capacity)
{
    static const char *const parts[] = { "a",    "B", "the", "Zebra",    "x1", "2",
                                         "3.14", " ", " ",   ",",        ". ", "-",
                                         "_",    "é", "漢",  "\xc2\xad", "'" };
    size_t size = 0;
    for (unsigned i = 0; i < 60; i++) {
        const char *const part = parts[roll(seed, BH_COUNT_OF(parts))];
        assert_true(size + strlen(part) < capacity);
        memcpy(text + size, part, strlen(part));
        size += strlen(part);
    }
    return (struct bh_str){ text, size };
}

/* A soft hyphen behind each letter changes no word, but none is plain any more. */
static void test_plain_words_are_read_as_all_others(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned round = 0; round < 2000; round++) {
        char text[1024], hyphened[3072], plain[4096];
        struct bh_str given = random_text(&seed, text, sizeof(text));
        size_t size = 0;
        for (size_t i = 0; i < given.size; i++) {
            const char byte = text[i] == '\'' ? ' ' : text[i]; /* endings are looked at closely */
            text[i] = byte;
            hyphened[size++] = byte;
            if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') {
                memcpy(hyphened + size, "\xc2\xad", 2);
                size += 2;
            }
        }
        snprintf(plain, sizeof(plain), "%s", analyse(given, false, TOME_LANGUAGE_NONE));
        assert_string_equal(analyse((struct bh_str){ hyphened, size }, false, TOME_LANGUAGE_NONE),
                            plain);
    }
}

/* What is left out is plain, begins otherwise, and all the rest is as it was. */
static void test_words_by_their_first_letters(void **state)
{
    (void)state;
    bool first_letters[256] = { false };
    first_letters['z'] = first_letters['b'] = true;
    struct tome_analyzer *all = NULL, *some = NULL;
    assert_int_equal(tome_analyzer_create(&all), 0);
    assert_int_equal(tome_analyzer_create(&some), 0);
    uint64_t seed = 2;
    size_t left_out = 0, zebras = 0;
    for (unsigned round = 0; round < 2000; round++) {
        char text[1024];
        const struct bh_str given = random_text(&seed, text, sizeof(text));
        tome_analyzer_begin(all, given);
        tome_analyzer_begin_some(some, given, first_letters);
        struct tome_token expected, token;
        bool has_token = tome_analyzer_next(some, &token);
        while (tome_analyzer_next(all, &expected)) {
            const bool is_same = has_token && token.start == expected.start;
            if (!is_same) {
                assert_true(expected.ascii);
                assert_false(first_letters[(unsigned char)expected.form.data[0]]);
                left_out++;
                continue;
            }
            assert_true(bh_str_equal(token.form, expected.form));
            assert_int_equal(token.end, expected.end);
            assert_int_equal(token.ascii, expected.ascii);
            assert_int_equal(token.joined, expected.joined);
            zebras += bh_str_equal(token.form, BH_STR("zebra"));
            has_token = tome_analyzer_next(some, &token);
        }
        assert_false(has_token);
    }
    assert_true(left_out > 1000 && zebras > 1000);
    tome_analyzer_destroy(all);
    tome_analyzer_destroy(some);
}

/* Two whole blocks of 16 bytes without a word that is wanted, and one behind the end. */
static void test_words_behind_the_end_are_not_read(void **state)
{
    (void)state;
    static const char text[] = "Words, words. To the end. What? Bears.";
    bool first_letters[256] = { ['b'] = true };
    struct tome_analyzer *analyzer = NULL;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    for (size_t size = 0; size < sizeof(text); size++) {
        struct tome_token token;
        tome_analyzer_begin_some(analyzer, (struct bh_str){ text, size }, first_letters);
        const bool has_token = tome_analyzer_next(analyzer, &token);
        assert_int_equal(has_token, size > 32);
        assert_true(!has_token || token.end <= size);
    }
    tome_analyzer_destroy(analyzer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_runs_of_letters_and_digits),
        cmocka_unit_test(test_case_and_diacritics_are_folded),
        cmocka_unit_test(test_composed_and_decomposed_are_the_same),
        cmocka_unit_test(test_turkish_letters_meet_their_plain_spelling),
        cmocka_unit_test(test_apostrophes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_scripts_without_blanks_give_characters),
        cmocka_unit_test(test_stems),
        cmocka_unit_test(test_byte_ranges_point_at_the_word),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_long_words_are_cut_between_characters),
        cmocka_unit_test(test_plain_words_are_read_as_all_others),
        cmocka_unit_test(test_words_by_their_first_letters),
        cmocka_unit_test(test_words_behind_the_end_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
