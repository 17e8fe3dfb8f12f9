/*
 * The query language. One pass, left to right, without recursion: operators are looked for where a
 * word may begin; the rest of a word goes through text analysis, as documents do. What one
 * blank-separated word gives (state-of-the-art: four) stays together as a phrase where it is
 * negated, an alternative or within a field; otherwise each is a clause of its own.
 */
#include "library/query.h"

#include <string.h>

#include "bulkhead/base/assert.h"

struct parser {
    struct tome_analyzer *analyzer;
    struct bh_str text;
    size_t offset;
    uint32_t languages;
    bool instant;
    struct bh_arena *arena;
    struct tome_query query;
    struct tome_query_term *terms; /* of all clauses */
    size_t words_read;             /* repeated ones too */
    bool or_pending;
    bool out_of_memory;
};

/* What stands in front of an operand, and its text. */
struct operand {
    bool negated, quoted, prefix, instant;
    enum tome_query_field field;
    struct bh_str text;
};

static const struct {
    const char *name;
    enum tome_query_field field;
} field_names[] = {
    { "title", TOME_QUERY_TITLE }, { "author", TOME_QUERY_AUTHOR }, { "tag", TOME_QUERY_TAG },
    { "type", TOME_QUERY_TYPE },   { "book", TOME_QUERY_BOOK },
};

/* ---- Characters ---- */

static size_t blank_at(const struct bh_str text, const size_t offset)
{
    const unsigned char first = (unsigned char)text.data[offset];
    if (first <= ' ' || first == 0x7f)
        return 1;
    static const char *const blanks[] = { "\xc2\xa0",     "\xc2\x85",     "\xe2\x80\x89",
                                          "\xe2\x80\xaf", "\xe2\x80\xa8", "\xe2\x80\xa9",
                                          "\xe3\x80\x80" };
    const struct bh_str rest = { text.data + offset, text.size - offset };
    for (size_t i = 0; i < BH_COUNT_OF(blanks); i++)
        if (bh_str_starts_with(rest, bh_str_from(blanks[i])))
            return strlen(blanks[i]);
    return 0;
}

static size_t quote_at(const struct bh_str text, const size_t offset)
{
    if (text.data[offset] == '"')
        return 1;
    static const char *const quotes[] = { "\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e",
                                          "\xc2\xab", "\xc2\xbb" };
    const struct bh_str rest = { text.data + offset, text.size - offset };
    for (size_t i = 0; i < BH_COUNT_OF(quotes); i++)
        if (bh_str_starts_with(rest, bh_str_from(quotes[i])))
            return strlen(quotes[i]);
    return 0;
}

static bool is_word_end(const struct bh_str text, const size_t offset)
{
    return offset >= text.size || blank_at(text, offset) > 0;
}

/* ---- Operands to clauses ---- */

static struct bh_str copy_text(struct parser *const parser, const struct bh_str text)
{
    const char *const copy = bh_arena_strdup(parser->arena, text);
    if (copy == NULL)
        parser->out_of_memory = true;
    return (struct bh_str){ copy, copy != NULL ? text.size : 0 };
}

static void set_stems(struct parser *const parser, const struct tome_token *const token,
                      struct tome_query_word *const word)
{
    const size_t count = (size_t)__builtin_popcount(parser->languages);
    struct tome_query_stem *const stems = bh_arena_calloc(parser->arena, count + 1, sizeof(*stems));
    if (stems == NULL) {
        parser->out_of_memory = true;
        return;
    }
    for (int i = TOME_LANGUAGE_NONE + 1; i < TOME_LANGUAGE_COUNT; i++) {
        if ((parser->languages >> i & 1) == 0)
            continue;
        const enum tome_language language = (enum tome_language)i;
        const struct bh_str stem = tome_analyzer_stem(parser->analyzer, token, language);
        stems[word->stem_count++] = (struct tome_query_stem){ language, copy_text(parser, stem) };
    }
    word->stems = stems;
}

