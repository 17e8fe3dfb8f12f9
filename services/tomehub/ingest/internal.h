/* What the files of ingest/ share. Nobody else includes it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/metrics.h"
#include "bulkhead/db/listen.h"
#include "ingest/assembly.h"
#include "event.h"
#include "ingest/ingest.h"
#include "ingest/instance.h"
#include "ingest/writer.h"

#define TOME_INGEST_READERS_MAX 64
/* Jobs in hand for each reader: while the last batch of one is written, the next is read. */
#define TOME_INGEST_JOBS_PER_READER 4
#define TOME_INGEST_WORKERS_MAX (TOME_INGEST_READERS_MAX * TOME_INGEST_JOBS_PER_READER)

/* What is finer than the database: guarded by the ingest's mutex. */
struct tome_live {
    int64_t job_id; /* 0: no job in hand */
    const char *stage;
    int64_t percent, pages, chunks;
    bool failed; /* and the database does not know it yet */
    char message[300];
};

struct tome_input;

/* What reading a file takes: a job has one until its input was read to the end. */
struct tome_reader {
    struct bh_worker_pool *thread; /* one of its own: the extractor's parent must stay the same */
    struct tome_analyzer *analyzer;
    bool is_taken; /* of the loop of start */
};

/* One worker fiber with what it reuses from job to job. */
struct tome_ingest_worker {
    struct tome_ingest *ingest;
    struct tome_reader *reader;    /* NULL: none */
    struct tome_batch *batches[2]; /* one is filled while the other is written */
    struct bh_arena *arena;        /* of the job in hand */
    struct tome_live live;
    struct tome_input *input; /* of the job in hand; guarded by the ingest's mutex, for cancel */
};

struct tome_ingest_metrics {
    bh_metric done, failed, seconds, queue, chunks, bytes, purged;
};

struct tome_ingest {
    BH_MAGIC_FIELD;
    struct tome_ingest_options options; /* strings owned */
    struct tome_instance instance;
    struct bh_worker_pool *pool; /* uploads, and analysis for the purge */
    struct tome_ingest_metrics metrics;

    struct tome_event queue_changed; /* a job was queued, a reader is free, or we are leaving */
    struct tome_event purge_wanted;
    struct tome_event stop_wanted;
    struct bh_db_listener *listener; /* to processes that leave; NULL: not started */
    atomic_bool draining;
    atomic_bool held; /* for want of memory */
    atomic_bool stopping;

    pthread_mutex_t mutex;  /* guards what follows and each worker's `live` */
    struct bh_list waiters; /* of struct waiter in wait.c */
    uint64_t queued;        /* jobs in the database's queue that no worker went for yet */
    struct tome_ingest_figures figures;

    /* Of the loop of start. */
    struct tome_reader readers[TOME_INGEST_READERS_MAX];
    struct tome_ingest_worker workers[TOME_INGEST_WORKERS_MAX];
    struct tome_writer writer;
    unsigned fibers; /* that have not ended */
    struct tome_event fiber_ended;
};

/* Waits a while, or until the process is leaving: then BH_ECANCELED. */
int tome_ingest_pause(struct tome_ingest *ingest, uint64_t duration_us) BH_MUST_CHECK;

/* The worker's reader; waits for one that is free if it has none. BH_ECANCELED: the process is
 * leaving. */
int tome_reader_take(struct tome_ingest_worker *worker) BH_MUST_CHECK;
/* Nothing happens if it has none. */
void tome_reader_give(struct tome_ingest_worker *worker);

/* ---- job.c: one job from claim to end ---- */

/* Called with a reader; may return without. 0: the book is there. BH_ECANCELED: the process is
 * leaving. Else it failed, `reterr` says why to the one who sent the file. */
int tome_job_run(struct tome_ingest_worker *worker, const struct tome_claim *claim,
                 struct bh_error *reterr) BH_MUST_CHECK;

/* Removes the job's input if it is ours. */
void tome_job_remove_input(const struct tome_claim *claim);

/* ---- purge.c: books that are gone ---- */

/* What an earlier attempt left of a book that is being loaded. */
int tome_purge_leftovers(struct tome_ingest *ingest, struct tome_analyzer *analyzer,
                         const struct tome_claim *claim, struct bh_error *reterr) BH_MUST_CHECK;

/* Every book that waits for its purge. */
int tome_purge_all(struct tome_ingest *ingest, struct tome_analyzer *analyzer,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* ---- recovery.c: what dead processes left ---- */

/* Queues their jobs here; `*ret_count`: how many. */
int tome_recover_jobs(struct tome_ingest *ingest, int64_t *ret_count,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* Removes their uploads that no job needs. */
int tome_recover_files(struct tome_ingest *ingest, struct bh_error *reterr) BH_MUST_CHECK;

/* ---- wait.c ---- */

/* Tells those who wait for the job how it ended. */
void tome_ingest_tell(struct tome_ingest *ingest, const struct tome_job *outcome);
bool tome_ingest_is_waited_for(struct tome_ingest *ingest);
