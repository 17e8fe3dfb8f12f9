/*
 * Slots hold half of the hash: another word's form is hardly ever looked at. The bytes of most
 * forms lie within their entry, so that one cache line tells all.
 */
#include "library/batch_words.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "library/index.h"

#define CAPACITY_FIRST 1024 /* a power of two */

struct tome_batch_slot {
    uint32_t tag;    /* upper half of the hash */
    uint32_t number; /* of the word, from 1 on; 0: free */
};

void tome_batch_words_init(struct tome_batch_words *const words, const size_t stems_maximum)
{
    *words = (struct tome_batch_words){ .count = 0 };
    bh_buf_init(&words->stems, stems_maximum);
}

void tome_batch_words_fini(struct tome_batch_words *const words)
{
    free(words->words);
    free(words->slots);
    bh_buf_fini(&words->stems);
}

/* ---- The table ---- */

static uint32_t tag_of(const uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* Where the word is, or would be. */
static struct tome_batch_slot *find_slot(const struct tome_batch_words *const words,
                                         const char *const text, const struct tome_span form,
                                         const uint64_t hash)
{
    const size_t mask = 2 * words->capacity - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        struct tome_batch_slot *const slot = &words->slots[at];
        if (slot->number == 0)
            return slot;
        if (slot->tag != tag_of(hash))
            continue;
        const struct tome_batch_word *const known = &words->words[slot->number - 1];
        const char *const bytes = form.size <= sizeof(known->bytes) ? known->bytes
                                                                    : text + known->start;
        if (known->size == form.size && memcmp(bytes, text + form.start, form.size) == 0)
            return slot;
    }
}

static int grow(struct tome_batch_words *const words)
{
    const size_t capacity = words->capacity > 0 ? 2 * words->capacity : CAPACITY_FIRST;
    struct tome_batch_slot *const slots = calloc(2 * capacity, sizeof(*slots));
    struct tome_batch_word *const larger = realloc(words->words, capacity * sizeof(*larger));
    if (larger != NULL)
        words->words = larger;
    if (slots == NULL || larger == NULL) {
        free(slots);
        return BH_ENOMEM;
    }
    for (size_t i = 0; i < words->count; i++) {
        size_t at = (size_t)larger[i].hash & (2 * capacity - 1);
        while (slots[at].number != 0)
            at = (at + 1) & (2 * capacity - 1);
        slots[at] = (struct tome_batch_slot){ tag_of(larger[i].hash), (uint32_t)i + 1 };
    }
    free(words->slots);
    words->slots = slots;
    words->capacity = capacity;
    return 0;
}

struct tome_batch_word *tome_batch_words_meet(struct tome_batch_words *const words,
                                              const char *const text, const struct tome_span form)
{
    if (words->count == words->capacity && grow(words) != 0)
        return NULL;
    const struct bh_str string = { text + form.start, form.size };
    const uint64_t hash = XXH3_64bits(string.data, string.size);
    struct tome_batch_slot *const slot = find_slot(words, text, form, hash);
    if (slot->number != 0)
        return &words->words[slot->number - 1];
    struct tome_batch_word *const word = &words->words[words->count++];
    *word = (struct tome_batch_word){ .hash = hash,
                                      .start = (uint32_t)form.start,
                                      .size = (uint8_t)form.size,
                                      .is_vocabulary = tome_index_is_vocabulary(string) };
    memcpy(word->bytes, string.data,
           string.size < sizeof(word->bytes) ? string.size : sizeof(word->bytes));
    *slot = (struct tome_batch_slot){ tag_of(hash), (uint32_t)words->count };
    return word;
}

/* ---- Stems ---- */

static void append_stem(struct tome_analyzer *const analyzer, const struct tome_token *const token,
                        const enum tome_language language, struct bh_buf *const stems)
{
    char tag[TOME_STEM_TAG_SIZE];
    const struct bh_str stem = tome_analyzer_stem(analyzer, token, language);
    if (bh_str_equal(stem, token->form))
        return;
    tome_stem_tag(language, tag);
    bh_buf_append(stems, tag, sizeof(tag));
    bh_buf_append_str(stems, stem);
    bh_buf_append_byte(stems, ' ');
}

/* Whether all words of this form have the same stem. Others are stemmed as the text writes them,
 * with their accents and with the Turkish I. */
static bool is_stem_of_form(const struct tome_token *const token, const enum tome_language language)
{
    return token->ascii && language != TOME_LANGUAGE_TURKISH;
}

void tome_batch_words_stem(struct tome_batch_words *const words, struct tome_batch_word *const word,
                           struct tome_analyzer *const analyzer,
                           const struct tome_token *const token, const enum tome_language language,
                           struct bh_buf *const stems)
{
    if (word == NULL || !is_stem_of_form(token, language)) {
        append_stem(analyzer, token, language, stems);
        return;
    }
    if (!word->has_stem) {
        word->stem_start = (uint32_t)words->stems.size;
        append_stem(analyzer, token, language, &words->stems);
        word->stem_size = (uint8_t)(words->stems.size - word->stem_start);
        word->has_stem = true;
        if (bh_buf_error(&words->stems) != 0)
            stems->error = bh_buf_error(&words->stems);
    }
    if (word->stem_size > 0)
        bh_buf_append(stems, words->stems.data + word->stem_start, word->stem_size);
}
