#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/buf.h"
#include "http/multipart_parser.h"

/* Writes what the parser says as text: [name|filename|type]content… and $ at the end; returns the
 * first error, or 0. */
static int feed(struct bh_multipart_parser *const parser, struct bh_buf *const out,
                struct bh_str input)
{
    for (;;) {
        struct bh_multipart_item item;
        const int result = bh_multipart_parser_next(parser, &input, &item, NULL);
        if (result != BH_MULTIPART_EVENT)
            return result < 0 ? result : 0;
        switch (item.event) {
        case BH_MULTIPART_PART:
            bh_buf_printf(out, "[%.*s|%.*s|%.*s]", BH_STR_ARGS(item.name),
                          BH_STR_ARGS(item.filename), BH_STR_ARGS(item.content_type));
            break;
        case BH_MULTIPART_DATA:
            assert_true(item.data.size > 0);
            bh_buf_append_str(out, item.data);
            break;
        case BH_MULTIPART_END:
            bh_buf_append_byte(out, '$');
            break;
        }
    }
}

static void assert_out(const struct bh_buf *const out, const char *const expected)
{
    if (out->size != strlen(expected) || memcmp(out->data, expected, out->size) != 0)
        print_error("got: %.*s\n", (int)out->size, out->data);
    assert_int_equal(out->size, strlen(expected));
    assert_memory_equal(out->data, expected, out->size);
}

/* Whole, cut at every byte, and byte by byte. */
static void assert_parses(const char *const text, const char *const expected, const int error)
{
    const size_t size = strlen(text);
    for (size_t cut = 0; cut <= size + 1; cut++) {
        struct bh_multipart_parser parser;
        bh_multipart_parser_init(&parser, BH_STR("XX"));
        struct bh_buf out BH_CLEANUP(bh_buf_fini_cleanup);
        bh_buf_init(&out, 100000);
        int result = 0;
        if (cut <= size) {
            result = feed(&parser, &out, (struct bh_str){ text, cut });
            if (result == 0)
                result = feed(&parser, &out, (struct bh_str){ text + cut, size - cut });
        } else {
            for (size_t i = 0; i < size && result == 0; i++)
                result = feed(&parser, &out, (struct bh_str){ text + i, 1 });
        }
        assert_int_equal(result, error);
        if (error == 0)
            assert_out(&out, expected);
    }
}

#define NAMED(name) "Content-Disposition: form-data; name=\"" name "\"\r\n"

static void test_parts_are_cut_out(void **const state)
{
    (void)state;
    assert_parses("--XX\r\n" NAMED("a") "\r\none\r\n--XX\r\n" NAMED("b") "\r\ntwo\r\n--XX--\r\n",
                  "[a||]one[b||]two$", 0);
    assert_parses("preamble\r\n--XX\r\n" NAMED("a") "\r\none\r\n--XX--epilogue\r\n--XX\r\n",
                  "[a||]one$", 0);
    assert_parses("--XX \t\r\n" NAMED("a") "\r\n\r\n--XX--", "[a||]$", 0);
    assert_parses("--XX--", "$", 0);
    assert_parses("--XX\r\nContent-Type: text/x\r\ncontent-disposition: Form-Data; "
                  "name=f; filename=\"a.pdf\"\r\n\r\n%PDF\r\n--XX--",
                  "[f|a.pdf|text/x]%PDF$", 0);
}

static void test_content_that_looks_like_a_boundary_is_content(void **const state)
{
    (void)state;
    assert_parses("--XX\r\n" NAMED("a") "\r\n\r\r\n\r\n-\r\n--\r\n--X\r--XX--XX\n--XX\r\n--XX--",
                  "[a||]\r\r\n\r\n-\r\n--\r\n--X\r--XX--XX\n--XX$", 0);
    assert_parses("--XX\r\n" NAMED("a") "\r\n--XX\r\n--XX--", "[a||]--XX$", 0);
}

static void test_file_names_lose_their_folders(void **const state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "C:\\\\dir\\\\a.txt", "a.txt" },
        { "../../etc/passwd", "passwd" },
        { "/a/b/", "" },
        { "..", "" },
        { "a/..", "" },
        { "", "" },
        { "say \\\"x\\\".txt", "say \"x\".txt" },
        { "say %22x%22.txt", "say \"x\".txt" },
        { "\xC3\xA9.txt", "\xC3\xA9.txt" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        char text[256];
        char expected[256];
        snprintf(
            text, sizeof(text),
            "--XX\r\nContent-Disposition: form-data; name=f; filename=\"%s\"\r\n\r\n\r\n--XX--",
            cases[i][0]);
        snprintf(expected, sizeof(expected), "[f|%s|]$", cases[i][1]);
        assert_parses(text, expected, 0);
    }
}

