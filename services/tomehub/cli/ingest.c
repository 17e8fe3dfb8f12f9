/*
 * `tomehub ingest`: the server's pipeline in this process, on the same database. A few fibers take
 * one file after the other; another draws how far they are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "handlers/input.h"
#include "event.h"
#include "ingest/ingest.h"
#include "library/index_merge.h"
#include "serve.h"
#include "views.h"

#define ARENA_BYTES_MAX ((size_t)1024 * 1024)
#define DRAW_US (100 * BH_MS_US)

enum {
    OPTION_TITLE,
    OPTION_AUTHOR,
    OPTION_TYPE,
    OPTION_TAGS,
    OPTION_LANGUAGE,
    OPTION_USER,
    OPTION_JSON
};
static const struct tome_option options[] = {
    [OPTION_TITLE] = { .name = "title", .argument = "TEXT", .help = "title, for a single file" },
    [OPTION_AUTHOR] = { .name = "author", .argument = "TEXT", .help = "author of all the files" },
    [OPTION_TYPE] = { .name = "type",
                      .argument = "TYPE",
                      .help = "BOOK, ARTICLE, NOTE or HIGHLIGHT (BOOK)" },
    [OPTION_TAGS] = { .name = "tags", .argument = "LIST", .help = "tags, with commas between" },
    [OPTION_LANGUAGE] = { .name = "language",
                          .argument = "CODE",
                          .help = "such as en or tr, if the files do not say" },
    [OPTION_USER] = TOME_OPTION_USER,
    [OPTION_JSON] = { .name = "json", .help = "one JSON object a line" },
};

struct run {
    const struct tome_command *command;
    struct tome_session *session;
    struct tome_ingest *ingest;
    struct bh_loop *loop;
    struct bh_task start;
    struct tome_paths paths;
    struct tome_submission facts; /* what was said on the command line */
    struct bh_arena *arena;       /* of the facts */
    bool as_json;

    /* Of the loop's fibers. */
    size_t next, done, added, known, failed;
    unsigned fibers;            /* that still take files */
    struct tome_event finished; /* raised with each file and each fiber that ends */
    struct tome_progress progress;
    const char *name; /* of the file taken last */
    bool broken;      /* the ingest could not be started, or output fails */
};

static const char *name_of(const char *const path)
{
    const char *const slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* ---- Results ---- */

static void print_json(struct run *const run, const char *const path, const char *const status,
                       const int64_t book_id, const struct tome_job *const job,
                       const char *const error)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct bh_json json;
    bh_buf_init(&text, 65536);
    bh_json_init(&json, &text);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "path", bh_str_from(path));
    bh_json_kv_string(&json, "status", bh_str_from(status));
    if (book_id != 0)
        bh_json_kv_int(&json, "book_id", book_id);
    if (job != NULL) {
        bh_json_kv_int(&json, "pages", job->pages);
        bh_json_kv_int(&json, "chunks", job->chunks);
    }
    if (error != NULL)
        bh_json_kv_string(&json, "error", bh_str_from(error));
    bh_json_object_end(&json);
    run->broken |= tome_output_line(&text) != TOME_EXIT_OK;
}

static void report(struct run *const run, const char *const path, const char *const status,
                   const int64_t book_id, const struct tome_job *const job, const char *const error)
{
    tome_progress_clear(&run->progress);
    if (run->as_json)
        print_json(run, path, status, book_id, job, error);
    else if (error != NULL)
        printf("%-6s  %s: %s\n", status, path, error);
    else if (job != NULL)
        printf("%-6s  %s (book %lld, %lld pages, %lld chunks)\n", status, path, (long long)book_id,
               (long long)job->pages, (long long)job->chunks);
    else
        printf("%-6s  %s (book %lld)\n", status, path, (long long)book_id);
    fflush(stdout);
}

/* ---- One file ---- */

struct hashing {
    const char *path;
    uint8_t hash[TOME_HASH_BYTES];
    uint64_t size;
    struct bh_error error;
};

/* On a worker thread. */
static int hash_file(struct bh_worker_job *const job, void *const argument)
{
    struct hashing *const hashing = argument;
    return tome_spool_hash_file(job, hashing->path, hashing->hash, &hashing->size, &hashing->error);
}

static int check_file(const struct run *const run, const char *const path,
                      struct bh_error *const reterr)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return bh_error_errno(reterr, errno, "cannot be read");
    if (!S_ISREG(status.st_mode))
        return bh_error_set(reterr, BH_EUNSUPPORTED, "not a file");
    if ((uint64_t)status.st_size > tome_ingest_upload_maximum(run->ingest))
        return bh_error_set(reterr, BH_ELIMIT, "larger than MAX_UPLOAD_MB, %lld MB",
                            (long long)run->session->settings.max_upload_mb);
    return 0;
}

