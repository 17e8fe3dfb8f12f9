#include "reading.h"

#include "extract/html.h"

static struct reading *read_html(const char *const text)
{
    return reading_of(tome_html_read, text, strlen(text));
}

static void expect_text(const char *const text, const char *const expected)
{
    struct reading *const reading = read_html(text);
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    assert_int_equal(reading->page_count, 1);
    assert_string_equal(reading->pages[0].text, expected);
    reading_free(reading);
}

static void blocks_are_paragraphs(void **state)
{
    (void)state;
    expect_text("<p>One <b>bo</b>ld\n word.<p>Two.<div>Three<br>four</div>tail",
                "One bold word.\n\nTwo.\n\nThree\nfour\n\ntail");
    expect_text("<blockquote><p>Q.</p></blockquote><dl><dt>T<dd>D</dl>", "Q.\n\nT\n\nD");
    expect_text("<p>caf&eacute; &#351; &lt;x&gt; a&nbsp;b &unknown;</p>",
                "caf\u00E9 \u015F <x> a b &unknown;");
}

static void what_is_not_for_reading_goes(void **state)
{
    (void)state;
    expect_text("<head><title>T</title><style>p{}</style><script>x()</script></head><body>"
                "<nav><p>menu</p><ul><li>a</ul></nav><p>text<script>if (a < b) '<p>no</p>'</script>"
                "<template><p>t</p></template><noscript>n</noscript><select><option>o</select>"
                "<svg><text>s</text></svg><!-- c --> end<span hidden>h</span></p>",
                "text end");
    expect_text(
        "<p>word<a epub:type=\"noteref\" href=\"#n\">12</a> and <ruby>\u6F22<rt>kan</rt></ruby>",
        "word and \u6F22");
}

static void marks_of_notes_go(void **state)
{
    (void)state;
    expect_text(
        "<p>treaty<sup><a href=\"#n1\">1</a></sup> of<a href='n.xhtml#x'><sup>[2]</sup></a> "
        "x<sup>2</sup> and <a href='#far'>a link</a> stay",
        "treaty of x2 and a link stay");
}

static void xhtml_is_understood(void **state)
{
    (void)state;
    expect_text("<html xmlns='http://www.w3.org/1999/xhtml'><head><script src='x'/><title/>"
                "</head><body><a id='x'/>one<p/><span/>two<br/>three</body></html>",
                "one\n\ntwo\nthree");
}

static void tables_and_lists_are_readable(void **state)
{
    (void)state;
    expect_text("<table><caption>C</caption><tr><th>a</th><th>b</th></tr>"
                "<tr><td><p>1</p></td><td>2</td></tr></table>",
                "C\n\na | b\n1 | 2");
    expect_text("<ul><li>x<li>y<ol><li>one<li>two</ol></ul>",
                "\u2022 x\n\n\u2022 y\n\n1. one\n\n2. two");
    expect_text("<pre>int x;\n  if (y)\n\tz();</pre>", "int x;\n  if (y)\n    z();");
}

static void headings_begin_chapters(void **state)
{
    (void)state;
    struct reading *const reading = read_html(
        "<html lang='en-GB'><head><title> The\n Title </title>"
        "<meta name=author content='A. Writer'><body><p>Before."
        "<h1>One <i>and</i> only</h1><p>x<h2>Two</h2>y<h4>Deep</h4>z");
    assert_string_equal(reading->facts[TOME_META_TITLE], "The Title");
    assert_string_equal(reading->facts[TOME_META_AUTHOR], "A. Writer");
    assert_string_equal(reading->facts[TOME_META_LANGUAGE], "en-GB");
    assert_int_equal(reading->page_count, 3);
    assert_string_equal(reading->pages[0].chapter, "");
    assert_string_equal(reading->pages[1].chapter, "One and only");
    assert_string_equal(reading->pages[1].text, "One and only\n\nx");
    assert_string_equal(reading->pages[2].chapter, "Two");
    assert_string_equal(reading->pages[2].text, "Two\n\ny\n\nDeep\n\nz");
    assert_int_equal(reading->pages[2].number, 1);
    reading_free(reading);
}

