/*
 * A document that came as text or pages in a request, on its way to being a book: it is written as
 * the frames an extractor would have sent, so that it takes the same way into the library and
 * survives the end of the process.
 */
#pragma once

#include "extract/frame.h"
#include "ingest/spool.h"

struct tome_posted_page {
    int64_t number; /* rising; at most TOME_PAGE_NUMBER_MAX */
    struct bh_str label, chapter, text;
};

/* Strings are borrowed. With pages `text` is not used. */
struct tome_posted {
    struct bh_str title, author;
    struct bh_str text;
    const struct tome_posted_page *pages;
    size_t page_count;
};

/* SHA-256 of what makes the document what it is: title, author, text, pages. */
int tome_posted_hash(const struct tome_posted *posted, uint8_t ret_hash[TOME_HASH_BYTES],
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Writes it to `fd`. BH_EUNSUPPORTED: there is no text in it. BH_ENOSPACE, BH_EIO, BH_ENOMEM,
 * BH_ELIMIT. Worker thread. */
int tome_posted_write(const struct tome_posted *posted, int fd,
                      struct bh_error *reterr) BH_MUST_CHECK;
