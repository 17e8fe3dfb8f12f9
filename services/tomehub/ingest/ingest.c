/*
 * Life of the ingest and its fibers.
 *
 * `queued` counts the jobs in the database's queue that no worker went for yet, so each job wakes
 * one claim and an idle process asks nothing. The fibers live on the loop of start; the mutex
 * guards what handlers on other loops touch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/loop/standing.h"
#include "ingest/input.h"
#include "ingest/internal.h"
#include "library/index_merge.h"

#define BH_METRICS_FILE "ingest/ingest_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define INGEST_MAGIC 0x494e4753u
#define POOL_THREADS 2
#define POOL_QUEUE_MAX 4096
#define JOB_ARENA_MAX ((size_t)4 * 1024 * 1024)
#define RETRY_US BH_SECOND_US
#define HOUSEKEEPING_US (5 * BH_SECOND_US)
#define LOOK_US (200 * BH_MS_US) /* whether the other process still lives */
#define PRUNE_ROUNDS 60          /* of housekeeping */
#define HAS_LEFT "another process has %.*s, looking after its jobs"
#define CHANNEL "tomehub_jobs" /* a process has left; its jobs are free */

/* ---- Life ---- */

static void set_up_metrics(struct tome_ingest_metrics *const metrics)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    *metrics = (struct tome_ingest_metrics){
        .done = bh_metrics_child(&metric_families[METRIC_jobs], (const char *[]){ "done" }, 1),
        .failed = bh_metrics_child(&metric_families[METRIC_jobs], (const char *[]){ "failed" }, 1),
        .seconds = bh_metrics_child(&metric_families[METRIC_seconds], (const char *[]){ "ingest" },
                                    1),
        .queue = bh_metrics_child(&metric_families[METRIC_queue], NULL, 0),
        .chunks = bh_metrics_child(&metric_families[METRIC_chunks], NULL, 0),
        .bytes = bh_metrics_child(&metric_families[METRIC_bytes], NULL, 0),
        .purged = bh_metrics_child(&metric_families[METRIC_purged], NULL, 0),
    };
}

static unsigned worker_count(const struct tome_ingest *const ingest)
{
    return ingest->options.workers * TOME_INGEST_JOBS_PER_READER;
}

static int create_reader(struct tome_reader *const reader)
{
    const int result = bh_worker_pool_create("ingest", 1, 1, &reader->thread);
    return result != 0 ? result : tome_analyzer_create(&reader->analyzer);
}

static int create_worker(struct tome_ingest *const ingest, struct tome_ingest_worker *const worker)
{
    worker->ingest = ingest;
    int result = tome_batch_create(&worker->batches[0]);
    if (result == 0)
        result = tome_batch_create(&worker->batches[1]);
    if (result == 0)
        result = bh_arena_create(JOB_ARENA_MAX, &worker->arena);
    return result;
}

