/*
 * Text analysis. One pass over UTF-8: a token starts at a letter or digit and goes on as long as
 * letters, digits and marks do; apostrophes, decimal points and thousands' commas are looked at
 * where they stand. ASCII takes a table and no library; other characters are classed and folded by
 * ICU once, into a table made at first use (shared by all threads, constant afterwards).
 *
 * Stems are Snowball's; a direct-mapped cache keeps those of the last few thousand different words,
 * since few words make most of a text.
 */
#include "library/analysis.h"

#include <libstemmer.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "bulkhead/base/assert.h"

#define ANALYZER_MAGIC UINT32_C(0x746f6d41)
#define BMP_SIZE 0x10000
#define FOLD_TABLE_SIZE 0x2500 /* code points below are folded by table */
#define FOLDED_MAX 24          /* bytes one character may become */
#define CACHE_SLOTS 16384
#define CACHE_WORD_MAX 20
#define ENDS_WORD 1         /* an ASCII character that no word goes on behind */
#define TOKEN_UNITS_MAX 128 /* UTF-16 units of a word given to a stemmer */
#define WANTED_MAX 4        /* different first letters that are looked for many bytes at a time */

enum char_class { OTHER, LETTER, DIGIT, MARK, IGNORED, APOSTROPHE, SINGLE };

struct fold {
    uint8_t size;
    char bytes[7];
};

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static uint8_t class_table[BMP_SIZE];
static uint8_t plain_table[256]; /* ASCII letters: the small one; ENDS_WORD; 0: anything else */
static struct fold fold_table[FOLD_TABLE_SIZE];
static const UNormalizer2 *nfkd, *nfc;

struct cached_stem {
    uint8_t language; /* 0: empty slot */
    uint8_t word_size, stem_size;
    char word[CACHE_WORD_MAX];
    char stem[CACHE_WORD_MAX];
};

struct tome_analyzer {
    BH_MAGIC_FIELD;
    struct bh_str text;
    size_t offset;
    const bool *first_letters; /* of the plain words that are wanted; NULL: all */
    char wanted[WANTED_MAX];   /* these letters, padded with the last one */
    bool skips;                /* they are few enough to be looked for many bytes at a time */
    bool after_single;         /* the token before was SINGLE and ended right here */
    size_t form_size;
    char form[TOME_FORM_MAX + FOLDED_MAX];
    char stem[TOME_FORM_MAX + FOLDED_MAX];
    struct cached_stem *cache; /* made with the first stem */
    struct sb_stemmer *stemmers[TOME_LANGUAGE_COUNT];
};

/* ---- Characters ---- */

/* Vowel signs of Indic scripts are letters to a reader; these are what people leave out. */
static bool is_dropped_mark(const UChar32 c)
{
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x489) || (c >= 0x591 && c <= 0x5c7) ||
           (c >= 0x610 && c <= 0x61a) || (c >= 0x64b && c <= 0x65f) || c == 0x670 ||
           (c >= 0x6d6 && c <= 0x6ed) || (c >= 0x1ab0 && c <= 0x1aff) ||
           (c >= 0x1dc0 && c <= 0x1dff) || (c >= 0x20d0 && c <= 0x20ff) ||
           (c >= 0xfe20 && c <= 0xfe2f);
}

static bool is_unspaced_script(const UChar32 c)
{
    UErrorCode error = U_ZERO_ERROR;
    switch (uscript_getScript(c, &error)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
    case USCRIPT_BOPOMOFO:
    case USCRIPT_YI:
        return true;
    default:
        return false;
    }
}

