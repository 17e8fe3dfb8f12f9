#include "reading.h"

#include "extract/document.h"
#include "extract/text.h"

static struct reading *read_text(const char *const text)
{
    return reading_of(tome_text_read, text, strlen(text));
}

static void expect_text(const char *const text, const char *const expected)
{
    struct reading *const reading = read_text(text);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_int_equal(reading->page_count, 1);
    assert_string_equal(reading->pages[0].text, expected);
    reading_free(reading);
}

static void lines_become_paragraphs(void **state)
{
    (void)state;
    expect_text("A hard-wrapped line of ordinary printed width\n"
                "goes on here.\n\n   Next   paragraph.  \n\n\n\nLast.",
                "A hard-wrapped line of ordinary printed width goes on here.\n\nNext paragraph."
                "\n\nLast.");
    /* CR LF, CR */
    expect_text("One.\r\n\r\nTwo.\r\rThree.", "One.\n\nTwo.\n\nThree.");
    /* Verse keeps its lines. */
    expect_text("Tyger Tyger, burning bright,\nIn the forests of the night;",
                "Tyger Tyger, burning bright,\nIn the forests of the night;");
}

static void hyphenated_words_are_joined(void **state)
{
    (void)state;
    expect_text("an exam-\nple", "an example");
    expect_text("Anglo-\nSaxon", "Anglo-Saxon");
    expect_text("pages 3-\n4", "pages 3-\n4");
    expect_text("the end-", "the end-");
    expect_text("ha\u015F-\n\u015Fa", "ha\u015F\u015Fa");
}

static void characters_that_are_no_text_go(void **state)
{
    (void)state;
    expect_text("\xEF\xBB\xBF"
                "a\x01"
                "b\u00AD"
                "c\u200B\u2060"
                "d",
                "abcd");
    expect_text("a\u00A0b\u2009c\u3000d\te", "a b c d e");
    expect_text("\uFB01nd \uFB02oor", "find floor");
}

static void other_encodings_are_understood(void **state)
{
    (void)state;
    /* Latin-1 and what Windows adds to it. */
    expect_text("na\xEFve \x93"
                "caf\xE9\x94 \x80 5",
                "na\u00EFve \u201Ccaf\u00E9\u201D \u20AC 5");
    /* One stray byte does not make UTF-8 Latin-1. */
    expect_text("\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\xE9",
                "\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E7\u00E9");
    static const char little[] = "\xFF\xFEh\0i\0 \0\x5F\x01";
    struct reading *reading = reading_of(tome_text_read, little, sizeof(little) - 1);
    assert_string_equal(reading->pages[0].text, "hi \u015F");
    reading_free(reading);
    static const char big[] = "\xFE\xFF\0h\0i";
    reading = reading_of(tome_text_read, big, sizeof(big) - 1);
    assert_string_equal(reading->pages[0].text, "hi");
    reading_free(reading);
}

static void turkish_in_its_old_encoding_is_recognised(void **state)
{
    (void)state;
    /* ISO 8859-9: ş FE, ğ F0, ı FD, İ DD */
    expect_text(
        "Bir g\xFCn ya\xFEl\xFD bir adam \xE7ocuklar\xFDn oynad\xFD\xF0\xFD bah\xE7"
        "eye "
        "geldi ve onlara eski g\xFCnlerden, sava\xFElardan, \xE7ocuklu\xF0undan s\xF6z "
        "etti. \xC7ocuklar adam\xFD dinlediler; ak\xFE"
        "am olunca herkes evine "
        "d\xF6nd\xFC. Ertesi g\xFCn ya\xFEl\xFD adam yine geldi, ama bu kez "
        "\xE7ocuklar\xFDn hi\xE7"
        "biri orada de\xF0ildi. \xDDstanbul so\xF0uktu.",
        "Bir g\u00FCn ya\u015Fl\u0131 bir adam \u00E7ocuklar\u0131n oynad\u0131\u011F\u0131 "
        "bah\u00E7eye geldi ve onlara eski g\u00FCnlerden, sava\u015Flardan, "
        "\u00E7ocuklu\u011Fundan s\u00F6z etti. \u00C7ocuklar adam\u0131 dinlediler; "
        "ak\u015Fam olunca herkes evine d\u00F6nd\u00FC. Ertesi g\u00FCn ya\u015Fl\u0131 "
        "adam yine geldi, ama bu kez \u00E7ocuklar\u0131n hi\u00E7biri orada de\u011Fildi. "
        "\u0130stanbul so\u011Fuktu.");
}

