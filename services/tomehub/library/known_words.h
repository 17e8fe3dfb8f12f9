/*
 * Which words the vocabulary holds already, so that a book's words, nearly all of them known, need
 * not be inserted again to find that out.
 *
 * Model: a cache of 64-bit keys, four to a set. A key stands for a word, its owner and the
 * generation of the owner's vocabulary, which rises whenever words are removed, whichever process
 * does it: then no key of before is met any more. A key that is not there costs an insert that does
 * nothing. (That two words share a key leaves one out of the vocabulary, which serves spelling
 * alone: once in 10^7 libraries of 10^6 words.)
 *
 * One thread at a time, for one transaction at a time. 1 MiB.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

struct tome_known_words; /* opaque */

int tome_known_words_create(struct tome_known_words **ret_known) BH_MUST_CHECK;
/* NULL is fine. */
void tome_known_words_destroy(struct tome_known_words *known);

/* True: the word, of which `hash` is XXH3, is in the vocabulary. False: it may not be; from now on
 * it counts as known, so insert it in this transaction, and clear when that is rolled back. */
bool tome_known_words_meet(struct tome_known_words *known, int64_t owner_id, int64_t generation,
                           uint64_t hash);

/* Nothing is known any more. */
void tome_known_words_clear(struct tome_known_words *known);