static void set_word(struct parser *const parser, const struct tome_token *const token,
                     const struct operand *const operand, struct tome_query_word *const ret_word)
{
    *ret_word = (struct tome_query_word){
        .form = copy_text(parser, token->form),
        .source = { operand->text.data + token->start, token->end - token->start },
    };
    if (!operand->quoted && !operand->prefix)
        set_stems(parser, token, ret_word);
}

static bool is_repeated(const struct tome_query *const query,
                        const struct tome_query_term *const term)
{
    for (size_t i = 0; i < query->clause_count; i++) {
        const struct tome_query_clause *const clause = &query->clauses[i];
        const struct tome_query_term *const other = &clause->terms[0];
        if (!clause->negated && clause->term_count == 1 && other->word_count == 1 &&
            term->word_count == 1 && other->field == term->field && other->quoted == term->quoted &&
            other->prefix == term->prefix &&
            bh_str_equal(other->words[0].form, term->words[0].form))
            return true;
    }
    return false;
}

static void add_term(struct parser *const parser, const struct operand *const operand,
                     const struct tome_query_term *const term)
{
    struct tome_query *const query = &parser->query;
    if (query->term_count >= TOME_QUERY_TERMS_MAX)
        return;
    struct tome_query_clause *const last = query->clause_count > 0
                                               ? &query->clauses[query->clause_count - 1]
                                               : NULL;
    if (parser->or_pending && last != NULL && !last->negated && !operand->negated) {
        parser->terms[query->term_count++] = *term; /* the clause's terms are the last ones */
        last->term_count++;
        return;
    }
    if (!operand->negated && is_repeated(query, term))
        return;
    struct tome_query_term *const terms = &parser->terms[query->term_count++];
    *terms = *term;
    bh_assert(query->clauses != NULL);
    query->clauses[query->clause_count++] =
        (struct tome_query_clause){ .negated = operand->negated, .terms = terms, .term_count = 1 };
}

/* Some of an operand's words as one term. */
static void add_words(struct parser *const parser, const struct operand *const operand,
                      const struct tome_query_word *const words, const size_t count,
                      const bool is_last)
{
    struct tome_query_word *const copy = bh_arena_calloc(parser->arena, count, sizeof(*copy));
    if (copy == NULL) {
        parser->out_of_memory = true;
        return;
    }
    memcpy(copy, words, count * sizeof(*copy));
    const struct tome_query_term term = {
        .field = operand->field,
        .prefix = is_last && (operand->prefix || operand->instant),
        .instant = is_last && operand->instant,
        .quoted = operand->quoted,
        .words = copy,
        .word_count = count,
    };
    add_term(parser, operand, &term);
}

static bool next_is_or(const struct parser *const parser)
{
    size_t offset = parser->offset;
    while (offset < parser->text.size && blank_at(parser->text, offset) > 0)
        offset += blank_at(parser->text, offset);
    const struct bh_str rest = { parser->text.data + offset, parser->text.size - offset };
    return bh_str_starts_with(rest, BH_STR("OR")) && is_word_end(rest, 2);
}

static void add_operand(struct parser *const parser, const struct operand *const operand)
{
    struct tome_query_word words[TOME_QUERY_PHRASE_MAX];
    const bool together = operand->quoted || operand->negated || operand->prefix ||
                          operand->field != TOME_QUERY_ANY || parser->or_pending ||
                          next_is_or(parser);
    size_t count = 0, first = 0;
    struct tome_token token;
    tome_analyzer_begin(parser->analyzer, operand->text);
    while (count < TOME_QUERY_PHRASE_MAX && tome_analyzer_next(parser->analyzer, &token)) {
        parser->words_read++;
        set_word(parser, &token, operand, &words[count]);
        if (parser->out_of_memory)
            return;
        /* Characters of a script without blanks make a word only together. */
        if (!together && count > first && !token.joined) {
            add_words(parser, operand, words + first, count - first, false);
            first = count;
        }
        count++;
    }
    if (count > first) {
        add_words(parser, operand, words + first, count - first, true);
        parser->or_pending = false;
    }
}

