#include "cmocka_setup.h"

#include "extract/sniff.h"

static const char *sniff_bytes(const char *const bytes, const size_t size, const char *const name)
{
    enum tome_source source = TOME_SOURCE_AUTO;
    const enum tome_extract_failure failure = tome_sniff(
        (struct bh_str){ .data = bytes, .size = size }, bh_str_from(name), &source);
    return failure == TOME_FAILURE_NONE ? tome_source_name(source)
                                        : tome_extract_failure_name(failure);
}

#define SNIFF(bytes, name) sniff_bytes(bytes, sizeof(bytes) - 1, name)

static void content_decides(void **state)
{
    (void)state;
    assert_string_equal(SNIFF("%PDF-1.7\n\xE2\xE3\0", "book.txt"), "pdf");
    assert_string_equal(SNIFF("junk before %PDF-1.4", ""), "pdf");
    assert_string_equal(SNIFF("PK\x03\x04\0\0\0", "book.md"), "epub");
    assert_string_equal(SNIFF("<!DOCTYPE html>\n<p>", "x.txt"), "html");
    assert_string_equal(SNIFF("\xEF\xBB\xBF \n<HTML>", ""), "html");
    assert_string_equal(SNIFF("<?xml version='1.0'?><!-- c --><html>", ""), "html");
    assert_string_equal(SNIFF("<!-- saved --><html>", ""), "html");
    assert_string_equal(SNIFF("Plain words.", "x.html"), "text");
    assert_string_equal(SNIFF("\xFF\xFEh\0i\0", "x"), "text");
}

static void the_name_helps_where_content_cannot(void **state)
{
    (void)state;
    assert_string_equal(SNIFF("# Title\n", "README.md"), "markdown");
    assert_string_equal(SNIFF("# Title\n", "notes.txt"), "text");
    assert_string_equal(SNIFF("# Title\n", "README"), "markdown");
    assert_string_equal(SNIFF("text", "a.b/c.MARKDOWN"), "markdown");
    assert_string_equal(SNIFF("text", "a.md/noext"), "text");
    assert_string_equal(SNIFF("text", ""), "text");
    assert_string_equal(SNIFF("<p>fragment", "page.htm"), "html");
    assert_string_equal(SNIFF("<?xml version='1.0'?><fb/>", "x.txt"), "text");
}

static void binaries_are_refused_whatever_they_are_called(void **state)
{
    (void)state;
    assert_string_equal(SNIFF("\x7F"
                              "ELF\x02\x01\x01\0\0",
                              "book.txt"),
                        "unsupported");
    assert_string_equal(SNIFF("\x89PNG\r\n\x1A\n\0\0", "book.md"), "unsupported");
    assert_string_equal(SNIFF("GIF89a\x10", "book.txt"), "unsupported");
    assert_string_equal(SNIFF("{\\rtf1 text}", "book.txt"), "unsupported");
    assert_string_equal(SNIFF("%!PS-Adobe", "book.txt"), "unsupported");
    assert_string_equal(SNIFF("\x1F\x8B\x08\x03\x01\x02\x04\x05", "book.txt"), "unsupported");
    assert_string_equal(SNIFF("<?xml version='1.0'?><fb/>", "x.fb2"), "unsupported");
}

static void nothing_is_empty(void **state)
{
    (void)state;
    assert_string_equal(SNIFF("", "book.epub"), "empty");
    assert_string_equal(SNIFF(" \n\t", "book.txt"), "empty");
    assert_string_equal(SNIFF("\xEF\xBB\xBF", "book.txt"), "empty");
}

static void names_and_failures_have_their_words(void **state)
{
    (void)state;
    enum tome_source source;
    for (int i = TOME_SOURCE_AUTO; i <= TOME_SOURCE_TEXT; i++) {
        const char *const name = tome_source_name((enum tome_source)i);
        assert_int_equal(tome_source_parse(bh_str_from(name), &source), 0);
        assert_int_equal(source, i);
    }
    assert_true(tome_source_parse(BH_STR("docx"), &source) != 0);
    for (int i = 1; i < TOME_FAILURE_COUNT; i++) {
        const enum tome_extract_failure failure = (enum tome_extract_failure)i;
        assert_true(strlen(tome_extract_failure_name(failure)) > 0);
        const char *const text = tome_extract_failure_text(failure);
        assert_int_equal(text[strlen(text) - 1], '.');
        assert_true(tome_extract_failure_code(failure) < 0);
    }
    assert_int_equal(tome_extract_failure_code(TOME_FAILURE_NONE), 0);
    assert_true(tome_extract_failure_is_temporary(TOME_FAILURE_INTERRUPTED));
    assert_false(tome_extract_failure_is_temporary(TOME_FAILURE_DAMAGED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_decides),
        cmocka_unit_test(the_name_helps_where_content_cannot),
        cmocka_unit_test(binaries_are_refused_whatever_they_are_called),
        cmocka_unit_test(nothing_is_empty),
        cmocka_unit_test(names_and_failures_have_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
