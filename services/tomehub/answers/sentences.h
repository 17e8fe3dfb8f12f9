/*
 * A text's sentences, and the words of one as hashes, so that sentences can be compared.
 *
 * Sentences end where extract/sentence.h says, and at an empty line (headings have no full stop).
 * Pure; the analyzer is one thread's.
 */
#pragma once

#include "library/analysis.h"

/* The next sentence from *at on, without the blanks around it; false at the end. `text`: UTF-8. */
bool tome_sentence_next(struct bh_str text, size_t *at, struct bh_str *ret_sentence);

#define TOME_SENTENCE_WORDS_MAX 96

struct tome_sentence_words {
    uint32_t hashes[TOME_SENTENCE_WORDS_MAX]; /* of stems, ascending, each once */
    size_t count;
    size_t token_count; /* with the commonest words and repeated ones */
};

/* The telling words of a sentence; past TOME_SENTENCE_WORDS_MAX they are left out. */
void tome_sentence_words(struct tome_analyzer *analyzer, enum tome_language language,
                         struct bh_str sentence, struct tome_sentence_words *ret_words);

/* The same for any text into `hashes`; returns how many there are, at most `capacity`. */
size_t tome_words_collect(struct tome_analyzer *analyzer, enum tome_language language,
                          struct bh_str text, uint32_t *hashes, size_t capacity);
bool tome_words_have(const uint32_t *hashes, size_t count, uint32_t hash);

/* The hash by which a word is known. */
uint32_t tome_sentence_hash(struct bh_str stem);

bool tome_sentence_has(const struct tome_sentence_words *words, uint32_t hash);

/* How alike two are: words in common of all words, 0 to 1. */
double tome_sentence_likeness(const struct tome_sentence_words *a,
                              const struct tome_sentence_words *b);
