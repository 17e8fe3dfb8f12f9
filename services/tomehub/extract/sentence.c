/* The common case, a word that ends in a letter or a comma, is decided by its last byte alone. */
#include "extract/sentence.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

enum class {
    CLASS_OTHER = 0,
    CLASS_BLANK,
    CLASS_WIDE, /* may begin a full stop of a script without blanks */
};

static const unsigned char class_of[256] = {
    ['\t'] = CLASS_BLANK, ['\n'] = CLASS_BLANK, ['\v'] = CLASS_BLANK, ['\f'] = CLASS_BLANK,
    ['\r'] = CLASS_BLANK, [' '] = CLASS_BLANK,  [0xE3] = CLASS_WIDE,  [0xEF] = CLASS_WIDE,
};

static struct bh_str from(const struct bh_str text, const size_t at)
{
    return (struct bh_str){ .data = text.data + at, .size = text.size - at };
}

/* 。 ！ ？ ｡ */
static bool is_wide_stop(const struct bh_str text)
{
    return bh_str_starts_with(text, BH_STR("\u3002")) ||
           bh_str_starts_with(text, BH_STR("\uFF01")) ||
           bh_str_starts_with(text, BH_STR("\uFF1F")) || bh_str_starts_with(text, BH_STR("\uFF61"));
}

/* 」 』 ） 》 〉 and the stops themselves, all of three bytes: what may follow a wide stop. */
static bool is_wide_closing(const struct bh_str text)
{
    return is_wide_stop(text) || bh_str_starts_with(text, BH_STR("\u300D")) ||
           bh_str_starts_with(text, BH_STR("\u300F")) ||
           bh_str_starts_with(text, BH_STR("\uFF09")) ||
           bh_str_starts_with(text, BH_STR("\u300B")) ||
           bh_str_starts_with(text, BH_STR("\u3009")) || bh_str_starts_with(text, BH_STR("\u201D"));
}

size_t tome_word_end(const struct bh_str text, const size_t begin)
{
    for (size_t at = begin; at < text.size; at++) {
        const unsigned char class = class_of[(unsigned char)text.data[at]];
        if (BH_LIKELY(class == CLASS_OTHER))
            continue;
        if (class == CLASS_BLANK)
            return at;
        if (!is_wide_stop(from(text, at)))
            continue;
        while (is_wide_closing(from(text, at)))
            at += 3;
        return at;
    }
    return text.size;
}

