/*
 * Words with their postings, by word: of a library's titles (catalogue.h), or as far as a search
 * has fetched those of its chunks, with what it still lacks. Memory is the given arena's.
 *
 * A search asks; what is not there is noted as wanted, to be fetched and put in before it asks
 * again. One thread at a time; constant ones any thread.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "bulkhead/base/error.h"

struct tome_word_list {
    struct bh_str word, postings; /* borrowed */
};

struct tome_word_lists {
    struct tome_word_list *items; /* by word, once sorted */
    size_t count, capacity;
};

/* BH_ENOMEM. */
int tome_word_lists_add(struct tome_word_lists *lists, struct bh_arena *arena, struct bh_str word,
                        struct bh_str postings) BH_MUST_CHECK;
/* After the last was added, before the first is looked for. Of equal words one is kept. */
void tome_word_lists_sort(struct tome_word_lists *lists);

/* The first word that is not below `word`: an index, or `count`. */
size_t tome_word_lists_from(const struct tome_word_lists *lists, struct bh_str word);

/* The word's postings; {NULL, 0}: not here. */
struct bh_str tome_word_lists_find(const struct tome_word_lists *lists, struct bh_str word);

/* ---- What a search has fetched ---- */

struct tome_vocabulary { /* words of an owner that begin with a letter, by their length */
    struct bh_str letter;
    int64_t letters_minimum, letters_maximum;
    const struct bh_str *words;
    size_t word_count;
};

#define TOME_FETCHED_VOCABULARIES_MAX 16

struct tome_fetched {
    struct bh_arena *arena;
    struct tome_word_lists chunks;   /* with empty postings: nothing holds the word */
    struct tome_word_lists prefixes; /* whose words are all among `chunks`; no postings */
    struct tome_vocabulary vocabularies[TOME_FETCHED_VOCABULARIES_MAX];
    size_t vocabulary_count;

    struct tome_word_lists wanted, wanted_prefixes;
    struct tome_vocabulary wanted_vocabulary;
    bool wants_vocabulary;
    bool out_of_memory;
};

void tome_fetched_init(struct tome_fetched *fetched, struct bh_arena *arena);

/* Whether a word's, a prefix's postings are there; if not they are wanted from now on. */
bool tome_fetched_has(struct tome_fetched *fetched, struct bh_str word);
bool tome_fetched_has_prefix(struct tome_fetched *fetched, struct bh_str prefix);
/* NULL: it is wanted from now on (one at a time). */
const struct tome_vocabulary *tome_fetched_vocabulary(struct tome_fetched *fetched,
                                                      struct bh_str letter, int64_t minimum,
                                                      int64_t maximum);

static inline bool tome_fetched_wants(const struct tome_fetched *const fetched)
{
    return fetched->wanted.count > 0 || fetched->wanted_prefixes.count > 0 ||
           fetched->wants_vocabulary;
}

/* What was wanted is there now: the words put in by tome_word_lists_add to `chunks` are all there
 * are. BH_ENOMEM. */
int tome_fetched_done(struct tome_fetched *fetched) BH_MUST_CHECK;
