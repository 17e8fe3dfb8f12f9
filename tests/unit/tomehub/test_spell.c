#include "cmocka_setup.h"

#include "library/spell.h"
#include "test_library.h"

static unsigned distance(const char *const a, const char *const b, const unsigned most)
{
    uint32_t left[64], right[64];
    size_t left_count = 0, right_count = 0;
    for (; a[left_count] != '\0'; left_count++)
        left[left_count] = (uint32_t)(unsigned char)a[left_count];
    for (; b[right_count] != '\0'; right_count++)
        right[right_count] = (uint32_t)(unsigned char)b[right_count];
    const unsigned one = tome_spell_distance(left, left_count, right, right_count, most);
    assert_int_equal(one, tome_spell_distance(right, right_count, left, left_count, most));
    return one;
}

static void test_distances(void **state)
{
    (void)state;
    assert_int_equal(distance("whale", "whale", 2), 0);
    assert_int_equal(distance("whale", "whales", 2), 1);
    assert_int_equal(distance("whale", "wale", 2), 1);
    assert_int_equal(distance("whale", "while", 2), 1);
    assert_int_equal(distance("whale", "whael", 2), 1);
    assert_int_equal(distance("whale", "wahel", 2), 2);
    assert_int_equal(distance("detective", "dettectiv", 2), 2);
    assert_int_equal(distance("", "ab", 2), 2);
    assert_int_equal(distance("", "", 0), 0);
    /* Further than asked for. */
    assert_int_equal(distance("whale", "otter", 2), 3);
    assert_int_equal(distance("whale", "whales", 0), 1);
    assert_int_equal(distance("a", "abcdefgh", 2), 3);
    /* Swapped letters may not be edited again. */
    assert_int_equal(distance("ca", "abc", 5), 3);
}

static void test_words_too_long_are_far(void **state)
{
    (void)state;
    static const char longest[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_int_equal(distance(longest, longest, 2), 3);
    assert_int_equal(distance(longest, "a", 2), 3);
}

static const struct test_book book = {
    .title = "Animals",
    .chunks = { "whale otter detective schooner serpent kangaroo umbrella",
                "whale detective kangaroos", "whale detektive", "Gökyüzü çocuklar müzik",
                "война мир человек", NULL },
};

static int setup(void **const state)
{
    test_library_setup(state);
    assert_int_equal(test_library_add(*state, &book), 1);
    return 0;
}

static void assert_meant(struct test_library *const library, const char *const query,
                         const char *const meant)
{
    const struct tome_search_answer answer = test_library_search(library, query);
    if (!bh_str_equal(answer.did_you_mean, bh_str_from(meant)))
        fail_msg("%s: did you mean \"%.*s\"", query, BH_STR_ARGS(answer.did_you_mean));
    if (meant[0] != '\0')
        assert_true(answer.total_count > 0);
}

static void test_one_edit_from_five_letters(void **state)
{
    assert_meant(*state, "whlae", "whale");
    assert_meant(*state, "whaale", "whale");
    assert_meant(*state, "whle", "");     /* four letters */
    assert_meant(*state, "wwhlae", "");   /* two edits */
    assert_meant(*state, "serpnetz", ""); /* two edits of eight letters */
    assert_meant(*state, "hwale", "");    /* the first letter */
}

static void test_two_edits_from_nine_letters(void **state)
{
    assert_meant(*state, "umbrrellla", "umbrella");
    assert_meant(*state, "dtectivve", "detective");
    assert_meant(*state, "dtectivvee", "");
}

static void test_letters_are_counted_not_bytes(void **state)
{
    assert_meant(*state, "чиловек", "человек");
    assert_meant(*state, "чиловик", "");
    assert_meant(*state, "мирр", "");
    assert_meant(*state, "gökyüüzü", "gokyuzu");
}

static void test_the_rest_of_the_query_stays(void **state)
{
    assert_meant(*state, "  Otter, \"whale otter\" kangraoo -mouse ",
                 "  Otter, \"whale otter\" kangaroo -mouse ");
    assert_meant(*state, "whlae otetr", "whale otter");
}

static void test_what_is_not_corrected(void **state)
{
    assert_meant(*state, "\"whlae\"", "");
    assert_meant(*state, "whlae*", "");
    assert_meant(*state, "-whlae", "");
    assert_meant(*state, "title:whlae", "");
    assert_meant(*state, "whale", "");
    assert_meant(*state, "12345678", "");
    assert_meant(*state, "wxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyzwxyz", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_words_too_long_are_far),
        cmocka_unit_test(test_one_edit_from_five_letters),
        cmocka_unit_test(test_two_edits_from_nine_letters),
        cmocka_unit_test(test_letters_are_counted_not_bytes),
        cmocka_unit_test(test_the_rest_of_the_query_stays),
        cmocka_unit_test(test_what_is_not_corrected),
    };
    return cmocka_run_group_tests(tests, setup, test_library_teardown);
}