static enum char_class classify(const UChar32 c)
{
    if (c == '\'' || c == 0x2019 || c == 0x2bc || c == 0x2018)
        return APOSTROPHE;
    switch (u_charType(c)) {
    case U_UPPERCASE_LETTER:
    case U_LOWERCASE_LETTER:
    case U_TITLECASE_LETTER:
    case U_MODIFIER_LETTER:
    case U_OTHER_LETTER:
        return is_unspaced_script(c) ? SINGLE : LETTER;
    case U_DECIMAL_DIGIT_NUMBER:
    case U_LETTER_NUMBER:
    case U_OTHER_NUMBER:
        return DIGIT;
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_COMBINING_SPACING_MARK:
        return MARK;
    case U_FORMAT_CHAR:
        return IGNORED; /* soft hyphen, joiners */
    default:
        return OTHER;
    }
}

static enum char_class class_of(const UChar32 c)
{
    if (BH_UNLIKELY(c < 0))
        return OTHER;
    return c < BMP_SIZE ? (enum char_class)class_table[c] : classify(c);
}

/* Letters that have no decomposition but a customary spelling in plain Latin. */
static const char *plain_spelling(const UChar32 lower)
{
    switch (lower) {
    case 0x131:
        return "i";
    case 0xdf:
        return "ss";
    case 0xe6:
        return "ae";
    case 0x153:
        return "oe";
    case 0xf8:
        return "o";
    case 0x111:
    case 0xf0:
        return "d";
    case 0xfe:
        return "th";
    case 0x142:
        return "l";
    case 0x127:
        return "h";
    case 0x167:
        return "t";
    case 0x14b:
        return "n";
    case 0x3c2:
        return "\xcf\x83"; /* final sigma */
    default:
        return NULL;
    }
}

