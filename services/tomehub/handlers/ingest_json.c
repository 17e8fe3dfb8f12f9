/*
 * A document in JSON: parsed, checked and written down as frames in one step on a worker thread,
 * for a large one takes its time.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "handlers/ingest.h"
#include "ingest/posted.h"

/* A document is held in memory whole, several times over. Larger texts come as files. */
#define BODY_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define LABEL_MAX 64    /* code points */
#define CHAPTER_MAX 500 /* code points */
#define PAGES_MAX 100000

struct task {
    struct bh_str body;
    struct bh_arena *arena;
    struct tome_spool *spool;
    struct tome_submission *submission;
    struct tome_posted posted;
    struct tome_problem problem; /* with a status: the document is refused */
    struct bh_error error;
};

/* ---- Checks ---- */

static bool read_page(struct task *const task, const json_t *const value, const int64_t least,
                      struct tome_posted_page *const page)
{
    static const char *const fields[] = { "number", "label", "chapter", "text" };
    page->number = least;
    if (json_is_string(value)) {
        page->text = (struct bh_str){ .data = json_string_value(value),
                                      .size = json_string_length(value) };
        return true;
    }
    if (!json_is_object(value))
        return tome_invalid(&task->problem, "pages", "pages takes texts or objects with a text");
    if (!tome_json_only(value, fields, BH_COUNT_OF(fields), &task->problem) ||
        !tome_json_int(value, "number", 1, TOME_PAGE_NUMBER_MAX, &page->number, &task->problem) ||
        !tome_json_text(value, "label", 0, LABEL_MAX, &page->label, &task->problem) ||
        !tome_json_text(value, "chapter", 0, CHAPTER_MAX, &page->chapter, &task->problem) ||
        !tome_json_text(value, "text", 0, SIZE_MAX, &page->text, &task->problem))
        return false;
    if (page->number < least)
        return tome_invalid(&task->problem, "pages", "the numbers of pages must rise");
    return true;
}

static bool read_pages(struct task *const task, const json_t *const pages)
{
    if (!json_is_array(pages))
        return tome_invalid(&task->problem, "pages", "pages takes an array");
    const size_t count = json_array_size(pages);
    if (count == 0 || count > PAGES_MAX)
        return tome_invalid(&task->problem, "pages", "pages takes 1 to %d pages", PAGES_MAX);
    struct tome_posted_page *const list = bh_arena_calloc(task->arena, count, sizeof(*list));
    if (list == NULL)
        return tome_invalid(&task->problem, "pages", "too many pages");
    int64_t least = 1;
    for (size_t i = 0; i < count; i++) {
        if (!read_page(task, json_array_get(pages, i), least, &list[i]))
            return false;
        least = list[i].number + 1;
    }
    task->posted.pages = list;
    task->posted.page_count = count;
    return true;
}

static bool read_text(struct task *const task, const json_t *const object)
{
    const json_t *const pages = json_object_get(object, "pages");
    const bool has_pages = pages != NULL && !json_is_null(pages);
    if (!tome_json_text(object, "text", 0, SIZE_MAX, &task->posted.text, &task->problem))
        return false;
    if (has_pages == (task->posted.text.data != NULL))
        return tome_invalid(&task->problem, "text", "give either text or pages");
    return !has_pages || read_pages(task, pages);
}

/* The texts of a submission outlive the JSON. */
static bool keep(struct task *const task, const char *const field, struct bh_str *const text)
{
    const char *const copy = bh_arena_strdup(task->arena, *text);
    if (copy == NULL)
        return tome_invalid(&task->problem, field, "%s is too long", field);
    *text = (struct bh_str){ .data = copy, .size = text->size };
    return true;
}

static bool read_document(struct task *const task, const json_t *const object)
{
    struct tome_submission *const submission = task->submission;
    struct tome_problem *const problem = &task->problem;
    submission->source_type = BH_STR("NOTE");
    if (!tome_json_text(object, "title", 1, TOME_TITLE_MAX, &submission->title, problem) ||
        !tome_json_text(object, "author", 0, TOME_AUTHOR_MAX, &submission->author, problem) ||
        !tome_json_text(object, "source_type", 0, 50, &submission->source_type, problem) ||
        !tome_check_source_type("source_type", submission->source_type, problem) ||
        !tome_json_text(object, "language", 0, TOME_LANGUAGE_MAX, &submission->language, problem) ||
        !tome_json_int(object, "book_id", 1, TOME_BOOK_ID_MAX, &submission->replaces, problem) ||
        !tome_json_tags(object, task->arena, &submission->tags, problem) ||
        !tome_json_metadata(object, task->arena, &submission->metadata, problem))
        return false;
    if (submission->title.size == 0)
        return tome_invalid(problem, "title", "title is missing");
    task->posted.title = submission->title;
    task->posted.author = submission->author;
    return read_text(task, object);
}

