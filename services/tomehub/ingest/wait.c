/* Waiting for a job's end, and its progress as this process knows it. */
#include <stdio.h>

#include "bulkhead/base/time.h"
#include "ingest/internal.h"

/* How often to look into the database for a job that another process runs. */
#define OTHER_PROCESS_US BH_SECOND_US

/* On the waiting fiber's stack. */
struct waiter {
    struct bh_list node;
    int64_t job_id;
    struct tome_event ended;
    bool told; /* guarded by the ingest's mutex, as `outcome` and `message` */
    struct tome_job outcome;
    char message[300];
};

void tome_ingest_tell(struct tome_ingest *const ingest, const struct tome_job *const outcome)
{
    pthread_mutex_lock(&ingest->mutex);
    BH_LIST_FOREACH(node, &ingest->waiters) {
        struct waiter *const waiter = BH_LIST_ENTRY(node, struct waiter, node);
        if (waiter->job_id != outcome->id)
            continue;
        waiter->told = true;
        waiter->outcome = *outcome;
        snprintf(waiter->message, sizeof(waiter->message), "%.*s", BH_STR_ARGS(outcome->error));
        tome_event_raise(&waiter->ended);
    }
    pthread_mutex_unlock(&ingest->mutex);
}

bool tome_ingest_is_waited_for(struct tome_ingest *const ingest)
{
    pthread_mutex_lock(&ingest->mutex);
    const bool waited_for = !bh_list_is_empty(&ingest->waiters);
    pthread_mutex_unlock(&ingest->mutex);
    return waited_for;
}

static bool is_finished(const struct tome_job *const job)
{
    return bh_str_equal(job->status, BH_STR("done")) || bh_str_equal(job->status, BH_STR("failed"));
}

/* What the worker told, copied for the caller. */
static int take_outcome(struct tome_ingest *const ingest, struct waiter *const waiter,
                        struct bh_arena *const arena, struct tome_job *const ret_job)
{
    pthread_mutex_lock(&ingest->mutex);
    const bool told = waiter->told;
    pthread_mutex_unlock(&ingest->mutex);
    if (!told)
        return BH_ENOTFOUND;
    const char *const message = bh_arena_strdup(arena, bh_str_from(waiter->message));
    if (message == NULL)
        return BH_ENOMEM;
    *ret_job = waiter->outcome;
    ret_job->error = bh_str_from(message);
    return 0;
}

static int wait_for(struct tome_ingest *const ingest, struct waiter *const waiter,
                    const int64_t owner_id, struct bh_arena *const arena,
                    struct tome_job *const ret_job, struct bh_error *const reterr)
{
    for (;;) {
        /* Looked up after the waiter was enlisted: an end in between is told to it. */
        const uint64_t seen = tome_event_count(&waiter->ended);
        int result = take_outcome(ingest, waiter, arena, ret_job);
        if (result != BH_ENOTFOUND)
            return result;
        result = tome_jobs_get(ingest->options.db, owner_id, waiter->job_id, arena, ret_job,
                               reterr);
        if (result != 0 || is_finished(ret_job))
            return result;
        result = tome_event_wait(&waiter->ended, seen, bh_time_now_us() + OTHER_PROCESS_US);
        if (result == BH_ETIMEDOUT && bh_time_now_us() < bh_fiber_deadline())
            continue;
        if (result != 0)
            return bh_error_set(reterr, result,
                                "job %lld is not finished yet; ask for it at /api/ingest/%lld",
                                (long long)waiter->job_id, (long long)waiter->job_id);
    }
}

int tome_ingest_wait(struct tome_ingest *const ingest, const int64_t owner_id, const int64_t job_id,
                     struct bh_arena *const arena, struct tome_job *const ret_job,
                     struct bh_error *const reterr)
{
    struct waiter waiter = { .job_id = job_id };
    tome_event_init(&waiter.ended);
    bh_list_init(&waiter.node);
    pthread_mutex_lock(&ingest->mutex);
    bh_list_append(&ingest->waiters, &waiter.node);
    pthread_mutex_unlock(&ingest->mutex);
    const int result = wait_for(ingest, &waiter, owner_id, arena, ret_job, reterr);
    pthread_mutex_lock(&ingest->mutex);
    bh_list_unlink(&waiter.node);
    pthread_mutex_unlock(&ingest->mutex);
    tome_event_fini(&waiter.ended);
    return result;
}

/* ---- Progress ---- */

/* Whether a worker has the job in hand: then its word goes. */
static bool refine(struct tome_ingest *const ingest, struct bh_arena *const arena,
                   struct tome_job *const job)
{
    bool is_in_hand = false;
    pthread_mutex_lock(&ingest->mutex);
    for (unsigned i = 0; i < ingest->options.workers; i++) {
        const struct tome_live *const live = &ingest->workers[i].live;
        if (live->job_id != job->id)
            continue;
        is_in_hand = true;
        job->status = live->failed ? BH_STR("failed") : BH_STR("running");
        job->stage = bh_str_from(live->stage);
        job->percent = live->percent;
        job->pages = live->pages;
        job->chunks = live->chunks;
        if (live->failed)
            job->error = bh_str_from(bh_arena_strdup(arena, bh_str_from(live->message)));
    }
    pthread_mutex_unlock(&ingest->mutex);
    return is_in_hand;
}

void tome_ingest_refine(struct tome_ingest *const ingest, struct bh_arena *const arena,
                        struct tome_job *const job)
{
    if (!is_finished(job))
        (void)refine(ingest, arena, job);
}

int tome_ingest_job(struct tome_ingest *const ingest, const int64_t owner_id, const int64_t job_id,
                    struct bh_arena *const arena, struct tome_job *const ret_job,
                    struct bh_error *const reterr)
{
    const int result = tome_jobs_get(ingest->options.db, owner_id, job_id, arena, ret_job, reterr);
    if (result != 0 || is_finished(ret_job) || refine(ingest, arena, ret_job))
        return result;
    /* It may have ended between the two looks: who was told so before is not told otherwise now. */
    return bh_str_equal(ret_job->status, BH_STR("running"))
               ? tome_jobs_get(ingest->options.db, owner_id, job_id, arena, ret_job, reterr)
               : 0;
}