static size_t encode(const UChar32 c, char target[4])
{
    const uint32_t u = (uint32_t)c;
    if (u < 0x80) {
        target[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        target[0] = (char)(0xc0 | u >> 6);
        target[1] = (char)(0x80 | (u & 0x3f));
        return 2;
    }
    if (u < 0x10000) {
        target[0] = (char)(0xe0 | u >> 12);
        target[1] = (char)(0x80 | (u >> 6 & 0x3f));
        target[2] = (char)(0x80 | (u & 0x3f));
        return 3;
    }
    target[0] = (char)(0xf0 | u >> 18);
    target[1] = (char)(0x80 | (u >> 12 & 0x3f));
    target[2] = (char)(0x80 | (u >> 6 & 0x3f));
    target[3] = (char)(0x80 | (u & 0x3f));
    return 4;
}

/* Writes the folded form of `c` (0 to FOLDED_MAX bytes); returns its size. */
static size_t fold_by_library(const UChar32 c, char target[FOLDED_MAX])
{
    UChar units[32];
    int32_t unit_count = 0;
    UErrorCode error = U_ZERO_ERROR;
    const bool is_hangul = c >= 0xac00 && c <= 0xd7a3;
    const bool is_kana = c >= 0x3040 && c <= 0x30ff;
    if (!is_hangul && !is_kana)
        unit_count = unorm2_getDecomposition(nfkd, c, units, BH_COUNT_OF(units), &error);
    if (unit_count <= 0 || U_FAILURE(error)) {
        error = U_ZERO_ERROR;
        unit_count = 0;
        U16_APPEND_UNSAFE(units, unit_count, (uint32_t)c);
    }
    UChar32 parts[BH_COUNT_OF(units)];
    int32_t part_count = 0;
    u_strToUTF32(parts, BH_COUNT_OF(parts), &part_count, units, unit_count, &error);
    size_t size = 0;
    for (int32_t i = 0; i < part_count && U_SUCCESS(error); i++) {
        const UChar32 part = u_tolower(parts[i]);
        const enum char_class class = classify(part);
        if (is_dropped_mark(part) || class == OTHER || class == IGNORED || class == APOSTROPHE)
            continue;
        char encoded[4];
        const char *const plain = plain_spelling(part);
        const struct bh_str spelling = plain != NULL
                                           ? bh_str_from(plain)
                                           : (struct bh_str){ encoded, encode(part, encoded) };
        if (size + spelling.size > FOLDED_MAX)
            break;
        memcpy(target + size, spelling.data, spelling.size);
        size += spelling.size;
    }
    return size;
}

static size_t fold_char(const UChar32 c, char target[FOLDED_MAX])
{
    if (c < FOLD_TABLE_SIZE && fold_table[c].size != UINT8_MAX) {
        memcpy(target, fold_table[c].bytes, sizeof(fold_table[c].bytes));
        return fold_table[c].size;
    }
    return fold_by_library(c, target);
}

static void make_tables(void)
{
    UErrorCode error = U_ZERO_ERROR;
    nfkd = unorm2_getNFKDInstance(&error);
    nfc = unorm2_getNFCInstance(&error);
    bh_assert(U_SUCCESS(error));
    for (UChar32 c = 0; c < BMP_SIZE; c++)
        class_table[c] = (uint8_t)classify(c);
    for (unsigned c = 0; c < 0x80; c++) {
        if (class_table[c] == LETTER)
            plain_table[c] = (uint8_t)(c | 0x20);
        else if (class_table[c] == OTHER)
            plain_table[c] = ENDS_WORD;
    }
    for (UChar32 c = 0; c < FOLD_TABLE_SIZE; c++) {
        char folded[FOLDED_MAX];
        const size_t size = fold_by_library(c, folded);
        fold_table[c].size = size <= sizeof(fold_table[c].bytes) ? (uint8_t)size : UINT8_MAX;
        if (size <= sizeof(fold_table[c].bytes))
            memcpy(fold_table[c].bytes, folded, size);
    }
}

/* ---- Life ---- */

int tome_analyzer_create(struct tome_analyzer **const ret_analyzer)
{
    pthread_once(&tables_once, make_tables);
    struct tome_analyzer *const analyzer = calloc(1, sizeof(*analyzer));
    if (analyzer == NULL)
        return BH_ENOMEM;
    analyzer->magic = ANALYZER_MAGIC;
    *ret_analyzer = analyzer;
    return 0;
}

void tome_analyzer_destroy(struct tome_analyzer *const analyzer)
{
    if (analyzer == NULL)
        return;
    bh_magic_check(analyzer, ANALYZER_MAGIC);
    for (size_t i = 0; i < BH_COUNT_OF(analyzer->stemmers); i++)
        if (analyzer->stemmers[i] != NULL)
            sb_stemmer_delete(analyzer->stemmers[i]);
    free(analyzer->cache);
    analyzer->magic = 0;
    free(analyzer);
}

void tome_analyzer_begin(struct tome_analyzer *const analyzer, const struct bh_str text)
{
    tome_analyzer_begin_some(analyzer, text, NULL);
}

void tome_analyzer_begin_some(struct tome_analyzer *const analyzer, const struct bh_str text,
                              const bool *const first_letters)
{
    analyzer->text = text;
    analyzer->offset = 0;
    analyzer->first_letters = first_letters;
    analyzer->after_single = false;
    size_t count = 0;
    for (char letter = 'a'; first_letters != NULL && letter <= 'z'; letter++) {
        if (first_letters[(unsigned char)letter] && count++ < WANTED_MAX)
            memset(analyzer->wanted + count - 1, letter, WANTED_MAX - count + 1);
    }
    analyzer->skips = count > 0 && count <= WANTED_MAX;
}

/* ---- Tokens ---- */

/* The character at `*offset`, which moves behind it; negative: not UTF-8 (one byte is skipped). */
static inline UChar32 next_char(const struct bh_str text, size_t *const offset)
{
    const uint8_t *const data = (const uint8_t *)text.data;
    const uint8_t first = data[*offset];
    if (BH_LIKELY(first < 0x80)) {
        ++*offset;
        return first;
    }
    const size_t rest = text.size - *offset;
    const int32_t length = rest < 4 ? (int32_t)rest : 4;
    int32_t i = 0;
    UChar32 c;
    U8_NEXT(data + *offset, i, length, c);
    *offset += c < 0 ? 1 : (size_t)i;
    return c;
}

static inline enum char_class peek_class(const struct bh_str text, size_t offset)
{
    return offset < text.size ? class_of(next_char(text, &offset)) : OTHER;
}

static inline bool is_ascii_digit(const struct bh_str text, const size_t offset)
{
    return offset < text.size && text.data[offset] >= '0' && text.data[offset] <= '9';
}

/* Adds the folded character while the form has room; a longer word is cut between characters. */
static inline void append_folded(struct tome_analyzer *const analyzer, const UChar32 c,
                                 bool *const is_full)
{
    if (*is_full)
        return;
    char *const end = analyzer->form + analyzer->form_size;
    const size_t size = fold_char(c, end);
    if (analyzer->form_size + size > TOME_FORM_MAX)
        *is_full = true;
    else
        analyzer->form_size += size;
}

enum apostrophe { ENDS_TOKEN, ENDING_DROPPED, JOINED };

/* What an apostrophe inside a word means, by the letters behind it ("s" → a possessive).
 * `*ret_end`: where the word's ending ends. */
static enum apostrophe classify_apostrophe(const struct bh_str text, const size_t behind,
                                           size_t *const ret_end)
{
    char ending[3] = { 0 };
    size_t size = 0, offset = behind;
    while (offset < text.size) {
        const size_t at = offset;
        const UChar32 c = next_char(text, &offset);
        const enum char_class class = class_of(c);
        if (class == OTHER || class == APOSTROPHE || class == SINGLE) {
            offset = at;
            break;
        }
        if (size == 2 || c >= 0x80)
            return ENDS_TOKEN;
        ending[size++] = (char)(c | 0x20);
    }
    *ret_end = offset;
    static const char *const dropped[] = { "s", "d", "m", "ll", "re", "ve" };
    for (size_t i = 0; i < BH_COUNT_OF(dropped); i++)
        if (strcmp(ending, dropped[i]) == 0)
            return ENDING_DROPPED;
    return strcmp(ending, "t") == 0 ? JOINED : ENDS_TOKEN;
}

/* Whether the point or comma at `offset`, with digits alone before it, belongs to the number. */
static bool is_inside_number(const struct bh_str text, const size_t offset)
{
    size_t end = offset + 1;
    while (is_ascii_digit(text, end))
        end++;
    const size_t digits = end - offset - 1;
    if (digits == 0)
        return false;
    if (text.data[offset] == ',')
        return digits == 3;
    /* 3.14 is one number; 2.1.3 and 12.5.2020 are several. */
    const bool goes_on = end < text.size && text.data[end] == '.' && is_ascii_digit(text, end + 1);
    return !goes_on;
}

/* A character of a script without blanks, with the marks on it. */
static void read_single(struct tome_analyzer *const analyzer, const size_t start, const UChar32 c,
                        struct tome_token *const ret_token)
{
    bool is_full = false;
    append_folded(analyzer, c, &is_full);
    while (peek_class(analyzer->text, analyzer->offset) == MARK)
        append_folded(analyzer, next_char(analyzer->text, &analyzer->offset), &is_full);
    ret_token->start = start;
    ret_token->end = analyzer->offset;
    ret_token->ascii = false;
    ret_token->joined = analyzer->after_single;
    analyzer->after_single = true;
}

/* Reads on behind the first character of a word. */
static void read_word(struct tome_analyzer *const analyzer, const size_t start, const UChar32 first,
                      struct tome_token *const ret_token)
{
    const struct bh_str text = analyzer->text;
    bool is_full = false, ascii = first < 0x80, is_number = first >= '0' && first <= '9';
    /* 2.1.3: what stands behind a point that separates is no decimal. */
    bool has_point = start >= 2 && text.data[start - 1] == '.' && is_ascii_digit(text, start - 2);
    append_folded(analyzer, first, &is_full);
    size_t end = analyzer->offset, resume = end;
    while (resume < text.size) {
        const size_t at = resume;
        const UChar32 c = next_char(text, &resume);
        const enum char_class class = class_of(c);
        if (class == LETTER || class == DIGIT || class == MARK) {
            ascii = ascii && c < 0x80;
            is_number = is_number && c >= '0' && c <= '9';
            append_folded(analyzer, c, &is_full);
        } else if (class == IGNORED) {
            ascii = false;
        } else if (class == APOSTROPHE) {
            size_t ending_end = resume;
            const enum apostrophe kind = classify_apostrophe(text, resume, &ending_end);
            resume = at;
            if (kind == ENDING_DROPPED)
                resume = ending_end;
            if (kind != JOINED)
                break;
            append_folded(analyzer, 't', &is_full);
            is_number = false;
            resume = ending_end;
        } else if ((c == '.' || c == ',') && is_number && !has_point &&
                   is_inside_number(text, at)) {
            has_point = c == '.';
            if (has_point && analyzer->form_size < TOME_FORM_MAX)
                analyzer->form[analyzer->form_size++] = '.';
        } else {
            resume = at;
            break;
        }
        end = resume;
    }
    analyzer->offset = resume;
    analyzer->after_single = false;
    ret_token->start = start;
    ret_token->end = end;
    ret_token->ascii = ascii;
    ret_token->joined = false;
}

/* Most words are plain: ASCII letters, and then an ASCII character that ends any word. Returns the
 * word's end, or `start` when there is none. */
static size_t plain_word_end(const struct bh_str text, const size_t start)
{
    const uint8_t *const data = (const uint8_t *)text.data;
    size_t end = start;
    while (end < text.size && plain_table[data[end]] > ENDS_WORD)
        end++;
    return end == text.size || plain_table[data[end]] == ENDS_WORD ? end : start;
}

#ifdef __SSE2__
/* Where, at or behind `offset`, which is no word's inside, a wanted plain word may begin, or a word
 * that is not plain: 16 bytes at a time, as long as there are so many. */
static size_t skip_plain_words(const struct tome_analyzer *const analyzer, const size_t offset)
{
    const struct bh_str text = analyzer->text;
    __m128i wanted[WANTED_MAX];
    for (size_t i = 0; i < WANTED_MAX; i++)
        wanted[i] = _mm_set1_epi8(analyzer->wanted[i]);
    unsigned inside = 0; /* 1: the block before ended with a letter */
    size_t stop = offset;
    for (; text.size - stop >= 16; stop += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text.data + stop));
        const __m128i small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        const __m128i from_a = _mm_sub_epi8(small, _mm_set1_epi8('a'));
        const __m128i letter = _mm_cmpeq_epi8(_mm_min_epu8(from_a, _mm_set1_epi8(25)), from_a);
        const __m128i from_0 = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
        const __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(from_0, _mm_set1_epi8(9)), from_0);
        const __m128i apostrophe = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\''));
        /* The highest bit tells what is not ASCII. */
        const unsigned other = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(bytes, _mm_or_si128(digit, apostrophe)));
        __m128i first = _mm_cmpeq_epi8(small, wanted[0]);
        for (size_t i = 1; i < WANTED_MAX; i++)
            first = _mm_or_si128(first, _mm_cmpeq_epi8(small, wanted[i]));
        const unsigned letters = (unsigned)_mm_movemask_epi8(letter);
        const unsigned begins = (unsigned)_mm_movemask_epi8(first) & ~(letters << 1 | inside);
        const unsigned stops = (other | begins) & 0xffff;
        inside = letters >> 15;
        if (stops != 0) {
            stop += (size_t)__builtin_ctz(stops);
            break;
        }
    }
    /* Back to the beginning of the word that something else stands in. */
    while (stop > offset && plain_table[(uint8_t)text.data[stop - 1]] > ENDS_WORD)
        stop--;
    return stop;
}
#else
static size_t skip_plain_words(const struct tome_analyzer *const analyzer, const size_t offset)
{
    (void)analyzer;
    return offset;
}
#endif

