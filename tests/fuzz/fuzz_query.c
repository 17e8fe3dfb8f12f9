/* Queries: whatever a person types is parsed, within limits, into words that stand in the text. */
#include <stdint.h>

#include "bulkhead/base/assert.h"
#include "library/query.h"

#define ARENA_BYTES (UINT64_C(64) << 20)
#define LANGUAGES ((UINT32_C(1) << TOME_LANGUAGE_COUNT) - 2)

static void check_form(const struct bh_str form)
{
    bh_assert(form.size > 0 && form.size <= TOME_FORM_MAX && bh_str_is_utf8(form));
}

static void check_word(const struct tome_query_word *const word, const struct bh_str text)
{
    check_form(word->form);
    bh_assert(word->stem_count < TOME_LANGUAGE_COUNT);
    for (size_t i = 0; i < word->stem_count; i++) {
        check_form(word->stems[i].text);
        bh_assert(word->stems[i].language > (i > 0 ? word->stems[i - 1].language : 0));
    }
    bh_assert(word->source.size > 0 && word->source.data >= text.data);
    bh_assert(word->source.data + word->source.size <= text.data + text.size);
}

/* `*end`: where the word before ended; spelling correction writes words in this order. */
static size_t check_term(const struct tome_query_term *const term, const struct bh_str text,
                         const bool instant, const char **const end)
{
    bh_assert(term->word_count > 0 && term->word_count <= TOME_QUERY_PHRASE_MAX);
    bh_assert(term->field <= TOME_QUERY_BOOK);
    bh_assert(!term->instant || (instant && term->prefix));
    for (size_t i = 0; i < term->word_count; i++) {
        const struct tome_query_word *const word = &term->words[i];
        check_word(word, text);
        bh_assert(!term->quoted || word->stem_count == 0);
        bh_assert(word->source.data >= *end);
        *end = word->source.data + word->source.size;
    }
    return term->word_count;
}

static void check(struct tome_analyzer *const analyzer, struct bh_arena *const arena,
                  const struct bh_str text, const bool instant)
{
    struct tome_query query;
    bh_assert(tome_query_parse(analyzer, text, LANGUAGES, instant, arena, &query) == 0);
    bh_assert(query.clause_count <= query.term_count && query.term_count <= TOME_QUERY_TERMS_MAX);
    size_t term_count = 0, word_count = 0;
    const char *end = text.data;
    for (size_t i = 0; i < query.clause_count; i++) {
        const struct tome_query_clause *const clause = &query.clauses[i];
        bh_assert(clause->term_count > 0);
        bh_assert(!clause->negated || clause->term_count == 1);
        for (size_t j = 0; j < clause->term_count; j++)
            word_count += check_term(&clause->terms[j], text, instant, &end);
        term_count += clause->term_count;
    }
    bh_assert(term_count == query.term_count);
    /* The last operand may begin before the limit and end behind it. */
    bh_assert(word_count < TOME_QUERY_WORDS_MAX + TOME_QUERY_PHRASE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static struct tome_analyzer *analyzer;
    static struct bh_arena *arena;
    if (analyzer == NULL) {
        bh_assert(tome_analyzer_create(&analyzer) == 0);
        bh_assert(bh_arena_create(ARENA_BYTES, &arena) == 0);
    }
    const struct bh_str text = { (const char *)data, size };
    check(analyzer, arena, text, false);
    check(analyzer, arena, text, true);
    bh_arena_reset(arena);
    return 0;
}
