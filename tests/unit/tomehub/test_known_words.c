/* The cache of words that the vocabulary holds. */
#include "cmocka_setup.h"

#include "library/known_words.h"

static int setup(void **const state)
{
    struct tome_known_words *known = NULL;
    assert_int_equal(tome_known_words_create(&known), 0);
    *state = known;
    return 0;
}

static int teardown(void **const state)
{
    tome_known_words_destroy(*state);
    return 0;
}

static void a_word_is_met_once_as_new(void **const state)
{
    assert_false(tome_known_words_meet(*state, 1, 0, 42));
    assert_true(tome_known_words_meet(*state, 1, 0, 42));
    assert_false(tome_known_words_meet(*state, 1, 0, 43));
}

static void owners_and_generations_have_words_of_their_own(void **const state)
{
    assert_false(tome_known_words_meet(*state, 1, 0, 42));
    assert_false(tome_known_words_meet(*state, 2, 0, 42));
    assert_false(tome_known_words_meet(*state, 1, 1, 42));
}

static void nothing_is_known_after_clearing(void **const state)
{
    for (uint64_t hash = 0; hash < 1000; hash++)
        assert_false(tome_known_words_meet(*state, 1, 7, hash << 40));
    tome_known_words_clear(*state);
    for (uint64_t hash = 0; hash < 1000; hash++)
        assert_false(tome_known_words_meet(*state, 1, 7, hash << 40));
}

/* However many come: what was forgotten is new again, never the other way round. */
static void more_words_than_there_is_room_for(void **const state)
{
    for (uint64_t hash = 0; hash < 1000000; hash++)
        assert_false(tome_known_words_meet(*state, 1, 0, hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_word_is_met_once_as_new, setup, teardown),
        cmocka_unit_test_setup_teardown(owners_and_generations_have_words_of_their_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_is_known_after_clearing, setup, teardown),
        cmocka_unit_test_setup_teardown(more_words_than_there_is_room_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
