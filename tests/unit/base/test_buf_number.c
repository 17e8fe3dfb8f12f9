#include "cmocka_setup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "aborts.h"
#include "bulkhead/base/buf.h"
#include "prng.h"

static const char *text_of(const struct bh_buf *const buf, char text[512])
{
    assert_int_equal(buf->error, 0);
    assert_true(buf->size < 512);
    memcpy(text, buf->data, buf->size);
    text[buf->size] = '\0';
    return text;
}

static const char *int_text(const int64_t value, char text[512])
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 512);
    bh_buf_append_int(&buf, value);
    return text_of(&buf, text);
}

static const char *double_text(const double value, char text[512])
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 512);
    bh_buf_append_double(&buf, value);
    return text_of(&buf, text);
}

static const char *fixed_text(const double value, const int digits, char text[512])
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 512);
    bh_buf_append_fixed(&buf, value, digits);
    return text_of(&buf, text);
}

static void check_int(const int64_t value)
{
    char text[512];
    char expected[32];
    snprintf(expected, sizeof(expected), "%" PRId64, value);
    assert_string_equal(int_text(value, text), expected);
}

static void test_ints(void **const state)
{
    (void)state;
    check_int(0);
    check_int(INT64_MIN);
    check_int(INT64_MAX);
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
        for (int64_t near = -1; near <= 1; near++) {
            check_int(power + near);
            check_int(-power + near);
        }
    }
    uint64_t seed = 3;
    for (int i = 0; i < 100000; i++)
        check_int((int64_t)(prng_next(&seed) >> prng_below(&seed, 64)));
}

static void test_doubles_as_people_write_them(void **const state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 1.0, "1.0" },
        { -1.5, "-1.5" },
        { 0.1, "0.1" },
        { 0.3, "0.3" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1.0 / 3, "0.3333333333333333" },
        { 12.3, "12.3" },
        { 100.0, "100.0" },
        { 123456789.125, "123456789.125" },
        { 0.00001, "0.00001" },
        { 0.000001, "1e-6" },
        { 1.5e-7, "1.5e-7" },
        { 999999999999999.0, "999999999999999.0" },
        { 9007199254740993.0, "9007199254740992.0" },
        { 1e16, "1e16" },
        { 1e22, "1e22" },
        { 1e23, "1e23" },
        { 5e-324, "5e-324" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 1.7976931348623157e308, "1.7976931348623157e308" },
    };
    char text[512];
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++)
        assert_string_equal(double_text(cases[i].value, text), cases[i].text);
}

static int count_digits(const char *text)
{
    char digits[64];
    int count = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0'))
            digits[count++] = *text;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* Equal to the sign of zero. */
static bool is_same(const double one, const double two)
{
    uint64_t bits[2];
    memcpy(&bits[0], &one, sizeof(one));
    memcpy(&bits[1], &two, sizeof(two));
    return bits[0] == bits[1];
}

/* Reads back equal, and no text of fewer digits does. */
static void check_double(const double value)
{
    if (!isfinite(value))
        return;
    char text[512];
    double_text(value, text);
    const double back = strtod(text, NULL);
    if (!is_same(back, value))
        fail_msg("%.17g was written as %s", value, text);
    const int digits = count_digits(text);
    char shorter[64];
    snprintf(shorter, sizeof(shorter), "%.*e", digits > 1 ? digits - 2 : 0, value);
    const double shorter_back = strtod(shorter, NULL);
    if (digits > 1 && is_same(shorter_back, value))
        fail_msg("%s could be %s", text, shorter);
}

static void test_doubles_read_back_equal(void **const state)
{
    (void)state;
    uint64_t seed = 11;
    for (int i = 0; i < 30000; i++) {
        const uint64_t bits = prng_next(&seed);
        double any;
        memcpy(&any, &bits, sizeof(any));
        check_double(any);
        /* few decimals, many decimals, subnormals, whole */
        check_double((double)(int64_t)(bits >> 40) / 1000.0);
        check_double((double)(int64_t)(bits >> 12) / 1e6 - 4e3);
        check_double((double)(bits >> 11) / 9007199254740992.0);
        const uint64_t subnormal_bits = bits >> (13 + i % 50);
        memcpy(&any, &subnormal_bits, sizeof(any));
        check_double(any);
        check_double((double)(bits >> (i % 64)));
    }
}

/* The positive double `steps` behind `value`. */
static double neighbour(const double value, const int steps)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bits += steps;
    double moved;
    memcpy(&moved, &bits, sizeof(moved));
    return moved;
}

/* Where 16 or 17 digits are found in integers, and a little beyond. */
static void test_all_digits_of_everyday_numbers(void **const state)
{
    (void)state;
    uint64_t seed = 19;
    for (int i = 0; i < 100000; i++) {
        const uint64_t random = prng_next(&seed);
        const uint64_t mantissa = (UINT64_C(1) << 52) | random >> 12;
        check_double(ldexp((double)mantissa, (int)(random % 80) - 74));
        /* few bits: often halfway between two decimals */
        check_double(ldexp((double)(mantissa >> (random % 50)), (int)(random % 90) - 74));
        check_double(neighbour(ldexp(1, (int)(random % 80) - 24), (int)(random >> 60) - 8));
    }
}

static void test_powers_of_two_and_ten(void **const state)
{
    (void)state;
    for (int exponent = -1074; exponent < 1024; exponent++) {
        check_double(ldexp(1, exponent));
        check_double(neighbour(ldexp(1, exponent), -1));
    }
    for (int exponent = -323; exponent <= 308; exponent++) {
        char text[16];
        snprintf(text, sizeof(text), "1e%d", exponent);
        const double power = strtod(text, NULL);
        check_double(power);
        check_double(neighbour(power, -1));
        check_double(neighbour(power, 1));
    }
}

static void test_fixed(void **const state)
{
    (void)state;
    char text[512];
    char expected[512];
    assert_string_equal(fixed_text(3.14159, 2, text), "3.14");
    assert_string_equal(fixed_text(2.5, 0, text), "2");
    assert_string_equal(fixed_text(-0.004, 2, text), "-0.00");
    snprintf(expected, sizeof(expected), "%.17f", -1.7976931348623157e308);
    assert_string_equal(fixed_text(-1.7976931348623157e308, 17, text), expected);
    uint64_t seed = 5;
    for (int i = 0; i < 50000; i++) {
        const double value = (double)(int64_t)prng_next(&seed) / 1e12;
        const int digits = (int)prng_below(&seed, 18);
        snprintf(expected, sizeof(expected), "%.*f", digits, value);
        assert_string_equal(fixed_text(value, digits, text), expected);
    }
}

static void append_double(void *const value)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 512);
    bh_buf_append_double(&buf, *(const double *)value);
    bh_buf_fini(&buf);
}

static void test_not_finite_aborts(void **const state)
{
    (void)state;
    double values[] = { (double)NAN, (double)INFINITY };
    assert_true(aborts(append_double, &values[0]));
    assert_true(aborts(append_double, &values[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ints),
        cmocka_unit_test(test_doubles_as_people_write_them),
        cmocka_unit_test(test_doubles_read_back_equal),
        cmocka_unit_test(test_all_digits_of_everyday_numbers),
        cmocka_unit_test(test_powers_of_two_and_ten),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_not_finite_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
