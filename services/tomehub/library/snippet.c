/*
 * Three steps: mark every match in the chunk; choose the window whose different words weigh most;
 * write it out, from the beginning of a sentence where one is near.
 */
#include "library/snippet.h"

#include <string.h>

#include "bulkhead/base/buf.h"

#define MATCHES_MAX 1024
#define SENTENCE_REACH 80 /* bytes to go back for the beginning of a sentence */
#define ELLIPSIS "\xe2\x80\xa6"

struct match {
    size_t start, end; /* bytes in the content */
    uint8_t leaf;
};

/* The words of the plan, by what their first byte may be. */
struct matcher {
    const struct tome_plan *plan;
    uint64_t by_first_byte[256];             /* leaves with a form that begins so */
    uint64_t stems_by_first_byte[256];       /* leaves with a stem that begins so */
    enum tome_language language;             /* of the text */
    bool first_bytes[256];                   /* of all these */
    uint64_t phrases;                        /* leaves of several words */
    uint32_t progress[TOME_QUERY_TERMS_MAX]; /* of phrases: bit i: words 0…i were just read */
    size_t starts[TOME_QUERY_PHRASE_MAX];    /* of the last tokens */
    size_t token_count;
};

static void matcher_init(struct matcher *const matcher, const struct tome_plan *const plan,
                         const enum tome_language language)
{
    *matcher = (struct matcher){ .plan = plan, .language = language };
    for (size_t i = 0; i < plan->leaf_count; i++) {
        const struct tome_leaf *const leaf = &plan->leaves[i];
        const uint64_t bit = UINT64_C(1) << i;
        if (!leaf->is_chunk || leaf->is_negated || leaf->is_stop)
            continue;
        if (leaf->term->word_count > 1)
            matcher->phrases |= bit;
        for (size_t j = 0; j < leaf->term->word_count; j++) {
            const struct tome_query_word *const word = &leaf->term->words[j];
            matcher->by_first_byte[(unsigned char)word->form.data[0]] |= bit;
            matcher->first_bytes[(unsigned char)word->form.data[0]] = true;
            for (size_t k = 0; k < word->stem_count && leaf->term->word_count == 1; k++) {
                const unsigned char first = (unsigned char)word->stems[k].text.data[0];
                if (word->stems[k].language != language)
                    continue;
                matcher->stems_by_first_byte[first] |= bit;
                matcher->first_bytes[first] = true;
            }
        }
    }
}

static bool form_matches(const struct tome_query_term *const term, const size_t word,
                         const struct bh_str form)
{
    const bool is_prefix = term->prefix && word + 1 == term->word_count;
    const struct bh_str wanted = term->words[word].form;
    return is_prefix ? bh_str_starts_with(form, wanted) : bh_str_equal(form, wanted);
}

/* Whether a word of this form may have the stem: stemming changes or takes away the last letters
 * (in short words also the second one: dying, die). */
static bool may_stem_to(const struct bh_str form, const struct bh_str stem)
{
    const size_t kept = stem.size <= 3 ? 1 : stem.size <= 6 ? 2 : stem.size - 4;
    return form.size >= kept && memcmp(form.data, stem.data, kept) == 0;
}

static bool may_match(const struct matcher *const matcher, const uint64_t leaves,
                      const struct bh_str form)
{
    for (uint64_t rest = leaves; rest != 0; rest &= rest - 1) {
        const size_t leaf = (size_t)__builtin_ctzll(rest);
        const struct tome_query_word *const word = &matcher->plan->leaves[leaf].term->words[0];
        for (size_t i = 0; i < word->stem_count; i++)
            if (word->stems[i].language == matcher->language &&
                may_stem_to(form, word->stems[i].text))
                return true;
    }
    return false;
}

static bool stem_matches(const struct matcher *const matcher, const size_t leaf,
                         const struct bh_str stem)
{
    const struct tome_query_word *const word = &matcher->plan->leaves[leaf].term->words[0];
    for (size_t i = 0; i < word->stem_count; i++)
        if (word->stems[i].language == matcher->language && bh_str_equal(stem, word->stems[i].text))
            return true;
    return false;
}