/* Hashes, submits, waits. *ret_job is filled where a job took the file in. */
static int take_file(struct run *const run, const char *const path, struct bh_arena *const arena,
                     struct tome_submitted *const ret_submitted, struct tome_job *const ret_job,
                     struct bh_error *const reterr)
{
    struct hashing hashing = { .path = path };
    struct tome_submission submission = run->facts;
    int result = check_file(run, path, reterr);
    if (result != 0)
        return result;
    result = bh_worker_run(tome_ingest_workers(run->ingest), hash_file, &hashing, NULL);
    if (result != 0) {
        *reterr = hashing.error;
        return result;
    }
    submission.input = bh_str_from(path);
    submission.input_kind = BH_STR("path");
    submission.file_name = bh_str_from(name_of(path));
    submission.byte_size = (int64_t)hashing.size;
    submission.content_hash = (struct bh_str){ .data = (const char *)hashing.hash,
                                               .size = TOME_HASH_BYTES };
    result = tome_ingest_submit(run->ingest, &submission, arena, ret_submitted, reterr);
    if (result != 0 || ret_submitted->job_id == 0)
        return result;
    result = tome_ingest_wait(run->ingest, run->facts.owner_id, ret_submitted->job_id, arena,
                              ret_job, reterr);
    if (result == 0 && bh_str_equal(ret_job->status, BH_STR("failed")))
        return bh_error_set(reterr, BH_EUNSUPPORTED, "%.*s", BH_STR_ARGS(ret_job->error));
    return result;
}

static void ingest_file(struct run *const run, const char *const path, struct bh_arena *const arena)
{
    struct tome_submitted submitted = { 0 };
    struct tome_job job = { 0 };
    struct bh_error error;
    run->name = name_of(path);
    if (take_file(run, path, arena, &submitted, &job, &error) != 0) {
        run->failed++;
        report(run, path, "failed", 0, NULL, error.message);
    } else if (submitted.is_new) {
        run->added++;
        report(run, path, "added", submitted.book_id, &job, NULL);
    } else {
        run->known++;
        report(run, path, "exists", submitted.book_id, NULL, NULL);
    }
    run->done++;
}

static void take_files(void *const argument)
{
    struct run *const run = argument;
    struct bh_arena *arena = NULL;
    run->broken |= bh_arena_create(ARENA_BYTES_MAX, &arena) != 0;
    while (!run->broken && run->next < run->paths.count) {
        ingest_file(run, run->paths.paths[run->next++], arena);
        bh_arena_reset(arena);
    }
    bh_arena_destroy(arena);
    run->fibers--;
    tome_event_raise(&run->finished);
}

/* ---- All of them ---- */

static void draw(struct run *const run)
{
    struct tome_ingest_figures figures;
    tome_ingest_figures(run->ingest, &figures);
    tome_progress_draw(&run->progress, run->done, run->paths.count, figures.percent,
                       run->name != NULL ? run->name : "");
}

static void ingest_all(void *const argument)
{
    struct run *const run = argument;
    struct bh_error error;
    int result = tome_ingest_start(run->ingest, &error);
    if (result != 0) {
        tome_cli_error(run->command, "%s", error.message);
        run->broken = true;
    }
    /* As many ahead, hashed and in the queue. */
    const unsigned wanted = 2 * tome_ingest_jobs_maximum(run->ingest);
    for (unsigned i = 0; result == 0 && i < wanted; i++) {
        run->fibers++;
        result = bh_fiber_spawn(run->loop, take_files, run);
        run->fibers -= result != 0;
    }
    while (run->fibers > 0) {
        const uint64_t seen = tome_event_count(&run->finished);
        draw(run);
        if (run->fibers > 0)
            (void)!tome_event_wait(&run->finished, seen, bh_time_now_us() + DRAW_US);
    }
    tome_progress_clear(&run->progress);
    tome_ingest_stop(run->ingest);
    bh_loop_stop(run->loop);
}

static void start(struct bh_task *const task)
{
    struct run *const run = BH_CONTAINER_OF(task, struct run, start);
    const int result = bh_fiber_spawn(run->loop, ingest_all, run);
    bh_assert(result == 0);
}

