/*
 * Moves a library from one database to another: books, chapters, page labels, chunks; the index is
 * made anew in the form the target keeps. All or nothing: one transaction writes, another holds the
 * source's state. Books that are being loaded or purged stay behind, and so do jobs.
 */
#pragma once

#include "bulkhead/db/db.h"

struct tome_transfer_counts {
    int64_t books, chapters, labels, chunks, words;
};

/* Told after each book, and between its batches. `title`: of the book at hand, borrowed. */
typedef void tome_transfer_progress(void *argument, const struct tome_transfer_counts *done,
                                    const struct tome_transfer_counts *total, struct bh_str title);

/* Both are of the newest schema. BH_ECONFLICT: the target is not empty. BH_ECORRUPT: what arrived
 * is not what was sent; nothing is kept. Not from a fiber: it takes minutes. */
int tome_transfer(struct bh_db *from, struct bh_db *to, tome_transfer_progress *progress,
                  void *argument, struct tome_transfer_counts *ret_counts,
                  struct bh_error *reterr) BH_MUST_CHECK;