static void test_malformed_bodies_are_refused(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "--XXY\r\n",
        "--XX-\r\n",
        "--XX\n",
        "--XX\r\r\n",
        "--XX\r\n\r\n",
        "--XX\r\nContent-Type: a/b\r\n\r\n",
        "--XX\r\nContent-Disposition: form-data\r\n\r\n",
        "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n",
        "--XX\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n",
        "--XX\r\n" NAMED("a") NAMED("b") "\r\n",
        "--XX\r\nContent-Disposition: form-data; name=\"a\r\n\r\n",
        "--XX\r\nContent-Disposition: form-datax; name=a\r\n\r\n",
        "--XX\r\nContent-Disposition: form-data; name=\"\xFF\"\r\n\r\n",
        "--XX\r\nno colon\r\n\r\n",
        "--XX\r\n folded: x\r\n\r\n",
        "--XX\r\n" NAMED("a") "X: \x01\r\n\r\n",
        "--XX\r\n" NAMED("a") "X: a\rb\r\n\r\n",
        "--XX\r\n" NAMED("a") "\n",
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++)
        assert_parses(texts[i], "", BH_ESYNTAX);
}

static void test_heads_and_parts_are_bounded(void **const state)
{
    (void)state;
    struct bh_multipart_parser parser;
    struct bh_buf out BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&out, 100000);
    bh_multipart_parser_init(&parser, BH_STR("XX"));
    assert_int_equal(feed(&parser, &out, BH_STR("--XX\r\nX: ")), 0);
    int result = 0;
    size_t count = 0;
    for (; result == 0 && count < 100000; count++)
        result = feed(&parser, &out, BH_STR("a"));
    assert_int_equal(result, BH_ELIMIT);
    assert_in_range(count, BH_MULTIPART_HEAD_MAX - 4, BH_MULTIPART_HEAD_MAX);

    bh_multipart_parser_init(&parser, BH_STR("XX"));
    result = feed(&parser, &out, BH_STR("--XX"));
    for (count = 0; result == 0 && count < 1000; count++)
        result = feed(&parser, &out, BH_STR("\r\n" NAMED("a") "\r\n\r\n--XX"));
    assert_int_equal(result, BH_ELIMIT);
    assert_int_equal(count, BH_MULTIPART_PARTS_MAX + 1);
}

static int boundary_of(const char *const content_type, char to[BH_MULTIPART_BOUNDARY_MAX + 1])
{
    struct bh_str boundary;
    const int result = bh_multipart_boundary(bh_str_from(content_type), to, &boundary, NULL);
    if (result == 0)
        to[boundary.size] = '\0';
    return result;
}

static void test_boundaries(void **const state)
{
    (void)state;
    char to[BH_MULTIPART_BOUNDARY_MAX + 1];
    assert_int_equal(boundary_of("multipart/form-data; boundary=XX", to), 0);
    assert_string_equal(to, "XX");
    assert_int_equal(boundary_of("Multipart/Form-Data;charset=utf-8; Boundary=\"a b'c\"", to), 0);
    assert_string_equal(to, "a b'c");
    static const char *const malformed[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=\"a\\b\"",
        "multipart/form-data; boundary",
        "multipart/form-data; charset=x",
        ("multipart/form-data; "
         "boundary=01234567890123456789012345678901234567890123456789012345678901234567890"),
    };
    for (size_t i = 0; i < BH_COUNT_OF(malformed); i++)
        assert_int_equal(boundary_of(malformed[i], to), BH_ESYNTAX);
    assert_int_equal(boundary_of("multipart/mixed; boundary=XX", to), BH_EUNSUPPORTED);
    assert_int_equal(boundary_of("", to), BH_EUNSUPPORTED);
    assert_int_equal(boundary_of("application/json", to), BH_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_cut_out),
        cmocka_unit_test(test_content_that_looks_like_a_boundary_is_content),
        cmocka_unit_test(test_file_names_lose_their_folders),
        cmocka_unit_test(test_malformed_bodies_are_refused),
        cmocka_unit_test(test_heads_and_parts_are_bounded),
        cmocka_unit_test(test_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
