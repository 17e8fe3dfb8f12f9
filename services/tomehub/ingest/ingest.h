/*
 * Taking books in: jobs accepted, queued, worked off by a few fibers, waited for, recovered.
 *
 * Model: the database holds the truth (queue, states, rows); memory holds what is finer or faster
 * (progress within a stage, who waits for which job). A few worker fibers on one loop claim jobs
 * and run them (job.h); a housekeeping fiber purges books that are gone and takes over the jobs of
 * processes that died. Two processes may share a database file: each runs its own jobs.
 *
 * create → start → (drain → stop) → destroy. Submitting and waiting: fibers of any loop.
 */
#pragma once

#include "bulkhead/loop/worker.h"
#include "ingest/spool.h"
#include "library/jobs.h"

struct tome_ingest; /* opaque */

struct tome_ingest_options {
    struct bh_db *db;          /* borrowed */
    const char *database_path; /* absolute; the lock file stands beside it. NULL: PostgreSQL */
    const char *database_url;
    const char *data_dir;    /* absolute; made if it is not there */
    unsigned workers;        /* files read at the same time */
    uint64_t upload_maximum; /* bytes of a file */
    uint64_t extract_timeout_us;
    uint64_t extract_memory; /* bytes */
};

/* The strings of `options` are copied. Not from a fiber. */
int tome_ingest_create(const struct tome_ingest_options *options, struct tome_ingest **ret_ingest,
                       struct bh_error *reterr) BH_MUST_CHECK;
/* Its fibers must have ended. NULL is fine. */
void tome_ingest_destroy(struct tome_ingest *ingest);

/* Takes over what dead processes left and starts the fibers on the current loop. Fiber. */
int tome_ingest_start(struct tome_ingest *ingest, struct bh_error *reterr) BH_MUST_CHECK;

/* No new job is begun, unless somebody waits for it. The loop of start. */
void tome_ingest_drain(struct tome_ingest *ingest);

/* While held, no new job is begun unless somebody waits for it; those in hand go on. Any thread. */
void tome_ingest_hold(struct tome_ingest *ingest, bool held);

/* Ends the fibers; jobs in hand go back to the queue. The loop of start, which ends by itself when
 * they have ended. */
void tome_ingest_stop(struct tome_ingest *ingest);

/* ---- Submitting ---- */

/* A file to put an upload into. Ends with tome_spool_fini. */
int tome_ingest_spool(struct tome_ingest *ingest, struct tome_spool *ret_spool,
                      struct bh_error *reterr) BH_MUST_CHECK;

uint64_t tome_ingest_upload_maximum(const struct tome_ingest *ingest);
/* Jobs in hand at the same time: those being read, and those whose last rows are written. */
unsigned tome_ingest_jobs_maximum(const struct tome_ingest *ingest);
struct bh_worker_pool *tome_ingest_workers(struct tome_ingest *ingest);

/* As tome_jobs_submit (`submission->instance` is set here), and a worker begins. Fiber. */
int tome_ingest_submit(struct tome_ingest *ingest, struct tome_submission *submission,
                       struct bh_arena *arena, struct tome_submitted *ret_submitted,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* Waits until the job is done or failed, or the fiber's deadline. BH_ENOTFOUND. Fiber. */
int tome_ingest_wait(struct tome_ingest *ingest, int64_t owner_id, int64_t job_id,
                     struct bh_arena *arena, struct tome_job *ret_job,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* A job as the database has it, made finer by what this process knows. */
int tome_ingest_job(struct tome_ingest *ingest, int64_t owner_id, int64_t job_id,
                    struct bh_arena *arena, struct tome_job *ret_job,
                    struct bh_error *reterr) BH_MUST_CHECK;
void tome_ingest_refine(struct tome_ingest *ingest, struct bh_arena *arena, struct tome_job *job);

/* A book was deleted or replaced: its rows can be purged. Any thread. */
void tome_ingest_purge_soon(struct tome_ingest *ingest);

/* ---- Figures, any thread ---- */

struct tome_ingest_figures {
    unsigned workers, busy; /* files that can be read at the same time, and that are */
    uint64_t done, failed;  /* jobs of this process since its start */
    int64_t percent;        /* of the jobs in hand together; may pass 100 with several */
};
void tome_ingest_figures(struct tome_ingest *ingest, struct tome_ingest_figures *ret_figures);