static void form_feeds_are_pages(void **state)
{
    (void)state;
    struct reading *const reading = read_text("First page.\fSecond page\nand more.\n\f\fFourth.\f");
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_string_equal(reading->facts[TOME_META_PAGE_KIND], "page");
    assert_int_equal(reading->page_count, 3);
    assert_int_equal(reading->pages[1].number, 2);
    assert_string_equal(reading->pages[1].text, "Second page\nand more.");
    assert_int_equal(reading->pages[2].number, 4);
    reading_free(reading);
}

static void sections_are_stable_and_cut_between_sentences(void **state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 0; i < 2000; i++)
        bh_buf_printf(&text, "Sentence number %u is here.%s", i, i % 9 == 8 ? "\n\n" : " ");
    struct reading *const reading = reading_of(tome_text_read, text.data, text.size);
    assert_string_equal(reading->facts[TOME_META_PAGE_KIND], "section");
    assert_true(reading->page_count > 25);
    for (size_t i = 0; i < reading->page_count; i++) {
        const struct reading_page *const page = &reading->pages[i];
        assert_int_equal(page->number, i + 1);
        assert_true(strlen(page->text) <= TOME_SECTION_CHARACTERS);
        assert_int_equal(page->text[strlen(page->text) - 1], '.');
        if (i + 1 < reading->page_count) {
            assert_true(strlen(page->text) >= TOME_SECTION_CHARACTERS_MIN);
            assert_int_equal(reading->pages[i + 1].joint, TOME_JOINT_PARAGRAPH);
        }
    }
    reading_free(reading);
    bh_buf_fini(&text);
}

static void a_file_without_line_feeds_stays_whole(void **state)
{
    (void)state;
    /* One line of 3 MB, and one word of 1 MB behind it. */
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    for (unsigned i = 0; i < 500000; i++)
        bh_buf_append_str(&text, BH_STR("word\u00E7 "));
    for (unsigned i = 0; i < 500000; i++)
        bh_buf_append_str(&text, BH_STR("\u015F"));
    struct reading *const reading = reading_of(tome_text_read, text.data, text.size);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    struct bh_buf joined;
    bh_buf_init(&joined, SIZE_MAX);
    for (size_t i = 0; i < reading->page_count; i++) {
        assert_true(i == 0 || reading->pages[i].joint != TOME_JOINT_PARAGRAPH);
        if (i > 0 && reading->pages[i].joint == TOME_JOINT_SPACE)
            bh_buf_append_byte(&joined, ' ');
        bh_buf_append_str(&joined, bh_str_from(reading->pages[i].text));
    }
    assert_true(bh_str_equal(bh_buf_peek(&joined), bh_buf_peek(&text)));
    bh_buf_fini(&joined);
    bh_buf_fini(&text);
    reading_free(reading);
}

static void nothing_to_read_is_empty(void **state)
{
    (void)state;
    static const char *const empty[] = { "", " \n\n\t \r\n", "\xEF\xBB\xBF", "\f\f\f" };
    for (size_t i = 0; i < BH_COUNT_OF(empty); i++) {
        struct reading *const reading = read_text(empty[i]);
        assert_int_equal(reading->failure, TOME_FAILURE_EMPTY);
        assert_int_equal(reading->page_count, 0);
        reading_free(reading);
    }
}

static void too_much_text_is_refused(void **state)
{
    (void)state;
    struct reading *const reading = reading_begin();
    tome_frame_writer_fini(&reading->writer);
    tome_frame_writer_init(&reading->writer, fileno(reading->file), 5000);
    char *const text = malloc(100000);
    memset(text, 'x', 100000);
    struct tome_input input;
    tome_input_memory(&input, text, 100000);
    assert_int_equal(tome_text_read(&input, &reading->writer), TOME_FAILURE_TOO_LARGE);
    free(text);
    reading_free(reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_paragraphs),
        cmocka_unit_test(hyphenated_words_are_joined),
        cmocka_unit_test(characters_that_are_no_text_go),
        cmocka_unit_test(other_encodings_are_understood),
        cmocka_unit_test(turkish_in_its_old_encoding_is_recognised),
        cmocka_unit_test(form_feeds_are_pages),
        cmocka_unit_test(sections_are_stable_and_cut_between_sentences),
        cmocka_unit_test(a_file_without_line_feeds_stays_whole),
        cmocka_unit_test(nothing_to_read_is_empty),
        cmocka_unit_test(too_much_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
