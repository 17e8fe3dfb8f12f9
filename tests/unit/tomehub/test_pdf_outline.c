#include "cmocka_setup.h"

#include <stdlib.h>

#include "extract/pdf_outline.h"

static struct tome_outline *outline_of(const char *const text)
{
    struct tome_input input;
    struct tome_outline *outline = NULL;
    tome_input_memory(&input, text, strlen(text));
    assert_int_equal(tome_outline_read(&input, &outline), 0);
    return outline;
}

static void expect_page(struct tome_outline *const outline, const uint32_t number,
                        const char *const text, const char *const title)
{
    const struct bh_str found = tome_outline_page(outline, number, bh_str_from(text));
    assert_true(bh_str_equal(found, bh_str_from(title)));
}

static void expect_line(struct tome_outline *const outline, const char *const line,
                        const char *const title)
{
    const struct bh_str found = tome_outline_line(outline, bh_str_from(line));
    assert_true(bh_str_equal(found, bh_str_from(title)));
}

#define OUTLINE                                                                            \
    "<page>\n<text>x</text>\n<item page=\"1\">no outline yet</item>\n</page>\n<outline>\n" \
    "<item page=\"2\">Birds &amp; Bees</item>\n<outline>\n<item page=\"2\">Birds</item>\n" \
    "<item page=\"2\">Elsewhere</item>\n</outline>\n<item page=\"5\">Bees</item>\n"        \
    "<item page=\"3\">Backwards</item>\n</outline>\n"

static void chapters_begin_where_their_titles_stand(void **state)
{
    (void)state;
    struct tome_outline *const outline = outline_of(OUTLINE);
    expect_page(outline, 1, "Birds & Bees\nBirds\n", "");
    expect_line(outline, "Birds", "");
    expect_page(outline, 2, "CHAPTER ONE\n\nBIRDS & BEES\n\na\nb\nc\nd\n1.2 Birds\n",
                "Birds & Bees");
    expect_line(outline, "BIRDS & BEES", "");
    expect_line(outline, "the birds are many and some of them are Birds", "");
    expect_line(outline, "1.2 Birds", "Birds");
    expect_line(outline, "1.2 Birds", "");
    expect_page(outline, 3, "Backwards\n", "");
    expect_page(outline, 4, "", "");
    expect_page(outline, 5, "a title that is not in the text\n", "Bees");
    expect_page(outline, 6, "Bees\n", "");
    tome_outline_destroy(outline);
}

static void what_is_no_outline_gives_none(void **state)
{
    (void)state;
    static const char *const odd[] = { "",
                                       "<outline>",
                                       "</outline></outline>",
                                       "<outline>\n<item page=\"x\">A</item>",
                                       "<outline>\n<item page=\"0\">A</item>",
                                       "<outline>\n<item page=\"99999999999\">A</item>",
                                       "<outline>\n<item page=\"1\"></item>",
                                       "<outline>\n<item page=\"1" };
    for (size_t i = 0; i < BH_COUNT_OF(odd); i++) {
        struct tome_outline *const outline = outline_of(odd[i]);
        expect_page(outline, 1, "A\n", "");
        expect_line(outline, "A", "");
        tome_outline_destroy(outline);
    }
    tome_outline_destroy(NULL);
}

static void outlines_are_bounded(void **state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    bh_buf_append_str(&text, BH_STR("<outline>\n"));
    for (unsigned i = 1; i <= 30000; i++)
        bh_buf_printf(&text, "<item page=\"%u\">%0*u</item>\n", i, 300, i);
    bh_buf_append_byte(&text, '\0');
    struct tome_outline *const outline = outline_of(text.data);
    tome_outline_destroy(outline);
    bh_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chapters_begin_where_their_titles_stand),
        cmocka_unit_test(what_is_no_outline_gives_none),
        cmocka_unit_test(outlines_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
