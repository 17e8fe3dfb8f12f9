/*
 * Numbers as text, appended to a buffer; the same in every locale.
 *
 * Doubles get the fewest digits that read back equal, by the first of three ways that can tell:
 * - At most 15 digits, by scaling: m / 10^k is rounded correctly by IEEE 754 while m < 2^53 and
 *   k <= 22, so if it equals the value, "m e-k" reads back equal, and no other text of 15 digits
 *   does. Nearly all numbers that people and databases write end here.
 * - 16 or 17 digits, exactly, in integers of 128 bits, from 1e-6 to 2^53.
 * - By trial with the C library, about ten times slower.
 */
#include "bulkhead/base/buf.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"

#define DIGITS_MAX 17
#define PLAIN_EXPONENT_MIN (-5) /* smaller and larger ones are written as 1.5e-7 and 1.5e16 */
#define PLAIN_EXPONENT_MAX 15
#define SCALED_MAX 1e15
#define FIXED_DIGITS_MAX 17

struct decimal {
    char digits[DIGITS_MAX + 1]; /* without trailing zeros, at least one */
    int count;
    int exponent; /* of ten, of the first digit */
};

size_t bh_buf_write_digits(char *const end, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char *at = end;
    while (value >= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(at, pairs + value * 2, 2);
    } else {
        *--at = (char)('0' + value);
    }
    return (size_t)(end - at);
}

void bh_buf_append_int(struct bh_buf *const buf, const int64_t value)
{
    char text[24];
    char *const end = text + sizeof(text);
    size_t size = bh_buf_write_digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        end[-(ptrdiff_t)++size] = '-';
    bh_buf_append(buf, end - size, size);
}

static void trim_zeros(struct decimal *const decimal)
{
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
}

static void decimal_set(struct decimal *const decimal, const uint64_t digits, const size_t scale)
{
    char text[24];
    char *const end = text + sizeof(text);
    const size_t size = bh_buf_write_digits(end, digits);
    memcpy(decimal->digits, end - size, size);
    decimal->count = (int)size;
    decimal->exponent = (int)size - 1 - (int)scale;
    trim_zeros(decimal);
}

static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
#define SCALE_MAX (BH_COUNT_OF(powers) - 1)

/* At most 15 digits. If they are not enough, *ret_scale is the power of ten that makes a whole
 * number of 16 digits of the value, or SCALE_MAX + 1 if it is too small for that. */
static bool decimal_scaled(const double magnitude, struct decimal *const decimal,
                           size_t *const ret_scale)
{
    size_t scale = 0;
    for (; scale <= SCALE_MAX; scale++) {
        const double scaled = magnitude * powers[scale];
        if (!(scaled < SCALED_MAX))
            break;
        const uint64_t whole = (uint64_t)(scaled + 0.5);
        const double back = (double)whole / powers[scale];
        if (back < magnitude || back > magnitude)
            continue;
        decimal_set(decimal, whole, scale);
        return true;
    }
    *ret_scale = scale;
    return false;
}

/* With value = mantissa / 2^shift, and mantissa * 10^scale exact in 128 bits: the whole number
 * nearest to value * 10^scale. *ret_is_equal: as a decimal it reads back as the value, for it is
 * nearer to it than half the way to the next double. (It is never just half the way, since 10^scale
 * has too few factors of two; and below a power of two, where the next double is half as far, it
 * makes no difference for any power in range, as the test shows for each.) */
static uint64_t round_scaled(const uint64_t mantissa, const int shift, const size_t scale,
                             bool *const ret_is_equal)
{
    unsigned __int128 power = 1;
    for (size_t i = 0; i < scale; i++)
        power *= 10;
    const unsigned __int128 scaled = mantissa * power;
    const unsigned __int128 one = (unsigned __int128)1 << shift;
    const unsigned __int128 rest = scaled & (one - 1);
    const bool up = rest > one - rest;
    *ret_is_equal = 2 * (up ? one - rest : rest) < power;
    return (uint64_t)(scaled >> shift) + (up ? 1 : 0);
}

