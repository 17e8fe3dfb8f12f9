#include "answers/sentences.h"

#include <stdlib.h>
#include <xxhash.h>

#include "extract/sentence.h"

/* ---- Where they begin and end ---- */

static bool has_empty_line(const struct bh_str text, const size_t begin, const size_t end)
{
    unsigned lines = 0;
    for (size_t i = begin; i < end; i++)
        lines += text.data[i] == '\n';
    return lines > 1;
}

bool tome_sentence_next(const struct bh_str text, size_t *const at,
                        struct bh_str *const ret_sentence)
{
    const size_t begin = tome_blanks_end(text, *at);
    size_t word = begin, end = begin;
    while (word < text.size) {
        end = tome_word_end(text, word);
        const size_t next = tome_blanks_end(text, end);
        const struct bh_str last = { text.data + word, end - word };
        const struct bh_str rest = { text.data + next, text.size - next };
        if (next == text.size || has_empty_line(text, end, next) || tome_sentence_ends(last, rest))
            break;
        word = next;
    }
    *at = end;
    *ret_sentence = (struct bh_str){ text.data + begin, end - begin };
    return end > begin;
}

/* ---- Words ---- */

uint32_t tome_sentence_hash(const struct bh_str stem)
{
    return XXH32(stem.data, stem.size, 0);
}

static int compare_hashes(const void *const a, const void *const b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static size_t sort_and_unite(uint32_t *const hashes, const size_t count)
{
    size_t kept = 0;
    qsort(hashes, count, sizeof(hashes[0]), compare_hashes);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || hashes[kept - 1] != hashes[i])
            hashes[kept++] = hashes[i];
    return kept;
}

static size_t collect(struct tome_analyzer *const analyzer, const enum tome_language language,
                      const struct bh_str text, uint32_t *const hashes, const size_t capacity,
                      size_t *const ret_token_count)
{
    struct tome_token token;
    size_t count = 0, token_count = 0;
    tome_analyzer_begin(analyzer, text);
    for (; tome_analyzer_next(analyzer, &token); token_count++)
        if (count < capacity && !tome_language_is_stop_word(language, token.form))
            hashes[count++] = tome_sentence_hash(tome_analyzer_stem(analyzer, &token, language));
    *ret_token_count = token_count;
    return sort_and_unite(hashes, count);
}

size_t tome_words_collect(struct tome_analyzer *const analyzer, const enum tome_language language,
                          const struct bh_str text, uint32_t *const hashes, const size_t capacity)
{
    size_t token_count;
    return collect(analyzer, language, text, hashes, capacity, &token_count);
}

bool tome_words_have(const uint32_t *const hashes, const size_t count, const uint32_t hash)
{
    return count > 0 && bsearch(&hash, hashes, count, sizeof(hash), compare_hashes) != NULL;
}

void tome_sentence_words(struct tome_analyzer *const analyzer, const enum tome_language language,
                         const struct bh_str sentence, struct tome_sentence_words *const ret_words)
{
    ret_words->count = collect(analyzer, language, sentence, ret_words->hashes,
                               TOME_SENTENCE_WORDS_MAX, &ret_words->token_count);
}

bool tome_sentence_has(const struct tome_sentence_words *const words, const uint32_t hash)
{
    return tome_words_have(words->hashes, words->count, hash);
}

double tome_sentence_likeness(const struct tome_sentence_words *const a,
                              const struct tome_sentence_words *const b)
{
    size_t i = 0, j = 0, common = 0;
    while (i < a->count && j < b->count) {
        common += a->hashes[i] == b->hashes[j];
        const bool step_a = a->hashes[i] <= b->hashes[j], step_b = b->hashes[j] <= a->hashes[i];
        i += step_a;
        j += step_b;
    }
    const size_t all = a->count + b->count - common;
    return all == 0 ? 0.0 : (double)common / (double)all;
}
