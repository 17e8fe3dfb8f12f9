#include "answers/grounding.h"

#include "bulkhead/base/buf.h"
#include "extract/sentence.h"

#define CHUNK_WORDS_MAX 2048

/* ---- Citations ---- */

/* The size of "[1]", "[1, 3]" at the start of `text`; 0: there is none. */
static size_t citation_size(const struct bh_str text)
{
    size_t size = 1;
    bool has_digit = false;
    if (text.size == 0 || text.data[0] != '[')
        return 0;
    for (; size < text.size && text.data[size] != ']'; size++) {
        const char byte = text.data[size];
        if ((byte < '0' || byte > '9') && byte != ',' && byte != ' ')
            return 0;
        has_digit = has_digit || byte >= '0';
    }
    return size < text.size && has_digit ? size + 1 : 0;
}

static bool cite(struct tome_grounding *const grounding, const int64_t number, const size_t count)
{
    if (number < 1 || (uint64_t)number > count)
        return false;
    for (size_t i = 0; i < grounding->cited_count; i++)
        if (grounding->cited[i] == (size_t)number - 1)
            return true;
    if (grounding->cited_count < TOME_GROUNDING_CITED_MAX)
        grounding->cited[grounding->cited_count++] = (size_t)number - 1;
    return true;
}

/* Takes the numbers between the brackets; false: one of them is no chunk. */
static bool take_citation(struct tome_grounding *const grounding, struct bh_str list,
                          const size_t count)
{
    while (list.size > 0) {
        const struct bh_str number = bh_str_trim(bh_str_split(&list, ','));
        int64_t value = 0;
        if (number.size > 0 && (bh_str_to_int64(number, 1, (int64_t)count, &value) != 0 ||
                                !cite(grounding, value, count)))
            return false;
    }
    return true;
}

/* Splits the sentence into its text and its citations. */
static int take_apart(const struct bh_str sentence, const size_t count,
                      struct bh_arena *const arena, struct tome_grounding *const grounding,
                      bool *const ret_is_valid)
{
    char *const text = bh_arena_alloc(arena, sentence.size + 1);
    size_t size = 0;
    if (text == NULL)
        return BH_ENOMEM;
    *ret_is_valid = true;
    for (size_t at = 0; at < sentence.size;) {
        const size_t skipped = citation_size(
            (struct bh_str){ sentence.data + at, sentence.size - at });
        if (skipped == 0) {
            text[size++] = sentence.data[at++];
            continue;
        }
        const struct bh_str list = { sentence.data + at + 1, skipped - 2 };
        *ret_is_valid = take_citation(grounding, list, count) && *ret_is_valid;
        while (size > 0 && text[size - 1] == ' ')
            size--; /* "so [1]." is "so." */
        at += skipped;
    }
    grounding->text = bh_str_trim((struct bh_str){ text, size });
    return 0;
}

size_t tome_grounding_sentence_end(const struct bh_str text, const bool is_all)
{
    struct bh_str sentence;
    size_t at = 0;
    if (!tome_sentence_next(text, &at, &sentence))
        return 0;
    for (;;) {
        const size_t next = tome_blanks_end(text, at);
        const struct bh_str rest = { text.data + next, text.size - next };
        const size_t size = citation_size(rest);
        if (rest.size == 0)
            return is_all ? at : 0;
        if (size == 0) /* a bracket that is not closed yet may become a citation */
            return rest.data[0] == '[' && !is_all && rest.size < 40 &&
                           memchr(rest.data, ']', rest.size) == NULL
                       ? 0
                       : at;
        at = next + size;
    }
}

/* ---- Support ---- */

struct known { /* words of the chunks cited, or of the question */
    uint32_t *hashes;
    size_t count;
};