/* 16 digits if they are enough, else 17, which always are. `scale` as decimal_scaled found it. */
static bool decimal_exact(const double magnitude, const size_t scale, struct decimal *const decimal)
{
    uint64_t bits;
    memcpy(&bits, &magnitude, sizeof(bits));
    const uint64_t hidden = UINT64_C(1) << (DBL_MANT_DIG - 1);
    const uint64_t mantissa = (bits & (hidden - 1)) | hidden;
    const int shift = 1023 + (DBL_MANT_DIG - 1) - (int)(bits >> (DBL_MANT_DIG - 1));
    if (shift < 0 || scale >= SCALE_MAX) /* beyond 2^53; mantissa · 10^22 is below 2^127 */
        return false;
    for (size_t more = 0; more < 2; more++) {
        bool is_equal;
        const uint64_t digits = round_scaled(mantissa, shift, scale + more, &is_equal);
        if (is_equal) {
            decimal_set(decimal, digits, scale + more);
            return true;
        }
    }
    return false;
}

/* Reads "d<point>ddde±xx", whatever the locale's point is. */
static void decimal_from_text(const char *at, struct decimal *const ret_decimal)
{
    ret_decimal->count = 0;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9' && ret_decimal->count < DIGITS_MAX)
            ret_decimal->digits[ret_decimal->count++] = *at;
    }
    ret_decimal->exponent = (int)strtol(at + 1, NULL, 10);
    trim_zeros(ret_decimal);
}

static void decimal_by_trial(const double magnitude, struct decimal *const ret_decimal)
{
    char text[48];
    /* below the smallest normal double fewer than 15 digits may be enough */
    for (int digits = magnitude < DBL_MIN ? 1 : 15; digits <= DIGITS_MAX; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, magnitude);
        const double back = strtod(text, NULL);
        if (!(back < magnitude) && !(back > magnitude))
            break;
    }
    decimal_from_text(text, ret_decimal);
}

/* Writes digits with the point behind the first `whole` of them, padded with zeros. */
static size_t layout_plain(const struct decimal *const decimal, char *const text)
{
    size_t size = 0;
    int at = decimal->exponent < 0 ? decimal->exponent : 0;
    const int last = decimal->count - 1 > decimal->exponent + 1 ? decimal->count - 1
                                                                : decimal->exponent + 1;
    for (; at <= last; at++) {
        if (at == decimal->exponent + 1)
            text[size++] = '.';
        text[size++] = at >= 0 && at < decimal->count ? decimal->digits[at] : '0';
    }
    return size;
}

static size_t layout_exponent(const struct decimal *const decimal, char *const text)
{
    size_t size = 0;
    text[size++] = decimal->digits[0];
    if (decimal->count > 1) {
        text[size++] = '.';
        memcpy(text + size, decimal->digits + 1, (size_t)decimal->count - 1);
        size += (size_t)decimal->count - 1;
    }
    return size + (size_t)snprintf(text + size, 8, "e%d", decimal->exponent);
}

void bh_buf_append_double(struct bh_buf *const buf, const double value)
{
    bh_assert(isfinite(value));
    struct decimal decimal = { .count = 0 };
    const double magnitude = fabs(value);
    size_t scale = 0;
    if (!decimal_scaled(magnitude, &decimal, &scale) && !decimal_exact(magnitude, scale, &decimal))
        decimal_by_trial(magnitude, &decimal);
    char text[48];
    size_t size = 0;
    if (signbit(value))
        text[size++] = '-';
    if (decimal.exponent >= PLAIN_EXPONENT_MIN && decimal.exponent <= PLAIN_EXPONENT_MAX)
        size += layout_plain(&decimal, text + size);
    else
        size += layout_exponent(&decimal, text + size);
    bh_buf_append(buf, text, size);
}

void bh_buf_append_fixed(struct bh_buf *const buf, const double value, const int digits)
{
    bh_assert(isfinite(value));
    bh_assert(digits >= 0 && digits <= FIXED_DIGITS_MAX);
    char text[384]; /* 309 digits, sign, point in any locale, 17 digits */
    const int printed = snprintf(text, sizeof(text), "%.*f", digits, value);
    bh_assert(printed > 0 && (size_t)printed < sizeof(text));
    const size_t size = (size_t)printed;
    if (digits == 0) {
        bh_buf_append(buf, text, size);
        return;
    }
    size_t whole = 0;
    while (whole < size && (text[whole] == '-' || (text[whole] >= '0' && text[whole] <= '9')))
        whole++;
    bh_buf_append(buf, text, whole);
    bh_buf_append_byte(buf, '.');
    bh_buf_append(buf, text + size - (size_t)digits, (size_t)digits);
}
