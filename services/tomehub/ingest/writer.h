/*
 * Writes the batches of all jobs, as many in one transaction as are waiting.
 *
 * Model: a job hands a batch in and goes on reading. While one transaction is written, what the
 * other jobs hand in waits, and goes into the next one together. Full-text search writes what it
 * has gathered with every commit and merges it later on, so a few small books in one transaction
 * cost much less than one transaction for each; yet a batch never waits for others to come.
 *
 * When a batch fails by its own fault, the others are written without it.
 *
 * Everything here belongs to one loop; all calls are its fibers'.
 */
#pragma once

#include "bulkhead/base/list.h"
#include "library/intake.h"

/* Chunks in one transaction (a single batch is always written): some 40 ms, which is what other
 * writers wait for at most. */
#define TOME_WRITER_CHUNKS 512

struct tome_writer {
    struct bh_db *db;               /* private, like the rest: borrowed */
    struct tome_analyzer *analyzer; /* of titles */
    struct tome_known_words *known;
    struct bh_arena *arena; /* of the transaction at hand */
    struct bh_list waiting; /* struct tome_write.node, oldest first */
    bool is_running;        /* a fiber is at it; it ends when nothing waits */
};

/* A batch on its way. Embedded; stays where it is until it was awaited. */
struct tome_write {
    struct tome_intake intake; /* public: filled before it is handed in */
    bool is_pending;           /* private, like the rest */
    int result;
    struct bh_error error;
    struct bh_fiber *fiber; /* that awaits it */
    struct bh_list node;
};

int tome_writer_init(struct tome_writer *writer, struct bh_db *db) BH_MUST_CHECK;
/* Nothing may be pending. A zeroed one is fine. */
void tome_writer_fini(struct tome_writer *writer);

/* Hands the batch in; returns at once. A write that was started has to be awaited. */
int tome_write_start(struct tome_writer *writer, struct tome_write *write,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Waits until it is written, whether or not the fiber is cancelled: the batch's memory is in use
 * until then. Returns how it ended, as tome_intake_write; 0 when nothing was started. */
int tome_write_await(struct tome_write *write, struct bh_error *reterr) BH_MUST_CHECK;