static void read_plain_word(struct tome_analyzer *const analyzer, const size_t start,
                            const size_t end, struct tome_token *const ret_token)
{
    const uint8_t *const data = (const uint8_t *)analyzer->text.data + start;
    const size_t size = end - start < TOME_FORM_MAX ? end - start : TOME_FORM_MAX;
    for (size_t i = 0; i < size; i++)
        analyzer->form[i] = (char)(data[i] | 0x20);
    analyzer->form_size = size;
    *ret_token = (struct tome_token){
        .start = start, .end = end, .form = { analyzer->form, size }, .ascii = true
    };
}

bool tome_analyzer_next(struct tome_analyzer *const analyzer, struct tome_token *const ret_token)
{
    const struct bh_str text = analyzer->text;
    while (analyzer->offset < text.size) {
        if (analyzer->skips) {
            const size_t behind = skip_plain_words(analyzer, analyzer->offset);
            analyzer->after_single &= behind == analyzer->offset;
            analyzer->offset = behind;
            if (behind == text.size)
                break;
        }
        const size_t start = analyzer->offset;
        const size_t plain_end = plain_word_end(text, start);
        if (plain_end > start) {
            analyzer->offset = plain_end;
            analyzer->after_single = false;
            if (analyzer->first_letters && !analyzer->first_letters[text.data[start] | 0x20])
                continue;
            read_plain_word(analyzer, start, plain_end, ret_token);
            return true;
        }
        const UChar32 c = next_char(text, &analyzer->offset);
        const enum char_class class = class_of(c);
        if (class != LETTER && class != DIGIT && class != SINGLE) {
            analyzer->after_single = false;
            continue;
        }
        analyzer->form_size = 0;
        if (class == SINGLE)
            read_single(analyzer, start, c, ret_token);
        else
            read_word(analyzer, start, c, ret_token);
        if (analyzer->form_size == 0)
            continue; /* nothing but signs that fold away */
        ret_token->form = (struct bh_str){ analyzer->form, analyzer->form_size };
        return true;
    }
    return false;
}