/* ---- Reading ---- */

static enum tome_query_field read_field(struct parser *const parser)
{
    const struct bh_str rest = { parser->text.data + parser->offset,
                                 parser->text.size - parser->offset };
    for (size_t i = 0; i < BH_COUNT_OF(field_names); i++) {
        const size_t size = strlen(field_names[i].name);
        const struct bh_str head = { rest.data, size };
        if (rest.size > size + 1 && rest.data[size] == ':' &&
            bh_str_equal_nocase(head, bh_str_from(field_names[i].name)) &&
            !is_word_end(rest, size + 1)) {
            parser->offset += size + 1;
            return field_names[i].field;
        }
    }
    return TOME_QUERY_ANY;
}

static struct bh_str read_quoted(struct parser *const parser)
{
    parser->offset += quote_at(parser->text, parser->offset);
    const size_t start = parser->offset;
    while (parser->offset < parser->text.size && quote_at(parser->text, parser->offset) == 0)
        parser->offset++;
    const struct bh_str inside = { parser->text.data + start, parser->offset - start };
    if (parser->offset < parser->text.size)
        parser->offset += quote_at(parser->text, parser->offset);
    return inside;
}

static struct bh_str read_bare(struct parser *const parser)
{
    const size_t start = parser->offset;
    while (!is_word_end(parser->text, parser->offset) &&
           quote_at(parser->text, parser->offset) == 0)
        parser->offset++;
    return (struct bh_str){ parser->text.data + start, parser->offset - start };
}

static void read_operand(struct parser *const parser)
{
    struct operand operand = { 0 };
    const struct bh_str text = parser->text;
    /* -word, but not --option. */
    if (text.data[parser->offset] == '-' &&
        (parser->offset + 1 >= text.size || text.data[parser->offset + 1] != '-')) {
        operand.negated = true;
        parser->offset++;
        if (is_word_end(text, parser->offset))
            return;
    }
    operand.field = read_field(parser);
    if (quote_at(text, parser->offset) > 0) {
        operand.quoted = true;
        operand.text = read_quoted(parser);
        operand.prefix = parser->offset < text.size && text.data[parser->offset] == '*';
        parser->offset += operand.prefix;
        add_operand(parser, &operand);
        return;
    }
    operand.text = read_bare(parser);
    if (bh_str_equal(operand.text, BH_STR("OR")) && !operand.negated &&
        operand.field == TOME_QUERY_ANY) {
        parser->or_pending = parser->query.clause_count > 0;
        return;
    }
    operand.prefix = bh_str_ends_with(operand.text, BH_STR("*"));
    operand.instant = parser->instant && parser->offset == text.size && !operand.prefix;
    add_operand(parser, &operand);
}

int tome_query_parse(struct tome_analyzer *const analyzer, const struct bh_str text,
                     const uint32_t languages, const bool instant, struct bh_arena *const arena,
                     struct tome_query *const ret_query)
{
    struct parser parser = {
        .analyzer = analyzer,
        .text = text,
        .languages = languages,
        .instant = instant,
        .arena = arena,
    };
    parser.query.clauses = bh_arena_calloc(arena, TOME_QUERY_TERMS_MAX,
                                           sizeof(*parser.query.clauses));
    parser.terms = bh_arena_calloc(arena, TOME_QUERY_TERMS_MAX, sizeof(*parser.terms));
    if (parser.query.clauses == NULL || parser.terms == NULL)
        return BH_ENOMEM;
    while (parser.offset < text.size && !parser.out_of_memory &&
           parser.query.term_count < TOME_QUERY_TERMS_MAX &&
           parser.words_read < TOME_QUERY_WORDS_MAX) {
        const size_t blank = blank_at(text, parser.offset);
        if (blank > 0)
            parser.offset += blank;
        else
            read_operand(&parser);
    }
    if (parser.out_of_memory)
        return BH_ENOMEM;
    *ret_query = parser.query;
    return 0;
}
