#include "cmocka_setup.h"

#include "http/field.h"

static void assert_text(const struct bh_str text, const char *const expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void test_lists_are_cut_at_commas(void **const state)
{
    (void)state;
    struct bh_str rest = BH_STR(" a ,, b\t,c d,");
    struct bh_str element;
    assert_true(bh_field_list_next(&rest, &element));
    assert_text(element, "a");
    assert_true(bh_field_list_next(&rest, &element));
    assert_text(element, "b");
    assert_true(bh_field_list_next(&rest, &element));
    assert_text(element, "c d");
    assert_false(bh_field_list_next(&rest, &element));
    assert_true(bh_field_list_has(BH_STR("x, Close"), BH_STR("close")));
    assert_false(bh_field_list_has(BH_STR("closed"), BH_STR("close")));
    assert_false(bh_field_list_has(BH_STR_NONE, BH_STR("close")));
}

static void test_parameters_are_tokens_or_quoted(void **const state)
{
    (void)state;
    struct bh_str rest = BH_STR("; a=b ;c=\"d; \\\"e\\\"\";; f=g; ");
    struct bh_field_parameter parameter;
    assert_int_equal(bh_field_parameter_next(&rest, &parameter), 1);
    assert_text(parameter.name, "a");
    assert_text(parameter.value, "b");
    assert_false(parameter.is_quoted);
    assert_int_equal(bh_field_parameter_next(&rest, &parameter), 1);
    assert_text(parameter.name, "c");
    assert_text(parameter.value, "d; \\\"e\\\"");
    assert_true(parameter.is_quoted);
    assert_int_equal(bh_field_parameter_next(&rest, &parameter), 1);
    assert_text(parameter.name, "f");
    assert_int_equal(bh_field_parameter_next(&rest, &parameter), 0);
}

static void test_malformed_parameters_are_errors(void **const state)
{
    (void)state;
    static const char *const texts[] = { "a=b",        ";a",     ";=b",    ";a=",   ";a=\"b",
                                         ";a=\"b\\\"", ";a b=c", ";a=b c", ";a =b", ";a=\"\\" };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        struct bh_str rest = bh_str_from(texts[i]);
        struct bh_field_parameter parameter;
        int result;
        while ((result = bh_field_parameter_next(&rest, &parameter)) > 0)
            ;
        assert_int_equal(result, BH_ESYNTAX);
    }
}

static void test_escapes_are_removed_in_place(void **const state)
{
    (void)state;
    char text[] = "a\\\"b\\\\c\\";
    const size_t size = bh_field_unescape(text, sizeof(text) - 1);
    assert_text((struct bh_str){ text, size }, "a\"b\\c\\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_cut_at_commas),
        cmocka_unit_test(test_parameters_are_tokens_or_quoted),
        cmocka_unit_test(test_malformed_parameters_are_errors),
        cmocka_unit_test(test_escapes_are_removed_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
