/*
 * Where a job's frames come from: the extractor process that reads a file, or a document that was
 * written as frames when it was accepted.
 *
 * All but cancel on one thread, which lives as long as the server: it blocks, and the extractor
 * dies with it.
 */
#pragma once

#include "extract/frame.h"
#include "library/jobs.h"

struct tome_input; /* opaque */

struct tome_input_limits {
    uint64_t extract_timeout_us;
    uint64_t extract_memory; /* bytes */
};

/* BH_ENOTFOUND: the file is gone. BH_EIO, BH_ENOMEM, BH_ELIMIT (no process can be started). */
int tome_input_open(const struct tome_claim *claim, const struct tome_input_limits *limits,
                    struct tome_input **ret_input, struct bh_error *reterr) BH_MUST_CHECK;
/* Ends the extractor if it still runs. NULL is fine. */
void tome_input_close(struct tome_input *input);

/* A tome_frame_source of a struct tome_input. Errors: BH_ECANCELED; BH_EUNAVAILABLE: the extractor
 * was killed from outside, try again; else the file cannot be taken in, and reterr says why to
 * people. */
int tome_input_next(void *input, struct tome_frame *ret_frame,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* Makes next return soon with BH_ECANCELED. Any thread, between open and close. */
void tome_input_cancel(struct tome_input *input);