/* ---- Stems ---- */

/* Composes and lowers the word as its language does (Turkish: I → ı), apostrophes and joiners left
 * out. Returns its bytes in `target`, 0 when it is too long to be a word. */
static size_t lower_word(const struct bh_str word, const enum tome_language language,
                         char *const target, const size_t capacity)
{
    UChar source[TOKEN_UNITS_MAX], composed[TOKEN_UNITS_MAX], lowered[TOKEN_UNITS_MAX];
    int32_t source_size = 0;
    for (size_t offset = 0; offset < word.size;) {
        const UChar32 c = next_char(word, &offset);
        const enum char_class class = class_of(c);
        if (class == APOSTROPHE || class == IGNORED || class == OTHER)
            continue;
        if (source_size + 2 > TOKEN_UNITS_MAX)
            return 0;
        U16_APPEND_UNSAFE(source, source_size, (uint32_t)c);
    }
    UErrorCode error = U_ZERO_ERROR;
    const int32_t composed_size = unorm2_normalize(nfc, source, source_size, composed,
                                                   TOKEN_UNITS_MAX, &error);
    const char *const locale = language == TOME_LANGUAGE_TURKISH ? "tr" : "";
    const int32_t lowered_size = u_strToLower(lowered, TOKEN_UNITS_MAX, composed, composed_size,
                                              locale, &error);
    int32_t size = 0;
    u_strToUTF8(target, (int32_t)capacity, &size, lowered, lowered_size, &error);
    return U_SUCCESS(error) && size >= 0 && (size_t)size <= capacity ? (size_t)size : 0;
}