static void the_declared_encoding_counts(void **state)
{
    (void)state;
    expect_text("<meta charset=\"iso-8859-9\"><p>\xFE\xFD\xF0 ve \xE7"
                "ay",
                "\u015F\u0131\u011F ve \u00E7ay");
    expect_text("<meta http-equiv=\"Content-Type\" content=\"text/html; charset=koi8-r\"><p>"
                "\xC4\xC1",
                "\u0434\u0430");
    expect_text("<?xml version='1.0' encoding='windows-1250'?><html><p>\xB9\xE8", "\u0105\u010D");
    /* A lie: it says Latin-1 in UTF-16, which could not have been read at all. */
    expect_text("<meta charset=\"utf-16\"><p>\u015F", "\u015F");
    expect_text("<meta charset=\"no-such-thing\"><p>\xE9", "\u00E9");
}

static void broken_html_loses_no_text(void **state)
{
    (void)state;
    expect_text("<p>a</i></div> <b>b<p>c</b", "a b\n\nc");
    expect_text("just text", "just text");
    expect_text("<p>1 < 2 and <3", "1 < 2 and <3");
    /* A heading that is never closed does not swallow the book. */
    struct bh_buf text;
    bh_buf_init(&text, SIZE_MAX);
    bh_buf_append_str(&text, BH_STR("<h1>"));
    for (unsigned i = 0; i < 5000; i++)
        bh_buf_printf(&text, "word%u ", i);
    struct reading *const reading = reading_of(tome_html_read, text.data, text.size);
    assert_true(reading->page_count > 10);
    assert_non_null(strstr(reading->pages[reading->page_count - 1].text, "word4999"));
    reading_free(reading);
    bh_buf_fini(&text);
}

static void hostile_html_ends(void **state)
{
    (void)state;
    static const char *const seeds[] = { "<div>",     "<b>",  "<table><tr><td>",
                                         "<ul><li>",  "</p>", "<!--",
                                         "<a b=\"",   "&#",   "<p x=y ",
                                         "<![CDATA[", "<h1>", "<script>",
                                         "<pre>\n",   "<\n",  "<!DOCTYPE " };
    for (size_t i = 0; i < BH_COUNT_OF(seeds); i++) {
        struct bh_buf text;
        bh_buf_init(&text, SIZE_MAX);
        while (text.size < 100000)
            bh_buf_append_str(&text, bh_str_from(seeds[i]));
        bh_buf_append_str(&text, BH_STR(" end"));
        reading_free(reading_of(tome_html_read, text.data, text.size));
        bh_buf_fini(&text);
    }
}

static void nothing_is_ever_loaded(void **state)
{
    (void)state;
    struct reading *const reading = read_html(
        "<!DOCTYPE html [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"
        "<html><body><p>before &x; after</p></body></html>");
    assert_int_equal(reading->failure, TOME_FAILURE_NONE);
    for (size_t i = 0; i < reading->page_count; i++)
        assert_null(strstr(reading->pages[i].text, "root:"));
    reading_free(reading);
}

static void nothing_to_read_is_empty(void **state)
{
    (void)state;
    static const char *const empty[] = { "", "<html></html>", "<script>x</script>", "<p>&nbsp;" };
    for (size_t i = 0; i < BH_COUNT_OF(empty); i++) {
        struct reading *const reading = read_html(empty[i]);
        assert_int_equal(reading->failure, TOME_FAILURE_EMPTY);
        reading_free(reading);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_paragraphs),
        cmocka_unit_test(what_is_not_for_reading_goes),
        cmocka_unit_test(marks_of_notes_go),
        cmocka_unit_test(xhtml_is_understood),
        cmocka_unit_test(tables_and_lists_are_readable),
        cmocka_unit_test(headings_begin_chapters),
        cmocka_unit_test(the_declared_encoding_counts),
        cmocka_unit_test(broken_html_loses_no_text),
        cmocka_unit_test(hostile_html_ends),
        cmocka_unit_test(nothing_is_ever_loaded),
        cmocka_unit_test(nothing_to_read_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