static int collect(struct tome_analyzer *const analyzer, const enum tome_language language,
                   const struct bh_str *const texts, const size_t text_count,
                   struct bh_arena *const arena, struct known *const ret_known)
{
    struct bh_buf all;
    bh_buf_init(&all, (size_t)1 << 20);
    for (size_t i = 0; i < text_count; i++) {
        bh_buf_append_str(&all, texts[i]);
        bh_buf_append_byte(&all, '\n');
    }
    ret_known->hashes = bh_arena_calloc(arena, CHUNK_WORDS_MAX, sizeof(uint32_t));
    const bool is_ok = ret_known->hashes != NULL && bh_buf_error(&all) == 0;
    ret_known->count = is_ok ? tome_words_collect(analyzer, language, bh_buf_peek(&all),
                                                  ret_known->hashes, CHUNK_WORDS_MAX)
                             : 0;
    bh_buf_fini(&all);
    return is_ok ? 0 : BH_ENOMEM;
}

static bool has_digit(const struct bh_str form)
{
    for (size_t i = 0; i < form.size; i++)
        if (form.data[i] >= '0' && form.data[i] <= '9')
            return true;
    return false;
}

/* Whether the words of `text` are `known` as far as they must be. */
static bool is_covered(struct tome_analyzer *const analyzer, const enum tome_language language,
                       const struct bh_str text, const struct known *const known,
                       const struct known *const question)
{
    struct tome_token token;
    size_t telling = 0, found = 0, own = 0, own_found = 0;
    tome_analyzer_begin(analyzer, text);
    while (tome_analyzer_next(analyzer, &token)) {
        if (tome_language_is_stop_word(language, token.form))
            continue;
        const bool is_number = has_digit(token.form);
        const uint32_t hash = tome_sentence_hash(tome_analyzer_stem(analyzer, &token, language));
        const bool is_known = tome_words_have(known->hashes, known->count, hash);
        const bool is_asked = tome_words_have(question->hashes, question->count, hash);
        if (is_number && !is_known && !is_asked)
            return false;
        telling++;
        found += is_known;
        own += !is_asked;
        own_found += is_known && !is_asked;
    }
    return own > 0 ? (double)own_found >= TOME_GROUNDING_SHARE * (double)own
                   : (double)found >= TOME_GROUNDING_SHARE * (double)telling;
}

/* The sentence of the chunk that is most like `text`. */
static struct bh_str likest(struct tome_analyzer *const analyzer,
                            const struct tome_search_hit *const hit, const struct bh_str text)
{
    struct tome_sentence_words wanted, words;
    struct bh_str sentence, best = { hit->content.data, 0 };
    double best_likeness = -1.0;
    tome_sentence_words(analyzer, hit->passage.language, text, &wanted);
    for (size_t at = 0; tome_sentence_next(hit->content, &at, &sentence);) {
        tome_sentence_words(analyzer, hit->passage.language, sentence, &words);
        const double likeness = tome_sentence_likeness(&wanted, &words);
        if (likeness > best_likeness) {
            best = sentence;
            best_likeness = likeness;
        }
    }
    return best;
}

int tome_grounding_check(struct tome_analyzer *const analyzer, const struct bh_str sentence,
                         const struct bh_str question, const struct tome_search_hit *const hits,
                         const size_t count, struct bh_arena *const arena,
                         struct tome_grounding *const ret_grounding)
{
    struct tome_grounding grounding = { .is_supported = false };
    struct bh_str texts[3 * TOME_GROUNDING_CITED_MAX];
    struct known known, asked;
    bool is_valid = false;
    int result = take_apart(sentence, count, arena, &grounding, &is_valid);
    if (result == 0 && is_valid && grounding.cited_count > 0) {
        const enum tome_language language = hits[grounding.cited[0]].passage.language;
        for (size_t i = 0; i < grounding.cited_count; i++) {
            const struct tome_search_hit *const hit = &hits[grounding.cited[i]];
            texts[3 * i] = hit->content;
            texts[3 * i + 1] = hit->title;
            texts[3 * i + 2] = hit->chapter;
            grounding.quotes[i] = likest(analyzer, hit, grounding.text);
        }
        result = collect(analyzer, language, texts, 3 * grounding.cited_count, arena, &known);
        if (result == 0)
            result = collect(analyzer, language, &question, 1, arena, &asked);
        grounding.is_supported = result == 0 &&
                                 is_covered(analyzer, language, grounding.text, &known, &asked);
    }
    if (result == 0)
        *ret_grounding = grounding;
    return result;
}