static size_t fold_stem(const char *const stem, const size_t stem_size, char *const target)
{
    const struct bh_str text = { stem, stem_size };
    size_t size = 0;
    for (size_t offset = 0; offset < stem_size;) {
        char folded[FOLDED_MAX];
        const size_t folded_size = fold_char(next_char(text, &offset), folded);
        if (size + folded_size > TOME_FORM_MAX)
            break;
        memcpy(target + size, folded, folded_size);
        size += folded_size;
    }
    return size;
}

static struct bh_str compute_stem(struct tome_analyzer *const analyzer, const struct bh_str word,
                                  const bool lowered, const enum tome_language language)
{
    const struct bh_str form = { analyzer->form, analyzer->form_size };
    if (analyzer->stemmers[language] == NULL)
        analyzer->stemmers[language] = sb_stemmer_new(tome_language_stemmer(language), "UTF_8");
    struct sb_stemmer *const stemmer = analyzer->stemmers[language];
    char lower[4 * TOKEN_UNITS_MAX];
    struct bh_str input = word;
    if (!lowered) {
        const size_t lower_size = lower_word(word, language, lower, sizeof(lower));
        input = (struct bh_str){ lower, lower_size };
    }
    if (stemmer == NULL || input.size == 0)
        return form;
    const sb_symbol *const stem = sb_stemmer_stem(stemmer, (const sb_symbol *)input.data,
                                                  (int)input.size);
    if (stem == NULL)
        return form;
    const size_t size = fold_stem((const char *)stem, (size_t)sb_stemmer_length(stemmer),
                                  analyzer->stem);
    return size == 0 ? form : (struct bh_str){ analyzer->stem, size };
}

