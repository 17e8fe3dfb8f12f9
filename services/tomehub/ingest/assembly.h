/*
 * From the extractor's frames to batches of rows: cuts the text into chunks and analyses their
 * words.
 *
 * Model: frames are pulled from where they come from until a batch is full or they have ended.
 * Memory is one page part, one chunk and one batch, however large the file. What frames say is
 * hostile (see extract/frame.h).
 *
 * fill and everything it calls is a worker thread's. One thread at a time.
 */
#pragma once

#include "extract/frame.h"
#include "library/intake.h"

#define TOME_BATCH_CHUNKS 128 /* a large file holds two batches in memory */
#define TOME_BATCH_CHAPTERS 256
#define TOME_BATCH_LABELS 1024

/* ---- Batches ---- */

struct tome_batch; /* opaque: the rows of one write, with their memory */

int tome_batch_create(struct tome_batch **ret_batch) BH_MUST_CHECK;
void tome_batch_destroy(struct tome_batch *batch);
/* Empty again; keeps its memory. */
void tome_batch_clear(struct tome_batch *batch);
/* Borrowed until the batch is cleared. */
void tome_batch_rows(const struct tome_batch *batch, struct tome_intake_rows *ret_rows);

/* ---- Assembly ---- */

struct tome_assembly; /* opaque */

/* What the frames have told so far; strings live as long as the assembly. */
struct tome_assembly_facts {
    struct bh_str title, author, page_kind;
    struct bh_str tags;     /* JSON array */
    struct bh_str language; /* known from the first batch on: as given, as in the file, or found */
    int64_t page_count;     /* highest page number */
    int64_t chunk_count, word_count;
    int64_t percent;                   /* as the extractor reckons */
    struct tome_concept_rows concepts; /* once all has been read */
};

/* `analyzer` is borrowed. `language`: as the client gave it, or empty; copied. */
int tome_assembly_create(enum tome_index_form form, struct tome_analyzer *analyzer,
                         int64_t owner_id, int64_t book_id, struct bh_str language,
                         struct tome_assembly **ret_assembly) BH_MUST_CHECK;
void tome_assembly_destroy(struct tome_assembly *assembly);

/* The next frame, borrowed until the next call: 1 with META, PAGE or PROGRESS; 0: the input was
 * read to its end; negative: an error. */
typedef int tome_frame_source(void *argument, struct tome_frame *ret_frame,
                              struct bh_error *reterr);

/* Fills an empty batch. *ret_ended: no frame is left, these are the last rows (perhaps none).
 * Errors of the source; BH_ELIMIT: more chunks than a book holds. BH_ENOMEM. Errors are final. */
int tome_assembly_fill(struct tome_assembly *assembly, struct tome_batch *batch,
                       tome_frame_source *next, void *argument, bool *ret_ended,
                       struct bh_error *reterr) BH_MUST_CHECK;

const struct tome_assembly_facts *tome_assembly_facts(const struct tome_assembly *assembly);
