/*
 * One job, as a straight line: open the input, fill a batch while the one before is written, and
 * publish with the last; while that one is written, the reader serves another job. Whatever goes
 * wrong leaves a 'loading' book that nobody sees.
 */
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/thread.h"
#include "ingest/input.h"
#include "ingest/internal.h"

/* A file that stops the whole process each time must not do so for ever. */
#define ATTEMPTS_MAX 20
/* Within one attempt: the extractor killed by somebody, the database held by another process. */
#define TRIES_MAX 5
#define TRY_AGAIN_US (200 * BH_MS_US)

/* ---- The file's facts ---- */

/* The file's name without its ending. */
static struct bh_str stem_of(const struct bh_str name)
{
    struct bh_str stem = name;
    for (size_t at = name.size; at > 1 && stem.size == name.size; at--)
        if (name.data[at - 1] == '.')
            stem.size = at - 1;
    stem = bh_str_trim(stem);
    return stem.size > 0 ? stem : BH_STR("Untitled");
}

static struct tome_intake_finish finish_of(const struct tome_claim *const claim,
                                           const struct tome_assembly_facts *const facts)
{
    return (struct tome_intake_finish){ .title = facts->title,
                                        .author = facts->author.data ? facts->author : BH_STR(""),
                                        .tags = facts->tags,
                                        .title_default = stem_of(claim->file_name),
                                        .page_kind = facts->page_kind,
                                        .page_count = facts->page_count,
                                        .chunk_count = facts->chunk_count,
                                        .word_count = facts->word_count,
                                        .concepts = facts->concepts };
}

static void show_progress(struct tome_ingest_worker *const worker,
                          const struct tome_assembly_facts *const facts, const char *const stage)
{
    pthread_mutex_lock(&worker->ingest->mutex);
    worker->live.stage = stage;
    worker->live.percent = facts->percent < 99 ? facts->percent : 99;
    worker->live.pages = facts->page_count;
    worker->live.chunks = facts->chunk_count;
    pthread_mutex_unlock(&worker->ingest->mutex);
}

/* ---- The line ---- */

/* What happens on the worker's thread. */
struct reading {
    struct tome_ingest_worker *worker;
    const struct tome_claim *claim;
    struct tome_assembly *assembly;
    struct tome_batch *batch;
    bool ended;
    struct bh_error error;
};

static void set_input(struct tome_ingest_worker *const worker, struct tome_input *const input)
{
    pthread_mutex_lock(&worker->ingest->mutex);
    worker->input = input;
    pthread_mutex_unlock(&worker->ingest->mutex);
}

/* Opens the input with the first batch. Reading and analysing a book, and the process that reads
 * it, leave the processor to those who wait for an answer: the thread does nothing else. */
static int fill_batch(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct reading *const reading = argument;
    struct tome_ingest_worker *const worker = reading->worker;
    const struct tome_ingest_options *const options = &worker->ingest->options;
    if (worker->input == NULL) {
        bh_thread_stand_back();
        const struct tome_input_limits limits = { .extract_timeout_us = options->extract_timeout_us,
                                                  .extract_memory = options->extract_memory };
        struct tome_input *input = NULL;
        const int result = tome_input_open(reading->claim, &limits, &input, &reading->error);
        if (result != 0)
            return result;
        set_input(worker, input);
    }
    if (atomic_load(&worker->ingest->stopping))
        return BH_ECANCELED;
    tome_batch_clear(reading->batch);
    return tome_assembly_fill(reading->assembly, reading->batch, tome_input_next, worker->input,
                              &reading->ended, &reading->error);
}

static int close_input(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct tome_ingest_worker *const worker = argument;
    struct tome_input *const input = worker->input;
    set_input(worker, NULL);
    tome_input_close(input);
    return 0;
}

static void end_reading(struct tome_ingest_worker *const worker)
{
    if (worker->input != NULL)
        (void)!bh_worker_run(worker->reader->thread, close_input, worker, NULL);
    tome_reader_give(worker);
}

static int read_batch(struct reading *const reading, struct bh_error *const reterr)
{
    reading->error.code = 0;
    const int result = bh_worker_run(reading->worker->reader->thread, fill_batch, reading, NULL);
    if (result == 0)
        return 0;
    if (reading->error.code == 0)
        return bh_error_set(reterr, result, "%s", bh_error_text(result));
    *reterr = reading->error;
    return result;
}

/* Batches until the input ends, each written while the next is read; the last one publishes the
 * book. */
