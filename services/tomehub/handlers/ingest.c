/* POST /api/ingest: reads what was sent into a spool, submits it, and waits if asked to. */
#include "handlers/handlers.h"
#include "handlers/ingest.h"
#include "views.h"

static int respond_known(struct bh_request *const request, const int64_t book_id)
{
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_null(&answer.json, "job_id");
    bh_json_kv_int(&answer.json, "book_id", book_id);
    bh_json_kv_string(&answer.json, "status", BH_STR("exists"));
    return tome_answer_send(request, 200, &answer);
}

static int respond_queued(struct bh_request *const request,
                          const struct tome_submitted *const submitted)
{
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_int(&answer.json, "job_id", submitted->job_id);
    bh_json_kv_int(&answer.json, "book_id", submitted->book_id);
    bh_json_kv_string(&answer.json, "status", BH_STR("queued"));
    return tome_answer_send(request, 202, &answer);
}

/* 422: it was understood, but what is in the file cannot be taken in. */
static int respond_failed(struct bh_request *const request, const struct tome_job *const job)
{
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_string(&answer.json, "error", BH_STR("Unprocessable Content"));
    bh_json_kv_string(&answer.json, "detail", job->error);
    bh_json_kv_int(&answer.json, "job_id", job->id);
    bh_json_kv_string(&answer.json, "status", BH_STR("failed"));
    bh_json_kv_string(&answer.json, "request_id", bh_request_id(request));
    return tome_answer_send(request, 422, &answer);
}

static int wait_and_respond(struct bh_request *const request,
                            const struct tome_submitted *const submitted)
{
    struct tome_job job;
    struct bh_error error;
    const int result = tome_ingest_wait(tome_service_of(request)->ingest, tome_owner_of(request),
                                        submitted->job_id, bh_request_arena(request), &job, &error);
    if (result != 0)
        return result == BH_ECANCELED ? result : bh_respond_failure(request, &error);
    if (bh_str_equal(job.status, BH_STR("failed")))
        return respond_failed(request, &job);
    tome_cache_note_change(tome_service_of(request)->cache, tome_owner_of(request));
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_int(&answer.json, "job_id", job.id);
    bh_json_kv_int(&answer.json, "book_id", job.book_id);
    bh_json_kv_string(&answer.json, "status", BH_STR("done"));
    bh_json_kv_int(&answer.json, "pages", job.pages);
    bh_json_kv_int(&answer.json, "chunks", job.chunks);
    return tome_answer_send(request, 200, &answer);
}

/* From here on the job answers for the file, unless it is not needed. */
static int submit(struct bh_request *const request, struct tome_spool *const spool,
                  struct tome_submission *const submission, const bool wait)
{
    struct tome_submitted submitted;
    struct bh_error error;
    submission->owner_id = tome_owner_of(request);
    submission->input = bh_str_from(spool->path);
    const int result = tome_ingest_submit(tome_service_of(request)->ingest, submission,
                                          bh_request_arena(request), &submitted, &error);
    if (result != 0)
        return result == BH_ECANCELED ? result : bh_respond_failure(request, &error);
    if (submitted.is_new)
        tome_spool_keep(spool);
    tome_spool_fini(spool);
    if (submitted.job_id == 0)
        return respond_known(request, submitted.book_id);
    return wait ? wait_and_respond(request, &submitted) : respond_queued(request, &submitted);
}

static bool is_type(struct bh_request *const request, const char *const type)
{
    struct bh_str value = bh_request_header(request, "content-type");
    return bh_str_equal_nocase(bh_str_trim(bh_str_split(&value, ';')), bh_str_from(type));
}

int tome_handle_ingest(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    struct tome_submission submission = { .source_type = BH_STR("BOOK"),
                                          .tags = BH_STR("[]"),
                                          .metadata = BH_STR("{}") };
    struct tome_spool spool;
    struct bh_error error;
    bool wait = false;
    const bool is_form = is_type(request, "multipart/form-data");
    if (!tome_query_bool(request, "wait", &wait, &problem))
        return tome_problem_send(request, &problem);
    if (!is_form && !is_type(request, "application/json"))
        return bh_respond_error(request, 415,
                                "send multipart/form-data with a file, or application/json");
    int result = tome_ingest_spool(tome_service_of(request)->ingest, &spool, &error);
    if (result != 0) {
        result = bh_respond_failure(request, &error);
    } else if (is_form ? tome_ingest_read_form(request, &spool, &submission, &result)
                       : tome_ingest_read_json(request, &spool, &submission, &result)) {
        result = submit(request, &spool, &submission, wait);
    }
    tome_spool_fini(&spool);
    return result;
}