static enum tome_exit ingest(struct run *const run)
{
    const uint64_t begun_us = bh_time_now_us();
    struct bh_error error;
    if (tome_serve_create_ingest(&run->session->settings, run->session->db, &run->ingest, &error) !=
            0 ||
        bh_loop_create(NULL, &run->loop) != 0) {
        tome_cli_error(run->command, "%s", error.message);
        tome_ingest_destroy(run->ingest);
        return TOME_EXIT_FAILED;
    }
    tome_event_init(&run->finished);
    tome_progress_init(&run->progress);
    run->start.run = start;
    bh_loop_post(run->loop, &run->start);
    bh_loop_run(run->loop);
    bh_loop_destroy(run->loop);
    tome_event_fini(&run->finished);
    tome_ingest_destroy(run->ingest);
    if (run->added > 0 && tome_index_merge_all(run->session->db, &error) != 0)
        bh_log_debug("ingest", "rows of the index are merged later: %s", error.message);
    if (!run->as_json && !run->broken)
        printf("%zu added, %zu already there, %zu failed in %.1f s\n", run->added, run->known,
               run->failed, (double)(bh_time_now_us() - begun_us) / 1e6);
    return run->failed == 0 && !run->broken ? TOME_EXIT_OK : TOME_EXIT_FAILED;
}

/* ---- The command ---- */

static struct bh_str given_text(const struct tome_options *const given, const size_t option,
                                const char *const fallback)
{
    return bh_str_from(given->values[option] != NULL ? given->values[option] : fallback);
}

static bool read_facts(const struct tome_options *const given, struct run *const run)
{
    struct tome_problem problem = { 0 };
    struct bh_str tags = given_text(given, OPTION_TAGS, "");
    run->facts = (struct tome_submission){ .title = given_text(given, OPTION_TITLE, ""),
                                           .author = given_text(given, OPTION_AUTHOR, ""),
                                           .source_type = given_text(given, OPTION_TYPE, "BOOK"),
                                           .language = given_text(given, OPTION_LANGUAGE, ""),
                                           .metadata = BH_STR("{}") };
    const bool ok = tome_check_text("title", &run->facts.title, 0, TOME_TITLE_MAX, &problem) &&
                    tome_check_text("author", &run->facts.author, 0, TOME_AUTHOR_MAX, &problem) &&
                    tome_check_text("language", &run->facts.language, 0, TOME_LANGUAGE_MAX,
                                    &problem) &&
                    tome_check_source_type("type", run->facts.source_type, &problem) &&
                    tome_text_tags(&tags, 1, run->arena, &run->facts.tags, &problem);
    if (!ok)
        tome_cli_error(run->command, "%s", problem.detail);
    else if (run->facts.title.size > 0 && run->paths.count > 1)
        tome_cli_error(run->command, "--title is for a single file");
    return ok && (run->facts.title.size == 0 || run->paths.count == 1);
}

/* The files that are meant; what cannot be found is told, and the rest goes on. */
static enum tome_exit find_files(const struct tome_options *const given, struct run *const run)
{
    for (size_t i = 0; i < given->argument_count; i++) {
        struct bh_error error;
        if (tome_paths_add(&run->paths, given->arguments[i], &error) == 0)
            continue;
        run->failed++;
        report(run, given->arguments[i], "failed", 0, NULL, error.message);
    }
    if (run->paths.count > 0 || run->failed > 0)
        return TOME_EXIT_OK;
    tome_cli_error(run->command, "no EPUB, PDF, HTML, Markdown or text files there");
    return TOME_EXIT_FAILED;
}

static enum tome_exit run_command(const struct tome_command *const command, const int argc,
                                  char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    struct run run = { .command = command, .session = &session };
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    run.as_json = given.values[OPTION_JSON] != NULL;
    result = find_files(&given, &run);
    if (result == TOME_EXIT_OK && bh_arena_create(ARENA_BYTES_MAX, &run.arena) != 0)
        result = TOME_EXIT_FAILED;
    if (result == TOME_EXIT_OK && !read_facts(&given, &run))
        result = TOME_EXIT_USAGE;
    if (result == TOME_EXIT_OK) {
        if (tome_session_open_for(command, given.values[OPTION_USER], &session)) {
            run.facts.owner_id = session.owner_id;
            result = ingest(&run);
            tome_session_end(&session);
        } else {
            result = TOME_EXIT_FAILED;
        }
    }
    tome_paths_fini(&run.paths);
    bh_arena_destroy(run.arena);
    return result;
}

const struct tome_command tome_command_ingest = {
    .name = "ingest",
    .arguments = "PATH…",
    .summary = "take files into the library",
    .description = "EPUB, PDF, HTML, Markdown and plain text: files, folders with all below them, "
                   "or patterns.\n"
                   "All or nothing for each file; what is already there is recognised by its "
                   "content. A server "
                   "may\nrun on the same library meanwhile.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub ingest sherlock.epub\n"
                "  tomehub ingest --tags crime,classics ~/Books '*.pdf'\n"
                "  tomehub ingest --title 'My notes' --type NOTE notes.md\n"
                "  tomehub ingest --user ann ~/Books",
    .failures = "a file could not be taken in",
    .arguments_minimum = 1,
    .arguments_maximum = SIZE_MAX,
    .run = run_command,
};