/* ---- Writing ---- */

static int write_down(struct task *const task)
{
    struct tome_spool *const spool = task->spool;
    const int fd = open(spool->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tome_spool_error(spool->path, errno, &task->error);
    spool->exists = true;
    int result = tome_posted_write(&task->posted, fd, &task->error);
    if (close(fd) != 0 && result == 0)
        result = tome_spool_error(spool->path, errno, &task->error);
    return result;
}

/* On a worker thread. */
static int run(struct bh_worker_job *const job, void *const argument)
{
    static const char *const fields[] = { "title", "text",     "pages",    "author", "source_type",
                                          "tags",  "metadata", "language", "book_id" };
    (void)job;
    struct task *const task = argument;
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    if (!tome_json_object(task->body, fields, BH_COUNT_OF(fields), &object, &task->problem) ||
        !read_document(task, object))
        return 0;
    int result = tome_posted_hash(&task->posted, task->spool->hash, &task->error);
    if (result == 0)
        result = write_down(task);
    if (result == BH_EUNSUPPORTED) {
        tome_invalid(&task->problem, task->posted.page_count > 0 ? "pages" : "text",
                     "there is no text in it");
        return 0;
    }
    struct tome_submission *const submission = task->submission;
    if (result == 0 &&
        !(keep(task, "title", &submission->title) && keep(task, "author", &submission->author) &&
          keep(task, "source_type", &submission->source_type) &&
          keep(task, "language", &submission->language)))
        return 0;
    return result;
}

/* ---- The body ---- */

/* The whole body into `body`. False: *ret_result. */
static bool read_body(struct bh_request *const request, struct bh_buf *const body,
                      int *const ret_result)
{
    for (;;) {
        struct bh_str piece;
        const int result = bh_request_body_read(request, &piece);
        if (result == 0 && piece.size == 0)
            return true;
        if (result == 0)
            bh_buf_append_str(body, piece);
        if (result == BH_ELIMIT || bh_buf_error(body) != 0) {
            *ret_result = bh_respond_error(request, 413,
                                           "a document in JSON takes at most %zu MB; send a "
                                           "longer one as a file",
                                           BODY_BYTES_MAX >> 20);
            return false;
        }
        if (result == BH_ECANCELED || result == BH_ECLOSED) {
            *ret_result = BH_ECANCELED;
            return false;
        }
        if (result != 0) {
            *ret_result = bh_respond_error(request, result == BH_ESYNTAX ? 400 : 408, "%s",
                                           bh_error_text(result));
            return false;
        }
    }
}

bool tome_ingest_read_json(struct bh_request *const request, struct tome_spool *const spool,
                           struct tome_submission *const submission, int *const ret_result)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) body;
    bh_buf_init(&body, BODY_BYTES_MAX);
    if (!read_body(request, &body, ret_result))
        return false;
    struct task task = { .body = bh_buf_peek(&body),
                         .arena = bh_request_arena(request),
                         .spool = spool,
                         .submission = submission };
    const int result = bh_worker_run(tome_ingest_workers(tome_service_of(request)->ingest), run,
                                     &task, NULL);
    if (result == 0 && task.problem.status == 0) {
        submission->input_kind = BH_STR("document");
        submission->byte_size = (int64_t)body.size;
        submission->content_hash = (struct bh_str){ .data = (const char *)spool->hash,
                                                    .size = TOME_HASH_BYTES };
        return true;
    }
    if (task.error.code != result)
        bh_error_set(&task.error, result, "%s", bh_error_text(result));
    *ret_result = result == BH_ECANCELED ? result
                  : result != 0          ? bh_respond_failure(request, &task.error)
                                         : tome_problem_send(request, &task.problem);
    return false;
}