struct bh_str tome_trim(struct bh_str text)
{
    while (text.size > 0 && tome_is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && tome_is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

size_t tome_blanks_end(const struct bh_str text, const size_t begin)
{
    size_t at = begin;
    while (at < text.size && tome_is_blank(text.data[at]))
        at++;
    return at;
}

/* --- abbreviations ---------------------------------------------------------------------------- */

/* In ASCII order. Those that are as often the end of a sentence ("etc.", "usw.") are left out. */
static const char *const abbreviations[] = {
    "abb",  "adj",  "al",   "anm",  "approx", "apt",  "art", "asst", "av",  "avv", "bd",
    "bkz",  "blv",  "bspw", "bzgl", "bzw",    "ca",   "cad", "capt", "cf",  "ch",  "cmdr",
    "co",   "col",  "corp", "dept", "dipl",   "dott", "doç", "dr",   "dra", "ed",  "eds",
    "esp",  "est",  "evtl", "ff",   "fig",    "fr",   "gen", "ggf",  "gov", "haz", "hon",
    "hr",   "hrsg", "inc",  "ing",  "inkl",   "jr",   "lt",  "ltd",  "mah", "maj", "messrs",
    "mlle", "mm",   "mme",  "mr",   "mrs",    "ms",   "mt",  "nr",   "ord", "pp",  "pres",
    "prof", "ref",  "rep",  "rev",  "sen",    "sgt",  "sig", "sn",   "sog", "sok", "sr",
    "sra",  "srta", "st",   "ste",  "str",    "ud",   "uds", "uzm",  "vgl", "viz", "vol",
    "vs",   "yay",  "örn",
};

/* Abbreviations only in front of a number: "no. 7", "p. 12", "Jan. 5". In ASCII order. */
static const char *const before_numbers[] = {
    "apr", "aug", "bl",  "cap",  "chap", "cilt", "dec", "feb", "hft", "jan",
    "jul", "jun", "kap", "mar",  "no",   "nos",  "nov", "num", "oct", "p",
    "par", "s",   "sec", "sect", "sep",  "sept", "t",   "v",   "zl",
};

static bool table_has(const char *const *const table, const size_t count, const struct bh_str word)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = bh_str_compare(word, bh_str_from(table[middle]));
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Code points; the text is UTF-8. */
static size_t count_letters(const struct bh_str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

static bool is_digits(const struct bh_str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.size > 0;
}

static bool is_digit(const struct bh_str text)
{
    return text.size > 0 && text.data[0] >= '0' && text.data[0] <= '9';
}

/* `stem`: the word without its final stop, without opening quotes. */
static bool is_abbreviation(const struct bh_str stem, const struct bh_str next)
{
    if (stem.size == 0)
        return false;
    if (memchr(stem.data, '.', stem.size))
        return true;
    if (is_digits(stem))
        return stem.size <= 2;
    if (count_letters(stem) == 1)
        return true;
    char lower[8];
    if (stem.size > sizeof(lower))
        return false;
    for (size_t i = 0; i < stem.size; i++) {
        const char byte = stem.data[i];
        lower[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
    }
    const struct bh_str word = { .data = lower, .size = stem.size };
    return table_has(abbreviations, BH_COUNT_OF(abbreviations), word) ||
           (is_digit(next) && table_has(before_numbers, BH_COUNT_OF(before_numbers), word));
}

/* --- ends of sentences ------------------------------------------------------------------------ */

static int32_t last_code_point(const struct bh_str text, size_t *const ret_begin)
{
    int32_t at = (int32_t)text.size;
    UChar32 point;
    U8_PREV((const uint8_t *)text.data, 0, at, point);
    *ret_begin = (size_t)at;
    return point;
}

static bool is_closing(const int32_t point)
{
    switch (point) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case '}':
    case '*': /* footnote marks */
    case '_':
    case 0x2019:
    case 0x201D:
    case 0x201C: /* German closing */
    case 0x00BB:
    case 0x203A:
    case 0x00AB:
    case 0x2020:
        return true;
    default:
        return false;
    }
}

bool tome_begins_small(const struct bh_str text)
{
    int32_t at = 0;
    const int32_t size = text.size > 64 ? 64 : (int32_t)text.size;
    while (at < size) {
        UChar32 point;
        U8_NEXT((const uint8_t *)text.data, at, size, point);
        if (point < 0 || u_isalnum(point))
            return point >= 0 && u_islower(point);
        if (u_isspace(point))
            return false;
    }
    return false;
}

static struct bh_str without_opening(const struct bh_str word)
{
    struct bh_str rest = word;
    while (rest.size > 0) {
        int32_t at = 0;
        UChar32 point;
        const int32_t size = rest.size > 8 ? 8 : (int32_t)rest.size;
        U8_NEXT((const uint8_t *)rest.data, at, size, point);
        if (point < 0 || u_isalnum(point))
            break;
        rest = from(rest, (size_t)at);
    }
    return rest;
}

static bool cannot_end(const struct bh_str word)
{
    if (word.size == 0)
        return true;
    const unsigned char last = (unsigned char)word.data[word.size - 1];
    const unsigned char lower = last | 0x20;
    return (lower >= 'a' && lower <= 'z') || last == ',' || (last >= '0' && last <= '9');
}

bool tome_sentence_ends(const struct bh_str word, const struct bh_str next)
{
    if (BH_LIKELY(cannot_end(word)))
        return false;
    struct bh_str rest = word;
    size_t begin = 0;
    int32_t point = last_code_point(rest, &begin);
    while (is_closing(point) && begin > 0) {
        rest.size = begin;
        point = last_code_point(rest, &begin);
    }
    switch (point) {
    case 0x3002:
    case 0xFF01:
    case 0xFF1F:
    case 0xFF61:
    case 0x0964: /* danda */
    case 0x06D4:
    case 0x061F:
        return true;
    case '!':
    case '?':
    case 0x2026:
        return !tome_begins_small(next);
    case '.':
        rest.size = begin;
        if (rest.size > 0 && rest.data[rest.size - 1] == '.')
            return !tome_begins_small(next);
        return !is_abbreviation(without_opening(rest), next) && !tome_begins_small(next);
    default:
        return false;
    }
}
