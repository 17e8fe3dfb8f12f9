/* Analysis: tokens of any bytes stand in order inside the text; forms and stems are short, valid
 * and the same each time; a form is its own form, so that a word found can be looked for again. */
#include <stdint.h>
#include <string.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include "bulkhead/base/assert.h"
#include "library/analysis.h"

static struct tome_analyzer *analyzer, *other;

static void check_word(const struct bh_str word)
{
    bh_assert(word.size > 0 && word.size <= TOME_FORM_MAX && bh_str_is_utf8(word));
}

/* The other analyzer's cache of stems was filled by other words. */
static void check_stems(const struct tome_token *const token, const struct tome_token *const again)
{
    for (int i = TOME_LANGUAGE_NONE; i < TOME_LANGUAGE_COUNT; i++) {
        const enum tome_language language = (enum tome_language)i;
        const struct bh_str stem = tome_analyzer_stem(analyzer, token, language);
        check_word(stem);
        bh_assert(i != TOME_LANGUAGE_NONE || bh_str_equal(stem, token->form));
        bh_assert(bh_str_equal(stem, tome_analyzer_stem(other, again, language)));
        bh_assert(bh_str_equal(stem, tome_analyzer_stem(analyzer, token, language)));
    }
}

/* Whether each of the form's characters is of a script whose words stand between blanks. */
static bool is_spaced(const struct bh_str form)
{
    for (int32_t offset = 0; offset < (int32_t)form.size;) {
        UChar32 c;
        U8_NEXT((const uint8_t *)form.data, offset, (int32_t)form.size, c);
        UErrorCode error = U_ZERO_ERROR;
        switch (uscript_getScript(c, &error)) {
        case USCRIPT_LATIN:
        case USCRIPT_CYRILLIC:
        case USCRIPT_GREEK:
        case USCRIPT_COMMON:
            break;
        default:
            return false;
        }
    }
    return true;
}

static void check_form_is_its_own(const struct bh_str form)
{
    char copy[TOME_FORM_MAX];
    memcpy(copy, form.data, form.size);
    const struct bh_str text = { copy, form.size };
    struct tome_token token;
    tome_analyzer_begin(other, text);
    bh_assert(tome_analyzer_next(other, &token));
    bh_assert(token.start == 0 && token.end == text.size);
    bh_assert(bh_str_equal(token.form, text));
    bh_assert(!tome_analyzer_next(other, &token));
}

static void check_tokens(const struct bh_str text)
{
    struct tome_token token, again;
    size_t end = 0;
    tome_analyzer_begin(analyzer, text);
    tome_analyzer_begin(other, text);
    while (tome_analyzer_next(analyzer, &token)) {
        bh_assert(tome_analyzer_next(other, &again));
        bh_assert(token.start == again.start && token.end == again.end);
        bh_assert(token.ascii == again.ascii && token.joined == again.joined);
        bh_assert(bh_str_equal(token.form, again.form));
        bh_assert(token.start >= end && token.end > token.start && token.end <= text.size);
        bh_assert(!token.joined || token.start == end);
        check_word(token.form);
        check_stems(&token, &again);
        end = token.end;
    }
    bh_assert(!tome_analyzer_next(other, &again));
}

static void check_forms(const struct bh_str text)
{
    struct tome_token token;
    tome_analyzer_begin(analyzer, text);
    while (tome_analyzer_next(analyzer, &token))
        if (token.form.size < TOME_FORM_MAX - 24 && is_spaced(token.form)) /* was not cut */
            check_form_is_its_own(token.form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    if (analyzer == NULL)
        bh_assert(tome_analyzer_create(&analyzer) == 0 && tome_analyzer_create(&other) == 0);
    const struct bh_str text = { (const char *)data, size };
    check_tokens(text);
    check_forms(text);
    return 0;
}