static int transfer(struct reading *const reading, struct tome_write *const write,
                    struct bh_error *const reterr)
{
    struct tome_ingest_worker *const worker = reading->worker;
    struct tome_intake *const intake = &write->intake;
    const struct tome_assembly_facts *const facts = tome_assembly_facts(reading->assembly);
    for (unsigned turn = 0; !reading->ended; turn++) {
        reading->batch = worker->batches[turn % 2];
        int result = read_batch(reading, reterr);
        if (reading->ended)
            end_reading(worker);
        if (result == 0)
            result = tome_write_await(write, reterr);
        if (result != 0)
            return result;
        tome_batch_rows(reading->batch, &intake->rows);
        intake->language = turn == 0 ? facts->language : BH_STR_NONE;
        intake->progress = (struct tome_intake_progress){ .percent = facts->percent,
                                                          .pages = facts->page_count,
                                                          .chunks = facts->chunk_count };
        show_progress(worker, facts, reading->ended ? "finish" : "index");
        if (!reading->ended)
            result = tome_write_start(&worker->ingest->writer, write, reterr);
        if (result != 0)
            return result;
    }
    if (facts->chunk_count == 0)
        return bh_error_set(reterr, BH_EUNSUPPORTED, "The file holds no text.");
    const struct tome_intake_finish finish = finish_of(reading->claim, facts);
    intake->finish = &finish;
    const int result = tome_write_start(&worker->ingest->writer, write, reterr);
    return result != 0 ? result : tome_write_await(write, reterr);
}

static int attempt(struct tome_ingest_worker *const worker, const struct tome_claim *const claim,
                   struct bh_error *const reterr)
{
    struct tome_write write = { .intake = { .claim = claim } };
    struct reading reading = { .worker = worker, .claim = claim };
    int result = tome_assembly_create(tome_index_form(worker->ingest->options.db),
                                      worker->reader->analyzer, claim->owner_id, claim->book_id,
                                      claim->language, &reading.assembly);
    if (result != 0)
        return bh_error_set(reterr, result, "no memory to take in a file");
    result = transfer(&reading, &write, reterr);
    (void)!tome_write_await(&write, NULL);
    tome_assembly_destroy(reading.assembly);
    if (worker->reader != NULL)
        end_reading(worker);
    return result;
}

/* The file the client named may have changed since it was hashed. */
struct comparison {
    const char *path;
    uint8_t hash[TOME_HASH_BYTES];
    uint64_t size;
    struct bh_error error;
};

/* On a worker thread. */
static int hash_again(struct bh_worker_job *const job, void *const argument)
{
    struct comparison *const comparison = argument;
    return tome_spool_hash_file(job, comparison->path, comparison->hash, &comparison->size,
                                &comparison->error);
}

static int check_unchanged(struct tome_ingest_worker *const worker,
                           const struct tome_claim *const claim, struct bh_error *const reterr)
{
    struct comparison comparison = { .path = claim->input.data };
    if (!bh_str_equal(claim->input_kind, BH_STR("path")))
        return 0;
    const int result = bh_worker_run(worker->reader->thread, hash_again, &comparison, NULL);
    if (result != 0) {
        *reterr = comparison.error;
        return result;
    }
    const struct bh_str hash = { .data = (const char *)comparison.hash, .size = TOME_HASH_BYTES };
    return bh_str_equal(hash, claim->content_hash)
               ? 0
               : bh_error_set(reterr, BH_ECONFLICT, "the file has changed since; add it again");
}

static bool is_passing(const int result)
{
    return result == BH_EUNAVAILABLE || result == BH_EBUSY || result == BH_ETIMEDOUT;
}

int tome_job_run(struct tome_ingest_worker *const worker, const struct tome_claim *const claim,
                 struct bh_error *const reterr)
{
    struct tome_ingest *const ingest = worker->ingest;
    if (claim->attempt > ATTEMPTS_MAX)
        return bh_error_set(
            reterr, BH_ELIMIT,
            "given up after %d attempts: each time the server stopped in the middle", ATTEMPTS_MAX);
    bool leftovers = claim->attempt > 1;
    for (unsigned try = 1;; try++) {
        int result = tome_reader_take(worker);
        if (result == 0 && leftovers)
            result = tome_purge_leftovers(ingest, worker->reader->analyzer, claim, reterr);
        if (result == 0 && leftovers)
            result = check_unchanged(worker, claim, reterr);
        if (result == 0)
            result = attempt(worker, claim, reterr);
        if (result == 0 || !is_passing(result) || try == TRIES_MAX)
            return result;
        bh_log_warning("ingest", "job %lld was interrupted (%s), trying again",
                       (long long)claim->job_id, reterr->message);
        leftovers = true;
        result = tome_ingest_pause(ingest, TRY_AGAIN_US << try);
        if (result != 0)
            return result;
    }
}

void tome_job_remove_input(const struct tome_claim *const claim)
{
    if (!bh_str_equal(claim->input_kind, BH_STR("path")))
        unlink(claim->input.data);
}
