#include "cmocka_setup.h"

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

static void test_comparison(void **const state)
{
    (void)state;
    assert_true(bh_str_equal(BH_STR_NONE, BH_STR("")));
    assert_true(bh_str_equal(BH_STR("a\0b"), BH_STR("a\0b")));
    assert_false(bh_str_equal(BH_STR("a\0b"), BH_STR("a\0c")));
    assert_true(bh_str_equal_nocase(BH_STR("Content-TYPE"), BH_STR("content-type")));
    assert_false(bh_str_equal_nocase(BH_STR("[\\]^_`@"), BH_STR("{|}~_`@")));
    assert_false(bh_str_equal_nocase(BH_STR("\xC3\x84"), BH_STR("\xC3\xA4")));
    assert_true(bh_str_starts_with(BH_STR("abc"), BH_STR("ab")));
    assert_true(bh_str_starts_with(BH_STR("abc"), BH_STR_NONE));
    assert_false(bh_str_starts_with(BH_STR("ab"), BH_STR("abc")));
    assert_true(bh_str_ends_with(BH_STR("abc"), BH_STR("bc")));
    assert_false(bh_str_ends_with(BH_STR("bc"), BH_STR("abc")));
    assert_true(bh_str_compare(BH_STR("a"), BH_STR("b")) < 0);
    assert_true(bh_str_compare(BH_STR("ab"), BH_STR("a")) > 0);
    assert_true(bh_str_compare(BH_STR("\xFF"), BH_STR("a")) > 0);
    assert_int_equal(bh_str_compare(BH_STR_NONE, BH_STR("")), 0);
    assert_int_equal(bh_str_from(NULL).size, 0);
}

static void test_trim_and_split(void **const state)
{
    (void)state;
    assert_true(bh_str_equal(bh_str_trim(BH_STR(" \t\r\n a b \n")), BH_STR("a b")));
    assert_true(bh_str_equal(bh_str_trim(BH_STR(" \t ")), BH_STR("")));
    assert_true(bh_str_equal(bh_str_trim(BH_STR_NONE), BH_STR("")));

    struct bh_str rest = BH_STR("a,,b");
    assert_true(bh_str_equal(bh_str_split(&rest, ','), BH_STR("a")));
    assert_true(bh_str_equal(bh_str_split(&rest, ','), BH_STR("")));
    assert_true(bh_str_equal(bh_str_split(&rest, ','), BH_STR("b")));
    assert_null(rest.data);
    assert_true(bh_str_equal(bh_str_split(&rest, ','), BH_STR("")));
    rest = BH_STR("a,");
    assert_true(bh_str_equal(bh_str_split(&rest, ','), BH_STR("a")));
    assert_non_null(rest.data);
    assert_int_equal(rest.size, 0);
}

static void test_numbers(void **const state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        int64_t value;
    } cases[] = {
        { "0", 0, 0 },
        { "-0", 0, 0 },
        { "+17", 0, 17 },
        { "007", 0, 7 },
        { "9223372036854775807", 0, INT64_MAX },
        { "-9223372036854775808", 0, INT64_MIN },
        { "9223372036854775808", BH_ELIMIT, 0 },
        { "-9223372036854775809", BH_ELIMIT, 0 },
        { "99999999999999999999999999", BH_ELIMIT, 0 },
        { "99999999999999999999999999x", BH_ESYNTAX, 0 },
        { "", BH_ESYNTAX, 0 },
        { "-", BH_ESYNTAX, 0 },
        { "+", BH_ESYNTAX, 0 },
        { "--1", BH_ESYNTAX, 0 },
        { " 1", BH_ESYNTAX, 0 },
        { "1 ", BH_ESYNTAX, 0 },
        { "1.0", BH_ESYNTAX, 0 },
        { "0x10", BH_ESYNTAX, 0 },
        { "\xD9\xA1", BH_ESYNTAX, 0 },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        int64_t value = 0;
        assert_int_equal(bh_str_to_int64(bh_str_from(cases[i].text), INT64_MIN, INT64_MAX, &value),
                         cases[i].result);
        assert_int_equal(value, cases[i].value);
    }
    int64_t untouched = 42;
    assert_int_equal(bh_str_to_int64(BH_STR("11"), 1, 10, &untouched), BH_ELIMIT);
    assert_int_equal(bh_str_to_int64(BH_STR("0"), 1, 10, &untouched), BH_ELIMIT);
    assert_int_equal(untouched, 42);
    assert_int_equal(bh_str_to_int64(BH_STR("10"), 1, 10, &untouched), 0);
    assert_int_equal(untouched, 10);
}

/* Encodes any number up to 0x10FFFF, also those UTF-8 forbids, in `size` bytes. */
static void encode(const uint32_t code, const size_t size, char bytes[4])
{
    static const unsigned leads[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    uint32_t rest = code;
    for (size_t i = size; i-- > 1;) {
        bytes[i] = (char)(0x80 | (rest & 0x3F));
        rest >>= 6;
    }
    bytes[0] = (char)(leads[size] | rest);
}

static void test_utf8_knows_every_code_point(void **const state)
{
    (void)state;
    char bytes[4];
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        const size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
        encode(code, size, bytes);
        assert_int_equal(bh_str_utf8_sequence(bytes, size), is_surrogate ? 0 : size);
        assert_int_equal(bh_str_utf8_sequence(bytes, size - 1), 0);
        if (size < 4 && code > 0x7F) { /* overlong */
            encode(code, size + 1, bytes);
            assert_int_equal(bh_str_utf8_sequence(bytes, size + 1), 0);
        }
    }
    for (uint32_t code = 0x110000; code < 0x200000; code += 0xFF) {
        encode(code, 4, bytes);
        assert_int_equal(bh_str_utf8_sequence(bytes, 4), 0);
    }
}

static void test_utf8_at_every_offset(void **const state)
{
    (void)state;
    char text[64];
    for (size_t at = 0; at < 40; at++) {
        memset(text, 'a', sizeof(text));
        memcpy(text + at, "\xE2\x82\xAC", 3);
        assert_true(bh_str_is_utf8((struct bh_str){ .data = text, .size = at + 3 }));
        assert_true(bh_str_is_utf8((struct bh_str){ .data = text, .size = sizeof(text) }));
        assert_false(bh_str_is_utf8((struct bh_str){ .data = text, .size = at + 2 }));
        text[at + 1] = 'a';
        assert_false(bh_str_is_utf8((struct bh_str){ .data = text, .size = sizeof(text) }));
    }
    assert_true(bh_str_is_utf8(BH_STR_NONE));
    assert_false(bh_str_is_utf8(BH_STR("\x80")));
    assert_false(bh_str_is_utf8(BH_STR("\xFE")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_trim_and_split),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_utf8_knows_every_code_point),
        cmocka_unit_test(test_utf8_at_every_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
