#include "cmocka_setup.h"

#include "http/target.h"

static void assert_text(const struct bh_str text, const char *const expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void test_paths_and_queries_are_split_at_the_first_mark(void **const state)
{
    (void)state;
    struct bh_target target;
    assert_int_equal(bh_target_parse(BH_STR("/a?b?c"), BH_METHOD_GET, &target), 0);
    assert_text(target.path, "/a");
    assert_text(target.query, "b?c");
    assert_int_equal(bh_target_parse(BH_STR("/a"), BH_METHOD_GET, &target), 0);
    assert_text(target.query, "");
    assert_int_equal(bh_target_parse(BH_STR("//a/b"), BH_METHOD_GET, &target), 0);
    assert_text(target.path, "//a/b");
    assert_int_equal(target.authority.size, 0);
    assert_int_equal(bh_target_parse(BH_STR("http://h/?q=http://x/"), BH_METHOD_GET, &target), 0);
    assert_text(target.authority, "h");
    assert_text(target.path, "/");
    assert_text(target.query, "q=http://x/");
}

static void test_asterisk_is_for_options_alone(void **const state)
{
    (void)state;
    struct bh_target target;
    assert_int_equal(bh_target_parse(BH_STR("*"), BH_METHOD_OPTIONS, &target), 0);
    assert_true(target.is_asterisk);
    assert_int_equal(bh_target_parse(BH_STR("*"), BH_METHOD_GET, &target), BH_ESYNTAX);
    assert_int_equal(bh_target_parse(BH_STR("http://a"), BH_METHOD_OPTIONS, &target), 0);
    assert_true(target.is_asterisk);
    assert_int_equal(bh_target_parse(BH_STR("http://a/"), BH_METHOD_OPTIONS, &target), 0);
    assert_false(target.is_asterisk);
}

static void test_other_forms_are_refused(void **const state)
{
    (void)state;
    static const char *const texts[] = { "",         "a",           "?a",      "/a#b",  "/a b",
                                         "/\x7F",    "mailto:a@b",  "http:/a", "http:", "http://",
                                         "http://?", "http://a:b/", "**" };
    struct bh_target target;
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++)
        assert_int_equal(bh_target_parse(bh_str_from(texts[i]), BH_METHOD_OPTIONS, &target),
                         BH_ESYNTAX);
}

static void test_hosts(void **const state)
{
    (void)state;
    static const char *const good[] = { "",
                                        "a",
                                        "a.b-c_d",
                                        "127.0.0.1",
                                        "a:",
                                        "a:443",
                                        "[::1]",
                                        "[::1]:8",
                                        "[::ffff:1.2.3.4]:65535",
                                        "a%41",
                                        "xn--bcher-kva.example" };
    static const char *const bad[] = { ":80",  "a:b", "a:123456", "a:1:2",   "[::1", "[]",
                                       "[]:1", "[g]", "[::1]x",   "[::1]:x", "a]",   "a[",
                                       "a b",  "a,b", "a/b",      "a?b",     "u@h",  "a\"" };
    for (size_t i = 0; i < BH_COUNT_OF(good); i++)
        assert_true(bh_host_is_valid(bh_str_from(good[i])));
    for (size_t i = 0; i < BH_COUNT_OF(bad); i++)
        assert_false(bh_host_is_valid(bh_str_from(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_and_queries_are_split_at_the_first_mark),
        cmocka_unit_test(test_asterisk_is_for_options_alone),
        cmocka_unit_test(test_other_forms_are_refused),
        cmocka_unit_test(test_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
