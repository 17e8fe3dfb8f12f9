/*
 * Jobs: one for each file or document to take in, from its acceptance to its end.
 *
 * queued → running → done | failed; a running job goes back to queued when its process leaves or
 * dies. A job that is not finished belongs to one process, its instance. Every call is a fiber's.
 */
#pragma once

#include "bulkhead/db/db.h"
#include "library/library.h"

/* Finished jobs beyond the newest so many are forgotten. */
#define TOME_JOBS_REMEMBERED 10000

/* What is to be taken in. Strings may be empty where not known; tags and metadata are JSON. */
struct tome_submission {
    int64_t owner_id;
    int64_t instance;
    int64_t replaces; /* book that gives way, or 0 */
    struct bh_str input, input_kind;
    struct bh_str content_hash; /* 32 bytes */
    struct bh_str file_name, title, author, source_type, language, tags, metadata;
    int64_t byte_size;
};

struct tome_submitted {
    int64_t job_id;  /* 0: this content is already a book */
    int64_t book_id; /* the book that is or will be */
    bool is_new;     /* false: it was there, or a job already takes the same content in */
};

/* In one transaction: looks whether the content is known, reserves the book, queues the job.
 * BH_ENOTFOUND: there is no book to replace. BH_ECONFLICT: the content is already another book than
 * the one to be replaced. */
int tome_jobs_submit(struct bh_db *db, const struct tome_submission *submission,
                     struct bh_arena *arena, struct tome_submitted *ret_submitted,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* A job taken up; strings in the arena. */
struct tome_claim {
    int64_t job_id, owner_id, book_id, replaces;
    int64_t attempt; /* from 1; above it, an earlier attempt may have left rows */
    int64_t byte_size;
    struct bh_str input, input_kind, content_hash, file_name, title;
    struct bh_str language; /* as given by the client or found by an earlier attempt, or empty */
};

/* The oldest job queued for `instance` becomes running. BH_ENOTFOUND: none is queued (no message).
 * */
int tome_jobs_claim(struct bh_db *db, int64_t instance, struct bh_arena *arena,
                    struct tome_claim *ret_claim, struct bh_error *reterr) BH_MUST_CHECK;

/* The job failed with `message`; its book is left to the purge. BH_ECONFLICT: another process has
 * taken it over; nothing is changed. */
int tome_jobs_fail(struct bh_db *db, const struct tome_claim *claim, struct bh_str message,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* ---- Other processes ---- */

/* The processes that hold jobs not finished. */
int tome_jobs_instances(struct bh_db *db, struct bh_arena *arena, const int64_t **ret_instances,
                        size_t *ret_count, struct bh_error *reterr) BH_MUST_CHECK;

struct tome_job_left {
    int64_t id;
    struct bh_str input;
    int64_t created_at; /* µs since 1970 */
};

/* The oldest 10,000 at most of the jobs that `dead` had not finished. In the arena. */
int tome_jobs_left(struct bh_db *db, int64_t dead, struct bh_arena *arena,
                   const struct tome_job_left **ret_jobs, size_t *ret_count,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* Queues for `instance` those of these jobs that `dead` has yet; two at once get each job once. */
int tome_jobs_take_over(struct bh_db *db, int64_t instance, int64_t dead, const int64_t *jobs,
                        size_t count, int64_t *ret_count, struct bh_error *reterr) BH_MUST_CHECK;

/* This process is leaving: its running jobs go back to the queue, and the attempt does not count.
 * */
int tome_jobs_release(struct bh_db *db, int64_t instance, struct bh_error *reterr) BH_MUST_CHECK;

/* Which of these paths are inputs of jobs not finished: `ret_needed[i]`. */
int tome_jobs_inputs_needed(struct bh_db *db, const struct bh_str *paths, size_t count,
                            struct bh_arena *arena, bool *ret_needed,
                            struct bh_error *reterr) BH_MUST_CHECK;

/* Forgets old finished jobs. */
int tome_jobs_prune(struct bh_db *db, struct bh_error *reterr) BH_MUST_CHECK;

/* ---- For readers ---- */

struct tome_job {
    int64_t id, book_id;
    struct bh_str status, stage, file_name, title;
    int64_t percent, pages, chunks;
    struct bh_str error; /* empty: none */
    int64_t created_at;  /* µs since 1970 */
    int64_t finished_at; /* 0: not yet */
};

/* BH_ENOTFOUND. */
int tome_jobs_get(struct bh_db *db, int64_t owner_id, int64_t job_id, struct bh_arena *arena,
                  struct tome_job *ret_job, struct bh_error *reterr) BH_MUST_CHECK;

/* Newest first. `statuses`: a JSON array of them, {NULL, 0}: all. */
int tome_jobs_list(struct bh_db *db, int64_t owner_id, struct bh_str statuses, int64_t limit,
                   struct bh_arena *arena, const struct tome_job **ret_jobs, size_t *ret_count,
                   struct bh_error *reterr) BH_MUST_CHECK;

struct tome_job_counts {
    int64_t queued, running;
    int64_t oldest_at; /* µs since 1970 of the oldest not finished; 0: none */
};
int tome_jobs_count(struct bh_db *db, struct bh_arena *arena, struct tome_job_counts *ret_counts,
                    struct bh_error *reterr) BH_MUST_CHECK;