/* Whether the token ends the leaf's phrase; `*ret_start`: where the phrase began. */
static bool phrase_ends(struct matcher *const matcher, const size_t leaf, const struct bh_str form,
                        size_t *const ret_start)
{
    const struct tome_query_term *const term = matcher->plan->leaves[leaf].term;
    uint32_t here = 0;
    for (size_t i = 0; i < term->word_count; i++)
        here |= form_matches(term, i, form) ? UINT32_C(1) << i : 0;
    matcher->progress[leaf] = (matcher->progress[leaf] << 1 | 1) & here;
    if ((matcher->progress[leaf] >> (term->word_count - 1) & 1) == 0)
        return false;
    *ret_start = matcher->starts[(matcher->token_count - term->word_count) % TOME_QUERY_PHRASE_MAX];
    return true;
}

/* Whether the token matches: the longest phrase, else the first leaf it does, counts. */
static bool match_token(struct matcher *const matcher, struct tome_analyzer *const analyzer,
                        const struct tome_token *const token, struct match *const ret_match)
{
    const unsigned char first = (unsigned char)token->form.data[0];
    matcher->starts[matcher->token_count++ % TOME_QUERY_PHRASE_MAX] = token->start;
    bool is_match = false;
    for (uint64_t rest = matcher->phrases; rest != 0; rest &= rest - 1) {
        const size_t leaf = (size_t)__builtin_ctzll(rest);
        size_t start = 0;
        if (phrase_ends(matcher, leaf, token->form, &start) &&
            (!is_match || start < ret_match->start)) {
            *ret_match = (struct match){ start, token->end, (uint8_t)leaf };
            is_match = true;
        }
    }
    const uint64_t singles = matcher->by_first_byte[first] & ~matcher->phrases;
    for (uint64_t rest = singles; rest != 0 && !is_match; rest &= rest - 1) {
        const size_t leaf = (size_t)__builtin_ctzll(rest);
        is_match = form_matches(matcher->plan->leaves[leaf].term, 0, token->form);
        *ret_match = (struct match){ token->start, token->end, (uint8_t)leaf };
    }
    const uint64_t stems = matcher->stems_by_first_byte[first];
    if (is_match || !may_match(matcher, stems, token->form))
        return is_match;
    const struct bh_str stem = tome_analyzer_stem(analyzer, token, matcher->language);
    for (uint64_t rest = stems; rest != 0 && !is_match; rest &= rest - 1) {
        const size_t leaf = (size_t)__builtin_ctzll(rest);
        is_match = stem_matches(matcher, leaf, stem);
        *ret_match = (struct match){ token->start, token->end, (uint8_t)leaf };
    }
    return is_match;
}

static size_t find_matches(struct matcher *const matcher, struct tome_analyzer *const analyzer,
                           const struct bh_str content, struct match matches[MATCHES_MAX])
{
    size_t count = 0;
    struct tome_token token;
    /* A phrase needs to know what stands between its words. */
    tome_analyzer_begin_some(analyzer, content, matcher->phrases ? NULL : matcher->first_bytes);
    while (count < MATCHES_MAX && tome_analyzer_next(analyzer, &token)) {
        struct match match;
        if (!match_token(matcher, analyzer, &token, &match))
            continue;
        /* A phrase takes the place of its words. */
        while (count > 0 && matches[count - 1].start >= match.start)
            count--;
        if (count > 0 && matches[count - 1].end > match.start)
            matches[count - 1].end = match.end; /* phrases that overlap */
        else
            matches[count++] = match;
    }
    return count;
}

struct window {
    size_t first, end; /* matches */
};

/* Different words count most; the same word again counts a little. */
static struct window choose_window(const struct tome_plan *const plan,
                                   const struct match *const matches, const size_t count)
{
    struct window best = { 0, 0 };
    double best_value = -1.0;
    for (size_t first = 0; first < count; first++) {
        uint64_t seen = 0;
        double value = 0.0;
        size_t i = first;
        for (; i < count && matches[i].end - matches[first].start <= TOME_SNIPPET_BYTES; i++) {
            const double weight = plan->leaves[matches[i].leaf].weight + 0.01;
            const uint64_t bit = UINT64_C(1) << matches[i].leaf;
            value += (seen & bit) ? 0.05 * weight : weight;
            seen |= bit;
        }
        if (value > best_value) {
            best_value = value;
            best = (struct window){ first, i > first ? i : first + 1 };
        }
    }
    return best;
}