static int fill(struct tome_ingest *const ingest, struct bh_error *const reterr)
{
    struct tome_ingest_options *const options = &ingest->options;
    options->data_dir = strdup(options->data_dir);
    if (options->data_dir == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to start the ingest");
    if (mkdir(options->data_dir, 0700) != 0 && errno != EEXIST)
        return bh_error_errno(reterr, errno, "cannot make the folder of uploads %s",
                              options->data_dir);
    int result = options->database_path != NULL
                     ? tome_instance_init(&ingest->instance, options->database_path, reterr)
                     : tome_instance_init_session(&ingest->instance, options->db,
                                                  options->database_url, reterr);
    options->database_path = options->database_url = NULL; /* the caller's */
    if (result != 0)
        return result;
    result = bh_worker_pool_create("upload", POOL_THREADS, POOL_QUEUE_MAX, &ingest->pool);
    if (result == 0)
        result = tome_writer_init(&ingest->writer, options->db);
    for (unsigned i = 0; result == 0 && i < options->workers; i++)
        result = create_reader(&ingest->readers[i]);
    for (unsigned i = 0; result == 0 && i < worker_count(ingest); i++)
        result = create_worker(ingest, &ingest->workers[i]);
    return result == 0 ? 0 : bh_error_set(reterr, result, "cannot start the ingest's workers");
}

int tome_ingest_create(const struct tome_ingest_options *const options,
                       struct tome_ingest **const ret_ingest, struct bh_error *const reterr)
{
    bh_assert(options->workers >= 1 && options->workers <= TOME_INGEST_READERS_MAX);
    struct tome_ingest *const ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to start the ingest");
    ingest->magic = INGEST_MAGIC;
    ingest->options = *options;
    ingest->figures.workers = options->workers;
    ingest->instance.fd = -1;
    pthread_mutex_init(&ingest->mutex, NULL);
    bh_list_init(&ingest->waiters);
    tome_event_init(&ingest->queue_changed);
    tome_event_init(&ingest->purge_wanted);
    tome_event_init(&ingest->stop_wanted);
    tome_event_init(&ingest->fiber_ended);
    set_up_metrics(&ingest->metrics);
    const int result = fill(ingest, reterr);
    if (result != 0) {
        tome_ingest_destroy(ingest);
        return result;
    }
    *ret_ingest = ingest;
    return 0;
}

void tome_ingest_destroy(struct tome_ingest *const ingest)
{
    if (ingest == NULL)
        return;
    bh_magic_check(ingest, INGEST_MAGIC);
    bh_assert(ingest->fibers == 0);
    const bool has_started = ingest->listener != NULL;
    bh_db_unlisten(ingest->listener);
    bh_worker_pool_destroy(ingest->pool);
    for (unsigned i = 0; i < ingest->options.workers; i++) {
        bh_worker_pool_destroy(ingest->readers[i].thread);
        tome_analyzer_destroy(ingest->readers[i].analyzer);
    }
    tome_writer_fini(&ingest->writer);
    for (unsigned i = 0; i < worker_count(ingest); i++) {
        struct tome_ingest_worker *const worker = &ingest->workers[i];
        tome_batch_destroy(worker->batches[0]);
        tome_batch_destroy(worker->batches[1]);
        bh_arena_destroy(worker->arena);
    }
    tome_instance_fini(&ingest->instance);
    struct bh_error error;
    if (has_started && bh_db_notify(ingest->options.db, CHANNEL, BH_STR("left"), &error) != 0)
        bh_log_debug("ingest", "others find out by themselves that this process has left: %s",
                     error.message);
    tome_event_fini(&ingest->queue_changed);
    tome_event_fini(&ingest->purge_wanted);
    tome_event_fini(&ingest->stop_wanted);
    tome_event_fini(&ingest->fiber_ended);
    pthread_mutex_destroy(&ingest->mutex);
    free((void *)(uintptr_t)ingest->options.data_dir);
    free(ingest);
}

/* ---- The queue ---- */

static void add_queued(struct tome_ingest *const ingest, const int64_t count)
{
    pthread_mutex_lock(&ingest->mutex);
    ingest->queued += (uint64_t)count;
    pthread_mutex_unlock(&ingest->mutex);
    bh_metrics_add(ingest->metrics.queue, count);
    tome_event_raise(&ingest->queue_changed);
}

/* ---- Readers ---- */

static struct tome_reader *free_reader(struct tome_ingest *const ingest)
{
    for (unsigned i = 0; i < ingest->options.workers; i++)
        if (!ingest->readers[i].is_taken)
            return &ingest->readers[i];
    return NULL;
}

static void take_reader(struct tome_ingest_worker *const worker, struct tome_reader *const reader)
{
    struct tome_ingest *const ingest = worker->ingest;
    reader->is_taken = true;
    worker->reader = reader;
    pthread_mutex_lock(&ingest->mutex);
    ingest->figures.busy++;
    pthread_mutex_unlock(&ingest->mutex);
}

int tome_reader_take(struct tome_ingest_worker *const worker)
{
    struct tome_ingest *const ingest = worker->ingest;
    while (worker->reader == NULL) {
        const uint64_t seen = tome_event_count(&ingest->queue_changed);
        if (atomic_load(&ingest->stopping))
            return BH_ECANCELED;
        struct tome_reader *const reader = free_reader(ingest);
        if (reader != NULL)
            take_reader(worker, reader);
        else
            (void)!tome_event_wait(&ingest->queue_changed, seen, BH_NEVER_US);
    }
    return 0;
}

void tome_reader_give(struct tome_ingest_worker *const worker)
{
    struct tome_ingest *const ingest = worker->ingest;
    if (worker->reader == NULL)
        return;
    worker->reader->is_taken = false;
    worker->reader = NULL;
    pthread_mutex_lock(&ingest->mutex);
    ingest->figures.busy--;
    pthread_mutex_unlock(&ingest->mutex);
    tome_event_raise(&ingest->queue_changed);
}

/* True: the caller goes for one job of the queue. */
static bool take_queued(struct tome_ingest *const ingest)
{
    const bool is_held = atomic_load(&ingest->draining) || atomic_load(&ingest->held);
    if (is_held && !tome_ingest_is_waited_for(ingest))
        return false;
    pthread_mutex_lock(&ingest->mutex);
    const bool taken = ingest->queued > 0;
    ingest->queued -= taken;
    pthread_mutex_unlock(&ingest->mutex);
    if (taken)
        bh_metrics_add(ingest->metrics.queue, -1);
    return taken;
}

int tome_ingest_submit(struct tome_ingest *const ingest, struct tome_submission *const submission,
                       struct bh_arena *const arena, struct tome_submitted *const ret_submitted,
                       struct bh_error *const reterr)
{
    submission->instance = ingest->instance.number;
    const int result = tome_jobs_submit(ingest->options.db, submission, arena, ret_submitted,
                                        reterr);
    if (result == 0 && ret_submitted->is_new) {
        bh_metrics_add(ingest->metrics.bytes, submission->byte_size);
        add_queued(ingest, 1);
    }
    return result;
}

/* ---- Workers ---- */

static void set_live(struct tome_ingest_worker *const worker, const int64_t job_id)
{
    pthread_mutex_lock(&worker->ingest->mutex);
    worker->live = (struct tome_live){ .job_id = job_id, .stage = "extract" };
    pthread_mutex_unlock(&worker->ingest->mutex);
}

/* The failure must reach the database, or the job would look as if it ran for ever: a full disk is
 * waited for. Those who wait for the job are told at once. */
static void write_failure(struct tome_ingest_worker *const worker,
                          const struct tome_claim *const claim,
                          const struct bh_error *const failure)
{
    struct tome_ingest *const ingest = worker->ingest;
    pthread_mutex_lock(&ingest->mutex);
    worker->live.failed = true;
    worker->live.stage = "failed";
    memcpy(worker->live.message, failure->message, sizeof(worker->live.message));
    ingest->figures.failed++;
    pthread_mutex_unlock(&ingest->mutex);
    bh_metrics_add(ingest->metrics.failed, 1);
    if (ingest->instance.session == NULL)
        tome_job_remove_input(claim); /* first: it may be what fills the database's disk */
    const struct bh_str message = bh_str_from(failure->message);
    struct bh_error error;
    int result = tome_jobs_fail(ingest->options.db, claim, message, &error);
    tome_ingest_tell(ingest, &(struct tome_job){ .id = claim->job_id,
                                                 .book_id = claim->book_id,
                                                 .status = BH_STR("failed"),
                                                 .error = message });
    while (result != 0 && result != BH_ECONFLICT && tome_ingest_pause(ingest, RETRY_US) == 0) {
        bh_log_warning("ingest", "job %lld failed, but that cannot be written down (%s); trying on",
                       (long long)claim->job_id, error.message);
        result = tome_jobs_fail(ingest->options.db, claim, message, &error);
    }
    if (result != 0)
        return; /* not told, or the job is another process's by now and so is its input */
    tome_job_remove_input(claim);
    tome_event_raise(&ingest->purge_wanted);
}

static void write_success(struct tome_ingest_worker *const worker,
                          const struct tome_claim *const claim)
{
    struct tome_ingest *const ingest = worker->ingest;
    pthread_mutex_lock(&ingest->mutex);
    const struct tome_job outcome = { .id = claim->job_id,
                                      .book_id = claim->book_id,
                                      .status = BH_STR("done"),
                                      .pages = worker->live.pages,
                                      .chunks = worker->live.chunks };
    ingest->figures.done++;
    pthread_mutex_unlock(&ingest->mutex);
    tome_ingest_tell(ingest, &outcome);
    bh_metrics_add(ingest->metrics.done, 1);
    bh_metrics_add(ingest->metrics.chunks, outcome.chunks);
    tome_job_remove_input(claim);
    if (claim->replaces != 0)
        tome_event_raise(&ingest->purge_wanted);
}

static void run_job(struct tome_ingest_worker *const worker, const struct tome_claim *const claim)
{
    const uint64_t begun_us = bh_time_now_us();
    struct bh_error error = { 0 };
    bh_fiber_set_standing((struct bh_fiber_standing){ .tenant = (uint32_t)claim->owner_id });
    set_live(worker, claim->job_id);
    const int result = tome_job_run(worker, claim, &error);
    const double seconds = (double)(bh_time_now_us() - begun_us) / 1e6;
    if (result == 0) {
        write_success(worker, claim);
        bh_log_debug("ingest", "job %lld: book %lld is ready after %.3f s",
                     (long long)claim->job_id, (long long)claim->book_id, seconds);
    } else if (result != BH_ECANCELED) {
        bh_log_warning("ingest", "job %lld (%.*s) failed after %.3f s: %s",
                       (long long)claim->job_id, BH_STR_ARGS(claim->file_name), seconds,
                       error.message);
        write_failure(worker, claim, &error);
    }
    bh_metrics_observe_us(worker->ingest->metrics.seconds, bh_time_now_us() - begun_us);
    set_live(worker, 0);
}

static const struct bh_fiber_standing can_wait = { .priority = BH_FIBER_LOW };

/* One claim. False: the database could not be asked, the job is still in the queue. */
static bool work_once(struct tome_ingest_worker *const worker)
{
    struct tome_ingest *const ingest = worker->ingest;
    struct tome_claim claim;
    struct bh_error error;
    bh_arena_reset(worker->arena);
    bh_fiber_set_standing(can_wait); /* a job that was begun cannot: it would have to begin anew */
    const int result = tome_jobs_claim(ingest->options.db, ingest->instance.number, worker->arena,
                                       &claim, &error);
    if (result == 0)
        run_job(worker, &claim);
    else if (result != BH_ENOTFOUND && result != BH_ECANCELED)
        bh_log_warning("ingest", "cannot take up a job (%s), trying again in %.0f s", error.message,
                       (double)RETRY_US / 1e6);
    tome_reader_give(worker);
    return result == 0 || result == BH_ENOTFOUND;
}

static void end_fiber(struct tome_ingest *const ingest)
{
    ingest->fibers--;
    tome_event_raise(&ingest->fiber_ended);
}

static void work(void *const argument)
{
    struct tome_ingest_worker *const worker = argument;
    struct tome_ingest *const ingest = worker->ingest;
    while (!atomic_load(&ingest->stopping)) {
        const uint64_t seen = tome_event_count(&ingest->queue_changed);
        if (!take_queued(ingest)) {
            (void)!tome_event_wait(&ingest->queue_changed, seen, BH_NEVER_US);
        } else if (!work_once(worker)) {
            (void)!tome_ingest_pause(ingest, RETRY_US);
            add_queued(ingest, 1);
        }
    }
    end_fiber(ingest);
}

/* ---- Housekeeping ---- */

static bool is_idle(struct tome_ingest *const ingest)
{
    pthread_mutex_lock(&ingest->mutex);
    const bool is_idle = ingest->queued == 0 && ingest->figures.busy == 0;
    pthread_mutex_unlock(&ingest->mutex);
    return is_idle && !atomic_load(&ingest->stopping);
}

/* Merges rows of the index while there is nothing else to do, half of the time at most; one step
 * in any case, so that a server that is always busy gets on, too. `seen`: of purge_wanted. */
static void merge_index(struct tome_ingest *const ingest, const uint64_t seen)
{
    struct bh_error error;
    bool more = !atomic_load(&ingest->stopping);
    while (more) {
        const uint64_t begun_us = bh_time_now_us();
        const int result = tome_index_merge(ingest->options.db, &more, &error);
        if (result != 0) {
            if (result != BH_ECANCELED)
                bh_log_warning("ingest", "merging the index failed (%s), trying again in %.0f s",
                               error.message, (double)HOUSEKEEPING_US / 1e6);
            return;
        }
        more = more && tome_event_count(&ingest->purge_wanted) == seen && is_idle(ingest) &&
               tome_ingest_pause(ingest, bh_time_now_us() - begun_us) == 0;
    }
}

static void keep_house_once(struct tome_ingest *const ingest, struct tome_analyzer *const analyzer,
                            const bool prune)
{
    struct bh_error error;
    int64_t taken = 0;
    int result = tome_recover_jobs(ingest, &taken, &error);
    if (taken > 0)
        add_queued(ingest, taken);
    if (result == 0)
        result = tome_purge_all(ingest, analyzer, &error);
    if (result == 0 && prune)
        result = tome_jobs_prune(ingest->options.db, &error);
    if (result != 0 && result != BH_ECANCELED)
        bh_log_warning("ingest", "cleaning up failed (%s), trying again in %.0f s", error.message,
                       (double)HOUSEKEEPING_US / 1e6);
}

/* Until something is wanted or it is time again. On PostgreSQL who leaves says so (on_heard); on
 * SQLite the process that was there before this round, `other`, is watched by its lock: a worker
 * that has just been replaced leaves its jobs when it goes. */
static void await_round(struct tome_ingest *const ingest, const uint64_t seen, const int64_t other)
{
    const uint64_t until_us = bh_time_now_us() + HOUSEKEEPING_US;
    int result = BH_ETIMEDOUT;
    while (result == BH_ETIMEDOUT && bh_time_now_us() < until_us) {
        if (other != 0 && !tome_instance_is_alive(&ingest->instance, other)) {
            bh_log_debug("ingest", HAS_LEFT, BH_STR_ARGS(BH_STR("ended")));
            return;
        }
        result = tome_event_wait(&ingest->purge_wanted, seen,
                                 other != 0 ? bh_time_now_us() + LOOK_US : until_us);
    }
}

static void keep_house(void *const argument)
{
    struct tome_ingest *const ingest = argument;
    struct tome_analyzer *analyzer = NULL;
    bh_fiber_set_standing(can_wait);
    if (tome_analyzer_create(&analyzer) != 0)
        bh_log_error("ingest", "no memory for cleaning up: deleted books keep their space");
    for (unsigned round = 0; analyzer != NULL && !atomic_load(&ingest->stopping); round++) {
        const uint64_t seen = tome_event_count(&ingest->purge_wanted);
        const int64_t other = tome_instance_other(&ingest->instance);
        keep_house_once(ingest, analyzer, round % PRUNE_ROUNDS == 0);
        merge_index(ingest, seen);
        await_round(ingest, seen, other);
    }
    tome_analyzer_destroy(analyzer);
    end_fiber(ingest);
}

/* Housekeeping would find its jobs too, but not at once. On any thread. */
static void on_heard(void *const argument, const struct bh_str message)
{
    struct tome_ingest *const ingest = argument;
    if (message.data != NULL)
        bh_log_debug("ingest", HAS_LEFT, BH_STR_ARGS(message));
    tome_event_raise(&ingest->purge_wanted);
}

void tome_ingest_purge_soon(struct tome_ingest *const ingest)
{
    tome_event_raise(&ingest->purge_wanted);
}

/* ---- Start and end ---- */

static int spawn(struct tome_ingest *const ingest, bh_fiber_function *const function,
                 void *const argument, struct bh_error *const reterr)
{
    ingest->fibers++;
    const int result = bh_fiber_spawn(bh_loop_current(), function, argument);
    if (result == 0)
        return 0;
    ingest->fibers--;
    return bh_error_set(reterr, result, "cannot start the ingest: %s", bh_error_text(result));
}

int tome_ingest_start(struct tome_ingest *const ingest, struct bh_error *const reterr)
{
    int64_t taken = 0;
    int result = tome_recover_jobs(ingest, &taken, reterr);
    if (result == 0)
        result = tome_recover_files(ingest, reterr);
    for (unsigned i = 0; result == 0 && i < worker_count(ingest); i++)
        result = spawn(ingest, work, &ingest->workers[i], reterr);
    if (result == 0)
        result = spawn(ingest, keep_house, ingest, reterr);
    if (result == 0 && taken > 0)
        add_queued(ingest, taken);
    if (result == 0)
        result = bh_db_listen(ingest->options.db, CHANNEL, on_heard, ingest, &ingest->listener,
                              reterr);
    return result;
}

void tome_ingest_drain(struct tome_ingest *const ingest)
{
    atomic_store(&ingest->draining, true);
    tome_event_raise(&ingest->queue_changed);
}

void tome_ingest_hold(struct tome_ingest *const ingest, const bool held)
{
    atomic_store(&ingest->held, held);
    tome_event_raise(&ingest->queue_changed);
}

/* When the fibers have ended, their jobs go back to the queue. Should that fail, the lock's end
 * tells the next process the same. */
static void release_jobs(void *const argument)
{
    struct tome_ingest *const ingest = argument;
    struct bh_error error;
    for (;;) {
        const uint64_t seen = tome_event_count(&ingest->fiber_ended);
        if (ingest->fibers == 0 || tome_event_wait(&ingest->fiber_ended, seen, BH_NEVER_US) != 0)
            break;
    }
    if (tome_jobs_release(ingest->options.db, ingest->instance.number, &error) != 0)
        bh_log_warning("ingest", "jobs not given back (%s); the next start takes them over",
                       error.message);
}

void tome_ingest_stop(struct tome_ingest *const ingest)
{
    atomic_store(&ingest->stopping, true);
    pthread_mutex_lock(&ingest->mutex);
    for (unsigned i = 0; i < worker_count(ingest); i++)
        if (ingest->workers[i].input != NULL)
            tome_input_cancel(ingest->workers[i].input);
    pthread_mutex_unlock(&ingest->mutex);
    tome_event_raise(&ingest->queue_changed);
    tome_event_raise(&ingest->purge_wanted);
    tome_event_raise(&ingest->stop_wanted);
    if (bh_fiber_spawn(bh_loop_current(), release_jobs, ingest) != 0)
        bh_log_warning("ingest", "jobs not given back; the next start takes them over");
}

int tome_ingest_pause(struct tome_ingest *const ingest, const uint64_t duration_us)
{
    const uint64_t until_us = bh_time_now_us() + duration_us;
    const uint64_t seen = tome_event_count(&ingest->stop_wanted);
    const int result = atomic_load(&ingest->stopping)
                           ? 0
                           : tome_event_wait(&ingest->stop_wanted, seen, until_us);
    return result == BH_ETIMEDOUT ? 0 : BH_ECANCELED;
}

/* ---- For others ---- */

int tome_ingest_spool(struct tome_ingest *const ingest, struct tome_spool *const ret_spool,
                      struct bh_error *const reterr)
{
    return tome_spool_init(ret_spool, ingest->pool, ingest->options.data_dir,
                           ingest->instance.number, reterr);
}

uint64_t tome_ingest_upload_maximum(const struct tome_ingest *const ingest)
{
    return ingest->options.upload_maximum;
}

unsigned tome_ingest_jobs_maximum(const struct tome_ingest *const ingest)
{
    return worker_count(ingest);
}

struct bh_worker_pool *tome_ingest_workers(struct tome_ingest *const ingest)
{
    return ingest->pool;
}

void tome_ingest_figures(struct tome_ingest *const ingest,
                         struct tome_ingest_figures *const ret_figures)
{
    pthread_mutex_lock(&ingest->mutex);
    *ret_figures = ingest->figures;
    for (unsigned i = 0; i < worker_count(ingest); i++)
        ret_figures->percent += ingest->workers[i].live.percent;
    pthread_mutex_unlock(&ingest->mutex);
}
