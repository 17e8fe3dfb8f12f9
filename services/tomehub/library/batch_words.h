/*
 * The different words of one batch: each is hashed once where it stands, and what it takes longer
 * to find out (whether spelling knows it, its stem) is asked once a batch.
 *
 * Forms stay in the batch's text; they are remembered by their place, since that text grows.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "library/analysis.h"

struct tome_span {
    size_t start, size;
};

/* Read-only. Sizes are below 256, places below 2^32: see TOME_FORM_MAX, and the texts' maximum. */
struct tome_batch_word {
    uint64_t hash;       /* XXH3 of the form */
    uint32_t start;      /* of the form in the batch's text */
    uint32_t stem_start; /* in `stems`: tagged, and with a blank behind */
    uint8_t size;
    uint8_t stem_size;      /* 0: it is the form */
    bool is_vocabulary : 1; /* fit to be compared with when a word is misspelt */
    bool has_stem : 1;      /* private, like the rest: it was asked for */
    char bytes[13];         /* of a form that is no longer */
};

struct tome_batch_words {
    struct tome_batch_word *words; /* read-only: in the order of first meeting */
    size_t count;
    size_t capacity; /* private, like the rest; slots are twice as many */
    struct tome_batch_slot *slots;
    struct bh_buf stems;
};

/* `stems_maximum`: bytes. A zeroed one may be ended, too. */
void tome_batch_words_init(struct tome_batch_words *words, size_t stems_maximum);
void tome_batch_words_fini(struct tome_batch_words *words);

/* The word at `form` of `text`, taken in if it is new; valid until the next call. NULL: no memory.
 * Not empty. */
struct tome_batch_word *tome_batch_words_meet(struct tome_batch_words *words, const char *text,
                                              struct tome_span form) BH_MUST_CHECK;

/* Writes the token's stem behind `stems`, if it differs from its form. `word` is the token's, or
 * NULL where none is kept. Errors are those of the bufs. */
void tome_batch_words_stem(struct tome_batch_words *words, struct tome_batch_word *word,
                           struct tome_analyzer *analyzer, const struct tome_token *token,
                           enum tome_language language, struct bh_buf *stems);
