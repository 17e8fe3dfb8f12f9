/* Jobs: one, and the newest. */
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "service.h"
#include "views.h"

#define JOBS_MAX 1000

int tome_handle_job(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    struct tome_job job;
    struct bh_error error;
    int64_t job_id = 0;
    if (!tome_path_id(request, "job_id", TOME_JOB_ID_MAX, &job_id, &problem))
        return tome_problem_send(request, &problem);
    if (tome_ingest_job(tome_service_of(request)->ingest, tome_owner_of(request), job_id,
                        bh_request_arena(request), &job, &error) != 0)
        return bh_respond_failure(request, &error);
    if (bh_str_equal(job.status, BH_STR("done")))
        tome_cache_note_change(tome_service_of(request)->cache, tome_owner_of(request));
    struct tome_answer answer;
    tome_answer_begin(&answer);
    tome_view_job(&answer.json, &job);
    return tome_answer_send(request, 200, &answer);
}

static bool is_status(const struct bh_str text)
{
    static const char *const known[] = { "queued", "running", "done", "failed" };
    for (size_t i = 0; i < BH_COUNT_OF(known); i++)
        if (bh_str_equal(text, bh_str_from(known[i])))
            return true;
    return false;
}

/* "running,queued" as a JSON array in `list`; nothing where it is absent. */
static bool read_statuses(struct bh_request *const request, struct bh_buf *const list,
                          struct tome_problem *const problem)
{
    struct bh_str text;
    struct bh_json json;
    if (!bh_request_query(request, "status", &text) || text.size == 0)
        return true;
    bh_json_init(&json, list);
    bh_json_array_begin(&json);
    while (text.size > 0) {
        const struct bh_str status = bh_str_trim(bh_str_split(&text, ','));
        if (!is_status(status))
            return tome_invalid(
                problem, "status",
                "status takes queued, running, done or failed, with commas between");
        bh_json_string(&json, status);
    }
    bh_json_array_end(&json);
    return bh_buf_error(list) == 0 || tome_invalid(problem, "status", "too many values");
}

int tome_handle_jobs(struct bh_request *const request)
{
    const struct tome_service *const service = tome_service_of(request);
    struct bh_arena *const arena = bh_request_arena(request);
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) statuses;
    struct tome_problem problem = { 0 };
    int64_t limit = 50;
    bh_buf_init(&statuses, 1024);
    if (!tome_query_int(request, "limit", 1, JOBS_MAX, &limit, &problem) ||
        !read_statuses(request, &statuses, &problem))
        return tome_problem_send(request, &problem);
    const struct tome_job *jobs = NULL;
    struct bh_error error;
    size_t count = 0;
    if (tome_jobs_list(service->db, tome_owner_of(request), bh_buf_peek(&statuses), limit, arena,
                       &jobs, &count, &error) != 0)
        return bh_respond_failure(request, &error);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_array(&answer.json, "jobs");
    for (size_t i = 0; i < count; i++) {
        struct tome_job job = jobs[i];
        tome_ingest_refine(service->ingest, arena, &job);
        bh_json_object_begin(&answer.json);
        tome_view_job(&answer.json, &job);
        bh_json_object_end(&answer.json);
    }
    bh_json_array_end(&answer.json);
    return tome_answer_send(request, 200, &answer);
}
