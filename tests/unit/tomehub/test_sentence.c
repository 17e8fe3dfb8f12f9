#include "cmocka_setup.h"

#include "extract/sentence.h"

static bool ends(const char *const word, const char *const next)
{
    return tome_sentence_ends(bh_str_from(word), bh_str_from(next));
}

static void stops_end_sentences(void **state)
{
    (void)state;
    assert_true(ends("end.", "The next"));
    assert_true(ends("end!", "The"));
    assert_true(ends("end?\u201D", "\u201CThe"));
    assert_true(ends("end.)", "The"));
    assert_true(ends("end\u2026", "The"));
    assert_true(ends("end...", "The"));
    assert_true(ends("1887.", "The"));
    assert_true(ends("bitti.", "\u00C7al\u0131ku\u015Fu"));
    assert_true(ends("\u7D42\u3002", "\u6B21"));
    assert_true(ends("end.\u00BB", "\u00ABThe"));
    assert_true(ends("end.", ""));
}

static void other_words_do_not(void **state)
{
    (void)state;
    assert_false(ends("", "The"));
    assert_false(ends("end", "The"));
    assert_false(ends("end,", "The"));
    assert_false(ends("end;", "The"));
    assert_false(ends("3.14", "The"));
    assert_false(ends("end.", "of it"));
    assert_false(ends("end?\u201D", "said he"));
    assert_false(ends("end\u2026", "\u00E7ok"));
    assert_false(ends("end!", "\u201Cbut"));
}

static void abbreviations_do_not(void **state)
{
    (void)state;
    static const char *const words[] = { "Mr.",       "(Dr.",       "Prof.", "J.",  "U.S.",
                                         "e.g.",      "z.B.",       "bzw.",  "Sn.", "\u00D6.",
                                         "Do\u00E7.", "\u201CMrs.", "3.",    "12.", "St." };
    for (size_t i = 0; i < BH_COUNT_OF(words); i++)
        assert_false(ends(words[i], "Holmes"));
    assert_false(ends("no.", "7"));
    assert_false(ends("Jan.", "5"));
    assert_true(ends("no.", "Then"));
    assert_true(ends("etc.", "Then"));
}

static void words_end_at_blanks_and_wide_stops(void **state)
{
    (void)state;
    const struct bh_str text = BH_STR("one two\u3002\u300Dthree\tfour");
    assert_int_equal(tome_word_end(text, 0), 3);
    assert_int_equal(tome_word_end(text, 4), 13);
    assert_int_equal(tome_word_end(text, 13), 18);
    assert_int_equal(tome_word_end(text, 19), text.size);
    assert_int_equal(tome_blanks_end(BH_STR("a \n\t b"), 1), 5);
    assert_int_equal(tome_blanks_end(BH_STR("a  "), 1), 3);
}

static void broken_bytes_do_no_harm(void **state)
{
    (void)state;
    (void)ends("\xFF\xFE.", "\xC3");
    (void)ends("\x80\x80\x80", "\x80");
    (void)ends("\xE3\x80", "\xE3");
    assert_int_equal(tome_word_end(BH_STR("\xE3\x80"), 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_end_sentences),
        cmocka_unit_test(other_words_do_not),
        cmocka_unit_test(abbreviations_do_not),
        cmocka_unit_test(words_end_at_blanks_and_wide_stops),
        cmocka_unit_test(broken_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