static size_t cache_slot(const struct bh_str word, const enum tome_language language)
{
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)language;
    for (size_t i = 0; i < word.size; i++)
        hash = (hash ^ (uint8_t)word.data[i]) * UINT32_C(16777619);
    return (hash ^ hash >> 15) % CACHE_SLOTS;
}

struct bh_str tome_analyzer_stem(struct tome_analyzer *const analyzer,
                                 const struct tome_token *const token,
                                 const enum tome_language language)
{
    const struct bh_str form = { analyzer->form, analyzer->form_size };
    const bool starts_with_digit = form.data[0] >= '0' && form.data[0] <= '9';
    if (language == TOME_LANGUAGE_NONE || starts_with_digit || form.size >= TOME_FORM_MAX)
        return form;

    /* The form of an ASCII word is the word in lower case, but for the Turkish I. */
    const struct bh_str source = { analyzer->text.data + token->start, token->end - token->start };
    const bool lowered = token->ascii && (language != TOME_LANGUAGE_TURKISH ||
                                          memchr(source.data, 'I', source.size) == NULL);
    const struct bh_str word = lowered ? form : source;
    if (word.size > CACHE_WORD_MAX)
        return compute_stem(analyzer, word, lowered, language);
    if (analyzer->cache == NULL)
        analyzer->cache = calloc(CACHE_SLOTS, sizeof(*analyzer->cache));
    if (analyzer->cache == NULL)
        return compute_stem(analyzer, word, lowered, language);

    struct cached_stem *const slot = &analyzer->cache[cache_slot(word, language)];
    if (slot->language == language && slot->word_size == word.size &&
        memcmp(slot->word, word.data, word.size) == 0)
        return (struct bh_str){ slot->stem, slot->stem_size };
    const struct bh_str stem = compute_stem(analyzer, word, lowered, language);
    if (stem.size > CACHE_WORD_MAX)
        return stem;
    slot->language = (uint8_t)language;
    slot->word_size = (uint8_t)word.size;
    slot->stem_size = (uint8_t)stem.size;
    memcpy(slot->word, word.data, word.size);
    memcpy(slot->stem, stem.data, stem.size);
    return (struct bh_str){ slot->stem, slot->stem_size };
}
