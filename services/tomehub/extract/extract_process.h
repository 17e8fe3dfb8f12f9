/*
 * The parent's side of the extractor: starts it, reads its frames, ends it.
 *
 * Model: a blocking call on a worker thread, as long as the file takes. The child has its own
 * process group; it dies with the thread that started it (so with the server, however that ends),
 * at the deadline, and when canceled. Its output is hostile until the reader has checked it. After
 * destroy nothing is left: no process, no zombie, no descriptor.
 *
 *     tome_extract_start(fd, &options, &extract, reterr)
 *     while ((result = tome_extract_next(extract, &frame, reterr)) == 1) …
 *     // 0: complete. Negative: tome_extract_failure(extract) and reterr say why
 *     tome_extract_destroy(extract)
 *
 * start, next and destroy on one thread that lives at least as long; cancel on any.
 */
#pragma once

#include "bulkhead/base/time.h"
#include "extract/frame.h"

struct tome_extract_options {
    enum tome_source source;     /* AUTO: the content decides */
    struct bh_str file_name;     /* its extension helps to tell text from Markdown; may be empty */
    const char *executable;      /* NULL: tomehub-extract beside this program, or this program; else
                                  * one whose `extract` is tome_extract_main() */
    uint64_t text_limit_bytes;   /* 0: 1 GiB */
    uint64_t memory_limit_bytes; /* 0: 1 GiB of address space */
    unsigned cpu_limit_s;        /* 0: 120 s, for each of its processes */
    uint64_t deadline_us;        /* absolute, monotonic; 0 or BH_NEVER_US: none */
};

struct tome_extract; /* opaque */

/* `file` is borrowed, open for reading. BH_ENOTFOUND (no such program), BH_EIO, BH_ENOMEM. */
int tome_extract_start(int file, const struct tome_extract_options *options,
                       struct tome_extract **ret_extract, struct bh_error *reterr) BH_MUST_CHECK;

/* Ends the process if it runs. NULL is fine. */
void tome_extract_destroy(struct tome_extract *extract);
BH_DEFINE_CLEANUP(struct tome_extract, tome_extract_destroy)

/* 1: a META, PAGE or PROGRESS frame, borrowed until the next call. 0: the file has been read to its
 * end. Negative: it has not; tome_extract_failure() tells why, and reterr holds the sentence for
 * people. Both last results are final. */
int tome_extract_next(struct tome_extract *extract, struct tome_frame *ret_frame,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* Why next() failed; NONE before that. */
enum tome_extract_failure tome_extract_failure(const struct tome_extract *extract);

/* Makes next() return soon with CANCELED. Any thread, between start and destroy. */
void tome_extract_cancel(struct tome_extract *extract);

/* Process id of the child, for tests and logs; 0 after its end. */
int tome_extract_pid(const struct tome_extract *extract);