static bool is_blank(const char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_continuation(const char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* A good place to begin at or before `offset`: a sentence's beginning, else a word's. */
static size_t begin_near(const struct bh_str content, const size_t offset)
{
    size_t word = offset;
    for (size_t i = offset; i > 0 && offset - i < SENTENCE_REACH; i--) {
        const bool after_blank = is_blank(content.data[i - 1]) && !is_blank(content.data[i]);
        if (!after_blank)
            continue;
        size_t before = i - 1;
        while (before > 0 && is_blank(content.data[before]))
            before--;
        const char end = content.data[before];
        if (content.data[i - 1] == '\n' || end == '.' || end == '!' || end == '?')
            return i;
        if (word == offset)
            word = i;
    }
    if (offset < SENTENCE_REACH)
        return 0;
    while (word > 0 && is_continuation(content.data[word]))
        word--;
    return word;
}

/* A good place to end at or behind `offset`: a word's end. */
static size_t end_near(const struct bh_str content, const size_t offset)
{
    size_t end = offset < content.size ? offset : content.size;
    for (size_t i = end; i < content.size && i - end < SENTENCE_REACH; i++)
        if (is_blank(content.data[i]))
            return i;
    while (end < content.size && is_continuation(content.data[end]))
        end++;
    return end;
}

struct writer {
    char *text;
    size_t size;
    uint32_t characters;
    bool blank_pending;
};

static void write_text(struct writer *const writer, const char *const data, const size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (is_blank(data[i])) {
            writer->blank_pending = writer->size > 0;
            continue;
        }
        if (writer->blank_pending) {
            writer->text[writer->size++] = ' ';
            writer->characters++;
            writer->blank_pending = false;
        }
        writer->text[writer->size++] = data[i];
        writer->characters += !is_continuation(data[i]);
    }
}

/* Behind the blank that is due, so that a highlight begins at its word. */
static uint32_t next_position(const struct writer *const writer)
{
    return writer->characters + writer->blank_pending;
}

static int write_snippet(const struct bh_str content, const size_t begin, const size_t end,
                         const struct match *const matches, const size_t match_count,
                         struct bh_arena *const arena, struct tome_snippet *const ret_snippet)
{
    struct writer writer = { .text = bh_arena_alloc(arena, end - begin + 2 * sizeof(ELLIPSIS)) };
    struct tome_highlight *const highlights = bh_arena_calloc(arena, TOME_SNIPPET_HIGHLIGHTS_MAX,
                                                              sizeof(*highlights));
    if (writer.text == NULL || highlights == NULL)
        return BH_ENOMEM;
    size_t count = 0, at = begin, first_match = 0;
    if (begin > 0)
        write_text(&writer, ELLIPSIS, strlen(ELLIPSIS));
    for (size_t i = 0; i < match_count && count < TOME_SNIPPET_HIGHLIGHTS_MAX; i++) {
        const struct match *const match = &matches[i];
        if (match->start < at || match->end > end)
            continue;
        write_text(&writer, content.data + at, match->start - at);
        highlights[count].start = next_position(&writer);
        write_text(&writer, content.data + match->start, match->end - match->start);
        highlights[count].end = writer.characters;
        first_match = count == 0 ? match->start : first_match;
        count++;
        at = match->end;
    }
    write_text(&writer, content.data + at, end - at);
    if (end < content.size)
        write_text(&writer, ELLIPSIS, strlen(ELLIPSIS));
    *ret_snippet = (struct tome_snippet){ .text = { writer.text, writer.size },
                                          .highlights = highlights,
                                          .highlight_count = count,
                                          .first_match = first_match };
    return 0;
}

int tome_snippet_make(struct tome_analyzer *const analyzer, const enum tome_language language,
                      const struct tome_plan *const plan, struct bh_str content,
                      struct bh_arena *const arena, struct tome_snippet *const ret_snippet)
{
    while (content.size > 0 && is_blank(content.data[content.size - 1]))
        content.size--;
    if (content.size == 0)
        content = BH_STR(""); /* an empty column has no address */
    struct matcher matcher;
    struct match matches[MATCHES_MAX];
    matcher_init(&matcher, plan, language);
    const size_t count = find_matches(&matcher, analyzer, content, matches);
    size_t begin = 0, end = 0;
    if (count > 0) {
        const struct window window = choose_window(plan, matches, count);
        const size_t first = matches[window.first].start;
        const size_t last = matches[window.end - 1].end;
        const size_t room = last - first < TOME_SNIPPET_BYTES ? TOME_SNIPPET_BYTES - (last - first)
                                                              : 0;
        begin = begin_near(content, first > room / 2 ? first - room / 2 : 0);
        end = begin + TOME_SNIPPET_BYTES > last ? begin + TOME_SNIPPET_BYTES : last;
    } else {
        end = TOME_SNIPPET_BYTES;
    }
    return write_snippet(content, begin, end_near(content, end), matches, count, arena,
                         ret_snippet);
}
