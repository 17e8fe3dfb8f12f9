/*
 * Postings: where one word stands, as bytes. What a table of our own keeps for each word where
 * the database has no full-text index of its own that could be scanned chunk by chunk.
 *
 * A list is a sequence of runs; a run holds chunks of one book, in rising order. Lists of rising
 * chunks put one behind another are a list. All numbers are varints (7 bits a byte, low first):
 *
 *   run    book, number of chunks, number of bytes behind it, entries
 *   entry  step * 4 + shape      step: to the chunk's ordinal, from -1 or from the one before
 *     0 once    position               once in the body
 *     1 body    count, positions       several times in the body
 *     2 stems   count                  as a stem
 *     3 mixed   columns (a bit each), then as above: body, stems, heading (count, positions)
 *   positions  the first, then the steps between them
 *
 * Reading never trusts the bytes: whatever is malformed or out of order ends the list and is told.
 * Pure, any thread.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "library/index.h"

#define TOME_POSTINGS_POSITION_MAX (INT32_MAX - 1)

/* ---- Writing ---- */

struct tome_postings_writer {
    struct bh_buf *out;                         /* private, as all of it */
    struct bh_buf entries;                      /* of the run at hand */
    struct bh_buf positions[TOME_COLUMN_COUNT]; /* of the entry at hand */
    uint32_t counts[TOME_COLUMN_COUNT];
    uint32_t last_position[TOME_COLUMN_COUNT];
    int64_t id, last_ordinal; /* -1: none */
    uint32_t run_chunks;
};

void tome_postings_writer_init(struct tome_postings_writer *writer);
void tome_postings_writer_fini(struct tome_postings_writer *writer);

/* Starts a list that is appended to `out`. */
void tome_postings_begin(struct tome_postings_writer *writer, struct bh_buf *out);

/* One occurrence. Chunks rise; in a chunk's column positions do (repeated ones are dropped; those
 * of stems are not kept). */
void tome_postings_add(struct tome_postings_writer *writer, int64_t id, unsigned column,
                       uint32_t position);

/* The list is whole. 0 or BH_ENOMEM, BH_ELIMIT: then `out` is of no use. */
int tome_postings_end(struct tome_postings_writer *writer) BH_MUST_CHECK;

/* ---- Reading ---- */

/* Some of a chunk's positions, not yet read. */
struct tome_places {
    const uint8_t *at;
    uint32_t left, position;
};

struct tome_postings_reader {
    int64_t id; /* of the chunk at hand; INT64_MAX: the list is at its end */
    uint32_t counts[TOME_COLUMN_COUNT];          /* how often it stands there */
    const uint8_t *positions[TOME_COLUMN_COUNT]; /* private, as the rest */
    const uint8_t *at, *run_end, *end;
    int64_t book_id, before; /* before: the run's chunk that the next step counts from */
    uint32_t run_left;
    bool is_corrupt; /* read-only: the list ended because it is malformed */
};

/* `list`: borrowed. Call next (or seek) for the first chunk. */
void tome_postings_read(struct tome_postings_reader *reader, struct bh_str list);

/* Moves to the next chunk; false at the end. */
bool tome_postings_next(struct tome_postings_reader *reader);

/* Moves to the first chunk from `id` on, not back; false at the end. Books before are passed by
 * without being read. */
bool tome_postings_seek(struct tome_postings_reader *reader, int64_t id);

/* Moves to the next book without reading its chunks: how many it has. False at the end. Not to be
 * mixed with next and seek. */
bool tome_postings_next_book(struct tome_postings_reader *reader, int64_t *ret_book,
                             uint32_t *ret_chunks);

/* Appends to `out` the list without the runs of one book. The heads of runs alone are looked at.
 * BH_ECORRUPT, BH_ENOMEM: then `out` is of no use. */
int tome_postings_drop(struct bh_str list, int64_t book, struct bh_buf *out) BH_MUST_CHECK;

/* The positions in a column of the chunk at hand (not of stems); false when none is left. */
struct tome_places tome_postings_places(const struct tome_postings_reader *reader, unsigned column);
bool tome_places_next(struct tome_places *places);
