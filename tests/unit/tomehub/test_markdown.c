#include "reading.h"

#include "extract/markdown.h"

static struct reading *read_markdown(const char *const text)
{
    return reading_of(tome_markdown_read, text, strlen(text));
}

static void expect_text(const char *const text, const char *const expected)
{
    struct reading *const reading = read_markdown(text);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_int_equal(reading->page_count, 1);
    assert_string_equal(reading->pages[0].text, expected);
    reading_free(reading);
}

static void headings_begin_chapters(void **state)
{
    (void)state;
    struct reading *const reading = read_markdown("Before.\n\n# The *First* One #\n\nText.\n\n"
                                                  "Second\n======\n\nMore.\n\nThird\n---\n"
                                                  "Rest.\n#### Deep\nBelow.\n#tag is text");
    assert_int_equal(reading->page_count, 4);
    assert_string_equal(reading->facts[TOME_META_TITLE], "The First One");
    assert_string_equal(reading->pages[0].chapter, "");
    assert_string_equal(reading->pages[0].text, "Before.");
    assert_string_equal(reading->pages[1].chapter, "The First One");
    assert_string_equal(reading->pages[1].text, "The First One\n\nText.");
    assert_string_equal(reading->pages[2].chapter, "Second");
    assert_string_equal(reading->pages[3].chapter, "Third");
    assert_string_equal(reading->pages[3].text, "Third\n\nRest.\n\nDeep\n\nBelow. #tag is text");
    reading_free(reading);
}

static void inline_markup_goes(void **state)
{
    (void)state;
    expect_text("*a* **b** __c__ ~~d~~ `e*f*` snake_case 2 * 3 * 4",
                "a b c d e*f* snake_case 2 * 3 * 4");
    expect_text("[link](http://x.y/z \"t\") ![image](a.png) [ref][1] [plain] [x](<a b>)",
                "link image ref [plain] x");
    expect_text("[![badge](b.svg)](http://x) done", "badge done");
    expect_text("<b>bold</b> <http://a.b> a < b &amp; c &lt; &#x15F; &bogus; AT&T",
                "bold http://a.b a < b & c < \u015F &bogus; AT&T");
    expect_text("\\*not\\* \\[this\\]", "*not* [this]");
    expect_text("soft\nwrap and hard  \nbreak and back\\\nslash",
                "soft wrap and hard\nbreak and back\nslash");
}

static void blocks_are_readable(void **state)
{
    (void)state;
    expect_text("- one\n- two\n  goes on\n\n1. first\n2) second\n- [x] done",
                "\u2022 one\n\n\u2022 two goes on\n\n1. first\n\n2) second\n\n\u2022 done");
    expect_text("> quoted\n> text\n\nafter", "quoted text\n\nafter");
    expect_text("| a | b |\n|---|:-:|\n| 1 | 2 |", "a | b\n1 | 2");
    expect_text("above\n\n***\n\nbelow", "above\n\nbelow");
    expect_text("text\n\n[1]: http://x.y\n\n[^1]: a note", "text\n\n[^1]: a note");
    expect_text("a <!-- hidden\n\nstill\n--> b", "a b");
}

static void code_is_kept(void **state)
{
    (void)state;
    expect_text(
        "Run:\n\n```c\nint main(void)\n{\n    return *p; /* # no heading */\n}\n```\n\nDone.",
        "Run:\n\nint main(void)\n{\n    return *p; /* # no heading */\n}\n\nDone.");
    expect_text("Text.\n\n    indented *code*\n      more\n", "Text.\n\nindented *code*\n  more");
    expect_text("~~~\n```\nnot closed", "```\nnot closed");
}

static void front_matter_gives_facts(void **state)
{
    (void)state;
    struct reading *reading = read_markdown("---\ntitle: \"A: Title\"\nauthor: Me\ndate: 2020\n"
                                            "tags:\n  - one\n  - 'two'\nlang: tr\n---\nText.");
    assert_string_equal(reading->facts[TOME_META_TITLE], "A: Title");
    assert_string_equal(reading->facts[TOME_META_AUTHOR], "Me");
    assert_string_equal(reading->facts[TOME_META_TAGS], "one, two");
    assert_string_equal(reading->facts[TOME_META_LANGUAGE], "tr");
    assert_string_equal(reading->pages[0].text, "Text.");
    reading_free(reading);

    reading = read_markdown("+++\r\ntitle = 'T'\r\ntags = [\"a\", \"b\"]\r\n+++\r\nText.");
    assert_string_equal(reading->facts[TOME_META_TITLE], "T");
    assert_string_equal(reading->facts[TOME_META_TAGS], "a, b");
    assert_string_equal(reading->pages[0].text, "Text.");
    reading_free(reading);

    /* Not closed: it is text. */
    expect_text("---\n\ntitle: x", "title: x");
}

static void markup_that_never_closes_costs_little(void **state)
{
    (void)state;
    static const char *const seeds[] = { "[", "![", "`", "*", "_", "<a ", "&", "\\", "[](", "> " };
    for (size_t i = 0; i < BH_COUNT_OF(seeds); i++) {
        struct bh_buf text;
        bh_buf_init(&text, SIZE_MAX);
        while (text.size < 300000)
            bh_buf_append_str(&text, bh_str_from(seeds[i]));
        struct reading *const reading = reading_of(tome_markdown_read, text.data, text.size);
        reading_free(reading);
        bh_buf_fini(&text);
    }
}

static void nothing_to_read_is_empty(void **state)
{
    (void)state;
    static const char *const empty[] = { "", "---\ntitle: x\n---\n", "```\n```", "[a]: b" };
    for (size_t i = 0; i < BH_COUNT_OF(empty); i++) {
        struct reading *const reading = read_markdown(empty[i]);
        assert_int_equal(reading->failure, TOME_FAILURE_EMPTY);
        reading_free(reading);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headings_begin_chapters),
        cmocka_unit_test(inline_markup_goes),
        cmocka_unit_test(blocks_are_readable),
        cmocka_unit_test(code_is_kept),
        cmocka_unit_test(front_matter_gives_facts),
        cmocka_unit_test(markup_that_never_closes_costs_little),
        cmocka_unit_test(nothing_to_read_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
