/*
 * A batch's part of the index where it is kept as postings: a row for each word of the batch
 * (postings.h), its words for spelling, and how long its chunks are. Prepared on a worker thread,
 * written in the transaction of the chunks.
 */
#pragma once

#include "library/index.h"

struct tome_index_postings; /* opaque; owns all its memory */

/* As tome_index_prepare. BH_ENOMEM, BH_ELIMIT. */
int tome_index_postings_prepare(struct tome_analyzer *analyzer, enum tome_language language,
                                const struct tome_index_chunk *chunks, size_t chunk_count,
                                struct tome_index_postings **ret_postings) BH_MUST_CHECK;
/* NULL is fine. */
void tome_index_postings_destroy(struct tome_index_postings *postings);

/* Rows of a batch: word and list. In byte order of words. */
size_t tome_index_postings_count(const struct tome_index_postings *postings);
struct bh_str tome_index_postings_word(const struct tome_index_postings *postings, size_t index);
struct bh_str tome_index_postings_list(const struct tome_index_postings *postings, size_t index);

/* Fiber. */
int tome_index_postings_add(struct bh_db_transaction *transaction, int64_t owner_id,
                            const struct tome_index_postings *postings,
                            struct bh_error *reterr) BH_MUST_CHECK;

/* Takes these words out of all rows of the book, which nobody sees any more: its other chunks go
 * as well. Fiber. */
int tome_index_postings_remove(struct bh_db_transaction *transaction, int64_t owner_id,
                               const struct tome_index_postings *postings,
                               struct bh_error *reterr) BH_MUST_CHECK;
