/*
 * Cuts a book into chunks: runs of whole sentences, the unit of search.
 *
 * Model: the book's text is its pages joined by their joints. A chunk is a slice of it of about
 * 350 estimated tokens, at most 450 (one token for each 10/13 of a word; a word longer than 32
 * bytes counts once for every 32 bytes begun). It begins with up to 20 tokens (15 whole words) of
 * the chunk before, its `overlap`, except at the start of a chapter: chapters are never mixed.
 * Cuts fall behind a sentence; in a sentence longer than a chunk between words; in a word longer
 * than a chunk between code points. Nothing is discarded: the contents from `overlap` on, one after
 * another, are the book's text, byte for byte. (Blanks at the very start of the book are skipped.)
 *
 * A content begins with a word; blanks behind its last word (one space, or the line feeds of a
 * paragraph's end) stay at its end, so that this holds.
 *
 * Pure and streaming: no I/O, and memory for one page part and one chunk.
 *
 *     tome_chunker_feed(chunker, &page);
 *     while (tome_chunker_next(chunker, &chunk)) …
 *     … all pages …
 *     tome_chunker_finish(chunker);
 *     while (tome_chunker_next(chunker, &chunk)) …
 *
 * One thread at a time.
 */
#pragma once

#include "extract/frame.h"

#define TOME_CHUNK_TOKENS_TARGET 350
#define TOME_CHUNK_TOKENS_MAX 450
#define TOME_CHUNK_OVERLAP_TOKENS 20
#define TOME_CHUNK_BYTES_MAX \
    (12u * 1024) /* follows from the above: 346 words of 32 bytes, blanks */

struct tome_chunk {
    uint32_t ordinal;          /* 0… */
    struct bh_str chapter;     /* "" if there is none */
    uint32_t page_number;      /* page of the first byte of content */
    uint32_t page_end;         /* page of its last byte */
    struct bh_str page_breaks; /* "byte_offset:page,…", see page_breaks.h; "" when there is none */
    uint32_t paragraph;        /* 1-based in the chapter: where content[overlap] is */
    size_t overlap;            /* bytes at the front repeated from the chunk before */
    uint32_t word_count;       /* words from `overlap` on; a word is a run without ASCII blanks */
    struct bh_str content;     /* UTF-8, at least one word */
};

/* Estimated tokens of `words` words: ceil(words × 1.3). */
static inline uint64_t tome_chunk_tokens(const uint64_t words)
{
    return (words * 13 + 9) / 10;
}

struct tome_chunker; /* opaque */

int tome_chunker_create(struct tome_chunker **ret_chunker) BH_MUST_CHECK;
void tome_chunker_destroy(struct tome_chunker *chunker);
BH_DEFINE_CLEANUP(struct tome_chunker, tome_chunker_destroy)

/* Adds the next page (or part of one); copies what it needs. `page->text` is UTF-8 of at most
 * TOME_FRAME_PAGE_TEXT_MAX bytes and may be empty; `page->number` is not below the last one. Take
 * all chunks by next() before the next feed. BH_ENOMEM. BH_ELIMIT: the text is too long, or a
 * chapter's title is longer than TOME_FRAME_CHAPTER_MAX. */
int tome_chunker_feed(struct tome_chunker *chunker, const struct tome_page *page) BH_MUST_CHECK;

/* No page follows: what is left comes out of next(). */
void tome_chunker_finish(struct tome_chunker *chunker);

/* True: *ret_chunk is filled, its strings borrowed until the next call of any function. False:
 * feed more (or, after finish, that was all). */
bool tome_chunker_next(struct tome_chunker *chunker, struct tome_chunk *ret_chunk) BH_MUST_CHECK;
