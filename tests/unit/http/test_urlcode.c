#include "cmocka_setup.h"

#include "http/urlcode.h"

static void assert_decodes(const char *const text, const bool plus_is_space,
                           const char *const expected)
{
    char to[128];
    size_t size;
    assert_int_equal(bh_url_decode(bh_str_from(text), plus_is_space, to, &size), 0);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(to, expected, size);
}

static void test_escapes_become_bytes(void **const state)
{
    (void)state;
    assert_decodes("", true, "");
    assert_decodes("abc", true, "abc");
    assert_decodes("a%20b%2Fc%2f", true, "a b/c/");
    assert_decodes("a+b", true, "a b");
    assert_decodes("a+b", false, "a+b");
    assert_decodes("%2B%25", true, "+%");
    assert_decodes("%c4%B1%C5%9f%C4%B1k", true, "\xC4\xB1\xC5\x9F\xC4\xB1k");
}

static void test_malformed_escapes_and_nul_are_refused(void **const state)
{
    (void)state;
    static const char *const texts[] = { "%",   "a%",  "%4",  "%G0", "%0G", "%%",
                                         "%00", "%-1", "%+1", "a%0", "% 41" };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        char to[16];
        size_t size;
        assert_int_equal(bh_url_decode(bh_str_from(texts[i]), true, to, &size), BH_ESYNTAX);
        assert_false(bh_url_is_valid(bh_str_from(texts[i]), to));
    }
}

static void test_only_utf8_is_valid(void **const state)
{
    (void)state;
    char scratch[64];
    assert_true(bh_url_is_valid(BH_STR(""), scratch));
    assert_true(bh_url_is_valid(BH_STR("/a+b?c=%C3%A9&d=\xC3\xA9"), scratch));
    assert_false(bh_url_is_valid(BH_STR("%C3"), scratch));
    assert_false(bh_url_is_valid(BH_STR("%C0%AF"), scratch));
    assert_false(bh_url_is_valid(BH_STR("%ED%A0%80"), scratch));
    assert_false(bh_url_is_valid(BH_STR("\xFF"), scratch));
    assert_false(bh_url_is_valid(BH_STR("%C3&%A9"), scratch));
}

static void test_decoding_in_place(void **const state)
{
    (void)state;
    char text[] = "%41+%42";
    size_t size;
    assert_int_equal(bh_url_decode((struct bh_str){ text, 7 }, true, text, &size), 0);
    assert_int_equal(size, 3);
    assert_memory_equal(text, "A B", 3);
}

static void test_queries_are_cut_into_pairs(void **const state)
{
    (void)state;
    struct bh_str rest = BH_STR("&a=1&&b&=c&d=e=f&a=2&");
    static const char *const expected[][2] = {
        { "a", "1" }, { "b", "" }, { "", "c" }, { "d", "e=f" }, { "a", "2" }
    };
    struct bh_str name;
    struct bh_str value;
    for (size_t i = 0; i < BH_COUNT_OF(expected); i++) {
        assert_true(bh_query_next(&rest, &name, &value));
        assert_true(bh_str_equal(name, bh_str_from(expected[i][0])));
        assert_true(bh_str_equal(value, bh_str_from(expected[i][1])));
    }
    assert_false(bh_query_next(&rest, &name, &value));
}

static void test_coded_names_are_compared_as_what_they_mean(void **const state)
{
    (void)state;
    assert_true(bh_url_decodes_to(BH_STR("page_size"), BH_STR("page_size")));
    assert_true(bh_url_decodes_to(BH_STR("p%61ge"), BH_STR("page")));
    assert_true(bh_url_decodes_to(BH_STR("a+b"), BH_STR("a b")));
    assert_false(bh_url_decodes_to(BH_STR("pag"), BH_STR("page")));
    assert_false(bh_url_decodes_to(BH_STR("pages"), BH_STR("page")));
    assert_false(bh_url_decodes_to(BH_STR("p%6"), BH_STR("pa")));
    assert_true(bh_url_is_coded(BH_STR("a+b"), true));
    assert_false(bh_url_is_coded(BH_STR("a+b"), false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes_become_bytes),
        cmocka_unit_test(test_malformed_escapes_and_nul_are_refused),
        cmocka_unit_test(test_only_utf8_is_valid),
        cmocka_unit_test(test_decoding_in_place),
        cmocka_unit_test(test_queries_are_cut_into_pairs),
        cmocka_unit_test(test_coded_names_are_compared_as_what_they_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
