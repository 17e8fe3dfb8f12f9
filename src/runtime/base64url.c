#include "runtime/base64url.h"

static int value_of(const char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '-' ? 62 : digit == '_' ? 63 : -1;
}

int bh_base64url_decode(const struct bh_str text, uint8_t *const to, const size_t capacity,
                        size_t *const ret_size)
{
    const size_t size = text.size / 4 * 3 + (text.size % 4 == 0 ? 0 : text.size % 4 - 1);
    if (text.size % 4 == 1)
        return BH_ESYNTAX;
    if (size > capacity)
        return BH_ELIMIT;
    uint32_t bits = 0;
    unsigned count = 0;
    size_t at = 0;
    for (size_t i = 0; i < text.size; i++) {
        const int value = value_of(text.data[i]);
        if (value < 0)
            return BH_ESYNTAX;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            to[at++] = (uint8_t)(bits >> count);
            bits &= (UINT32_C(1) << count) - 1;
        }
    }
    if (bits != 0)
        return BH_ESYNTAX;
    *ret_size = size;
    return 0;
}
