#include "cmocka_setup.h"

#include <math.h>

#include "library/score.h"

static void test_lengths_survive_their_code(void **state)
{
    (void)state;
    assert_int_equal(tome_score_length_code(0), 0);
    assert_true(tome_score_length(0) == 0.0);
    uint8_t before = 0;
    for (uint32_t words = 0; words <= 60000; words++) {
        const uint8_t code = tome_score_length_code(words);
        assert_true(code >= before);
        before = code;
        /* Half a step of 4.4% off at most. */
        const double difference = fabs(tome_score_length(code) - words);
        assert_true(difference <= 0.023 * ((double)words + 1.0));
    }
    assert_int_equal(tome_score_length_code(UINT32_MAX), UINT8_MAX);
    for (unsigned code = 0; code < 255; code++)
        assert_true(tome_score_length((uint8_t)code) < tome_score_length((uint8_t)(code + 1)));
}

static void test_an_average_chunk_counts_as_it_is(void **state)
{
    (void)state;
    float factors[256];
    const uint8_t code = tome_score_length_code(180);
    tome_score_length_factors(tome_score_length(code), factors);
    assert_true(fabs((double)factors[code] - 1.0) < 0.0001);
    for (unsigned i = 0; i < 256; i++) {
        assert_true(isfinite(factors[i]) && factors[i] > 0.0F);
        assert_true(i == 0 || factors[i] < factors[i - 1]);
    }
    /* Very short chunks gain no more than 1 / (1 - b). */
    assert_true((double)factors[0] <= 1.0 / (1.0 - TOME_SCORE_B) + 0.0001);
}

static void test_rare_words_tell_more(void **state)
{
    (void)state;
    static const int64_t counts[] = { 0, 1, 2, 10, 500, 999, 1000 };
    for (size_t i = 1; i < sizeof(counts) / sizeof(counts[0]); i++)
        assert_true(tome_score_weight(counts[i - 1], 1000) > tome_score_weight(counts[i], 1000));
    assert_true(tome_score_weight(1000, 1000) > 0.0);
    /* Counts are of all books, the total of the visible ones. */
    assert_true(tome_score_weight(5000, 1000) > 0.0 && isfinite(tome_score_weight(5000, 1000)));
    assert_true(isfinite(tome_score_weight(0, 0)));
}

static void test_repeating_a_word_is_worth_ever_less(void **state)
{
    (void)state;
    assert_true(tome_score_saturate(0.0) == 0.0);
    double gain_before = INFINITY;
    for (unsigned frequency = 1; frequency < 1000; frequency++) {
        const double gain = tome_score_saturate(frequency) - tome_score_saturate(frequency - 1);
        assert_true(gain > 0.0 && gain < gain_before);
        gain_before = gain;
    }
    assert_true(tome_score_saturate(1e9) <= TOME_SCORE_K1 + 1.0);
    assert_true(fabs(tome_score_saturate(1.0) - 1.0) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_survive_their_code),
        cmocka_unit_test(test_an_average_chunk_counts_as_it_is),
        cmocka_unit_test(test_rare_words_tell_more),
        cmocka_unit_test(test_repeating_a_word_is_worth_ever_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
