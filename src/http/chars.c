#include "http/chars.h"

#define TOK BH_CHAR_TOKEN
#define TXT BH_CHAR_TEXT
#define TGT BH_CHAR_TARGET
#define HST BH_CHAR_HOST
#define BND BH_CHAR_BOUNDARY

const uint8_t bh_char_classes[256] = {
    ['\t'] = TXT,
    [' '] = TXT | BND,
    ['!'] = TOK | TXT | TGT,
    ['"'] = TXT | TGT,
    ['#'] = TOK | TXT,
    ['$'] = TOK | TXT | TGT,
    ['%'] = TOK | TXT | TGT | HST,
    ['&'] = TOK | TXT | TGT,
    ['\''] = TOK | TXT | TGT | BND,
    ['('] = TXT | TGT | BND,
    [')'] = TXT | TGT | BND,
    ['*'] = TOK | TXT | TGT,
    ['+'] = TOK | TXT | TGT | BND,
    [','] = TXT | TGT | BND,
    ['-'] = TOK | TXT | TGT | HST | BND,
    ['.'] = TOK | TXT | TGT | HST | BND,
    ['/'] = TXT | TGT | BND,
    ['0' ... '9'] = TOK | TXT | TGT | HST | BND,
    [':'] = TXT | TGT | HST | BND,
    [';'] = TXT | TGT,
    ['<'] = TXT | TGT,
    ['='] = TXT | TGT | BND,
    ['>'] = TXT | TGT,
    ['?'] = TXT | TGT | BND,
    ['@'] = TXT | TGT,
    ['A' ... 'Z'] = TOK | TXT | TGT | HST | BND,
    ['['] = TXT | TGT | HST,
    ['\\'] = TXT | TGT,
    [']'] = TXT | TGT | HST,
    ['^'] = TOK | TXT | TGT,
    ['_'] = TOK | TXT | TGT | HST | BND,
    ['`'] = TOK | TXT | TGT,
    ['a' ... 'z'] = TOK | TXT | TGT | HST | BND,
    ['{'] = TXT | TGT,
    ['|'] = TOK | TXT | TGT,
    ['}'] = TXT | TGT,
    ['~'] = TOK | TXT | TGT | HST,
    [0x80 ... 0xFF] = TXT | TGT,
};

/* clang-format off */
const int8_t bh_char_hex_values[256] = {
    [0 ... '0' - 1] = -1,
    ['0'] = 0, ['1'] = 1, ['2'] = 2, ['3'] = 3, ['4'] = 4,
    ['5'] = 5, ['6'] = 6, ['7'] = 7, ['8'] = 8, ['9'] = 9,
    ['9' + 1 ... 'A' - 1] = -1,
    ['A'] = 10, ['B'] = 11, ['C'] = 12, ['D'] = 13, ['E'] = 14, ['F'] = 15,
    ['F' + 1 ... 'a' - 1] = -1,
    ['a'] = 10, ['b'] = 11, ['c'] = 12, ['d'] = 13, ['e'] = 14, ['f'] = 15,
    ['f' + 1 ... 255] = -1,
};
/* clang-format on */

bool bh_chars_are(const struct bh_str text, const enum bh_char_class class)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!bh_char_is(text.data[i], class))
            return false;
    }
    return true;
}
