/* Statements of the jobs table. */
#include "library/jobs.h"

#include "bulkhead/base/json.h"
#include "bulkhead/base/time.h"
#include "tomehub_sql.h"

#define SUBMIT_TRIES_MAX 3
#define JOBS_LEFT_MAX 10000

/* ---- Acceptance ---- */

/* Looks for the content: true with *ret_submitted when nothing is to be done. */
static int find_content(struct bh_db_transaction *const transaction,
                        const struct tome_submission *const submission,
                        struct bh_arena *const arena, bool *const ret_found,
                        struct tome_submitted *const ret_submitted, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(submission->owner_id),
                                              bh_db_blob(submission->content_hash) };
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_CONTENT_FIND, parameters,
                                               BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    *ret_found = rows.row_count > 0;
    if (rows.row_count == 0)
        return 0;
    const int64_t book_id = bh_db_int_at(&rows, 0, 0), job_id = bh_db_int_at(&rows, 0, 1);
    if (submission->replaces != 0 && submission->replaces != book_id)
        return bh_error_set(reterr, BH_ECONFLICT, "this content is already book %lld",
                            (long long)book_id);
    *ret_submitted = (struct tome_submitted){ .job_id = job_id, .book_id = book_id };
    return 0;
}

static int check_replaced(struct bh_db_transaction *const transaction,
                          const struct tome_submission *const submission,
                          struct bh_arena *const arena, struct bh_error *const reterr)
{
    if (submission->replaces == 0)
        return 0;
    const struct bh_db_value parameters[] = { bh_db_int(submission->owner_id),
                                              bh_db_int(submission->replaces) };
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_EXISTS, parameters,
                                               BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result == 0 && rows.row_count == 0)
        return bh_error_set(reterr, BH_ENOTFOUND, "there is no book %lld to replace",
                            (long long)submission->replaces);
    return result;
}

static int insert(struct bh_db_transaction *const transaction,
                  const struct tome_submission *const submission, struct bh_arena *const arena,
                  struct tome_submitted *const ret_submitted, struct bh_error *const reterr)
{
    const int64_t now = bh_time_wall_us();
    const struct bh_db_value book[] = {
        bh_db_int(submission->owner_id),
        bh_db_text(submission->title),
        bh_db_text(submission->author),
        bh_db_text(submission->source_type),
        bh_db_text(submission->language),
        bh_db_text(submission->tags),
        bh_db_text(submission->metadata),
        bh_db_blob(submission->content_hash),
        bh_db_text(submission->file_name),
        bh_db_int(submission->byte_size),
        bh_db_int(now),
    };
    struct bh_db_rows rows;
    int result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_RESERVE, book,
                                         BH_COUNT_OF(book), arena, &rows, reterr);
    if (result != 0)
        return result;
    const int64_t book_id = bh_db_int_at(&rows, 0, 0);
    if (book_id > TOME_BOOK_ID_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "the library is full");
    const struct bh_db_value job[] = {
        bh_db_int(submission->owner_id),
        bh_db_int(submission->instance),
        bh_db_int(book_id),
        submission->replaces != 0 ? bh_db_int(submission->replaces) : bh_db_null(),
        bh_db_text(submission->input),
        bh_db_text(submission->input_kind),
        bh_db_blob(submission->content_hash),
        bh_db_text(submission->file_name),
        bh_db_text(submission->title),
        bh_db_int(now),
    };
    result = bh_db_transaction_query(transaction, &TOME_SQL_JOB_INSERT, job, BH_COUNT_OF(job),
                                     arena, &rows, reterr);
    if (result == 0)
        *ret_submitted = (struct tome_submitted){ .job_id = bh_db_int_at(&rows, 0, 0),
                                                  .book_id = book_id,
                                                  .is_new = true };
    return result;
}

static int submit(struct bh_db *const db, const struct tome_submission *const submission,
                  struct bh_arena *const arena, struct tome_submitted *const ret_submitted,
                  struct bh_error *const reterr)
{
    struct bh_db_transaction *transaction = NULL;
    struct tome_submitted submitted = { 0 };
    bool found = false;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = find_content(transaction, submission, arena, &found, &submitted, reterr);
    if (result == 0 && !found)
        result = check_replaced(transaction, submission, arena, reterr);
    if (result == 0 && !found)
        result = insert(transaction, submission, arena, &submitted, reterr);
    result = tome_transaction_end(transaction, result, reterr);
    if (result == 0)
        *ret_submitted = submitted;
    return result;
}

int tome_jobs_submit(struct bh_db *const db, const struct tome_submission *const submission,
                     struct bh_arena *const arena, struct tome_submitted *const ret_submitted,
                     struct bh_error *const reterr)
{
    int result = BH_EEXISTS;
    /* With several writers another may submit the same content between the look and the insert:
     * then the next look finds its job. */
    for (unsigned try = 0; try < SUBMIT_TRIES_MAX && result == BH_EEXISTS; try++)
        result = submit(db, submission, arena, ret_submitted, reterr);
    return result;
}

/* ---- Work ---- */

int tome_jobs_claim(struct bh_db *const db, const int64_t instance, struct bh_arena *const arena,
                    struct tome_claim *const ret_claim, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(instance), bh_db_int(bh_time_wall_us()) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_WRITE, &TOME_SQL_JOB_CLAIM, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    if (rows.row_count == 0)
        return BH_ENOTFOUND;
    *ret_claim = (struct tome_claim){
        .job_id = bh_db_int_at(&rows, 0, 0),
        .owner_id = bh_db_int_at(&rows, 0, 1),
        .book_id = bh_db_int_at(&rows, 0, 2),
        .replaces = bh_db_int_at(&rows, 0, 3),
        .input = bh_db_text_at(&rows, 0, 4),
        .input_kind = bh_db_text_at(&rows, 0, 5),
        .content_hash = bh_db_text_at(&rows, 0, 6),
        .file_name = bh_db_text_at(&rows, 0, 7),
        .title = bh_db_text_at(&rows, 0, 8),
        .attempt = bh_db_int_at(&rows, 0, 9),
        .language = bh_db_text_at(&rows, 0, 10),
        .byte_size = bh_db_int_at(&rows, 0, 11),
    };
    return 0;
}

int tome_jobs_fail(struct bh_db *const db, const struct tome_claim *const claim,
                   const struct bh_str message, struct bh_error *const reterr)
{
    const struct bh_db_value job[] = { bh_db_int(claim->job_id), bh_db_text(message),
                                       bh_db_int(bh_time_wall_us()), bh_db_int(claim->attempt) };
    const struct bh_db_value book[] = { bh_db_int(claim->owner_id), bh_db_int(claim->book_id) };
    struct bh_db_transaction *transaction = NULL;
    int64_t changes = 0;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = bh_db_transaction_many(transaction, &TOME_SQL_JOB_FAILED, job, BH_COUNT_OF(job), 1,
                                        &changes, reterr);
    if (result == 0 && changes == 0)
        result = bh_error_set(reterr, BH_ECONFLICT, "another process has taken over job %lld",
                              (long long)claim->job_id);
    if (result == 0)
        result = bh_db_transaction_query(transaction, &TOME_SQL_BOOK_ABANDON, book,
                                         BH_COUNT_OF(book), NULL, NULL, reterr);
    return tome_transaction_end(transaction, result, reterr);
}

/* ---- Other processes ---- */

int tome_jobs_instances(struct bh_db *const db, struct bh_arena *const arena,
                        const int64_t **const ret_instances, size_t *const ret_count,
                        struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_JOBS_INSTANCES, NULL, 0, arena, &rows,
                                   reterr);
    if (result != 0)
        return result;
    int64_t *const instances = bh_arena_calloc(arena, rows.row_count + 1, sizeof(*instances));
    if (instances == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        instances[row] = bh_db_int_at(&rows, row, 0);
    *ret_instances = instances;
    *ret_count = rows.row_count;
    return 0;
}

int tome_jobs_left(struct bh_db *const db, const int64_t dead, struct bh_arena *const arena,
                   const struct tome_job_left **const ret_jobs, size_t *const ret_count,
                   struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(dead), bh_db_int(JOBS_LEFT_MAX) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_JOBS_LEFT, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    struct tome_job_left *const jobs = bh_arena_calloc(arena, rows.row_count + 1, sizeof(*jobs));
    if (jobs == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        jobs[row] = (struct tome_job_left){ .id = bh_db_int_at(&rows, row, 0),
                                            .input = bh_db_text_at(&rows, row, 1),
                                            .created_at = bh_db_int_at(&rows, row, 2) };
    *ret_jobs = jobs;
    *ret_count = rows.row_count;
    return 0;
}

int tome_jobs_take_over(struct bh_db *const db, const int64_t instance, const int64_t dead,
                        const int64_t *const jobs, const size_t count, int64_t *const ret_count,
                        struct bh_error *const reterr)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct bh_json json;
    bh_buf_init(&text, 1 << 20);
    bh_json_init(&json, &text);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        bh_json_int(&json, jobs[i]);
    bh_json_array_end(&json);
    if (bh_buf_error(&text) != 0)
        return tome_error_memory(reterr);
    const struct bh_db_value parameters[] = { bh_db_int(instance), bh_db_int(dead),
                                              bh_db_text(bh_buf_peek(&text)) };
    struct bh_db_transaction *transaction = NULL;
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = bh_db_transaction_many(transaction, &TOME_SQL_JOBS_TAKE_OVER, parameters,
                                        BH_COUNT_OF(parameters), 1, ret_count, reterr);
    return tome_transaction_end(transaction, result, reterr);
}

int tome_jobs_release(struct bh_db *const db, const int64_t instance, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(instance) };
    return bh_db_query(db, BH_DB_WRITE, &TOME_SQL_JOBS_RELEASE, parameters, 1, NULL, NULL, reterr);
}

int tome_jobs_inputs_needed(struct bh_db *const db, const struct bh_str *const paths,
                            const size_t count, struct bh_arena *const arena,
                            bool *const ret_needed, struct bh_error *const reterr)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct bh_json json;
    bh_buf_init(&text, 1 << 20);
    bh_json_init(&json, &text);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        bh_json_string(&json, paths[i]);
    bh_json_array_end(&json);
    if (bh_buf_error(&text) != 0)
        return tome_error_memory(reterr);
    const struct bh_db_value parameters[] = { bh_db_text(bh_buf_peek(&text)) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_JOBS_INPUTS, parameters, 1, arena,
                                   &rows, reterr);
    if (result != 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        ret_needed[i] = false;
        for (size_t row = 0; row < rows.row_count; row++)
            ret_needed[i] |= bh_str_equal(bh_db_text_at(&rows, row, 0), paths[i]);
    }
    return 0;
}

int tome_jobs_prune(struct bh_db *const db, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(TOME_JOBS_REMEMBERED) };
    return bh_db_query(db, BH_DB_WRITE, &TOME_SQL_JOBS_PRUNE, parameters, 1, NULL, NULL, reterr);
}

/* ---- For readers ---- */

static struct tome_job job_at(const struct bh_db_rows *const rows, const size_t row)
{
    return (struct tome_job){
        .id = bh_db_int_at(rows, row, 0),
        .book_id = bh_db_int_at(rows, row, 1),
        .status = bh_db_text_at(rows, row, 2),
        .stage = bh_db_text_at(rows, row, 3),
        .file_name = bh_db_text_at(rows, row, 4),
        .title = bh_db_text_at(rows, row, 5),
        .percent = bh_db_int_at(rows, row, 6),
        .pages = bh_db_int_at(rows, row, 7),
        .chunks = bh_db_int_at(rows, row, 8),
        .error = bh_db_text_at(rows, row, 9),
        .created_at = bh_db_int_at(rows, row, 10),
        .finished_at = bh_db_int_at(rows, row, 11),
    };
}

int tome_jobs_get(struct bh_db *const db, const int64_t owner_id, const int64_t job_id,
                  struct bh_arena *const arena, struct tome_job *const ret_job,
                  struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id), bh_db_int(job_id) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_JOB_BY_ID, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    if (rows.row_count == 0)
        return bh_error_set(reterr, BH_ENOTFOUND, "there is no job %lld", (long long)job_id);
    *ret_job = job_at(&rows, 0);
    return 0;
}

int tome_jobs_list(struct bh_db *const db, const int64_t owner_id, const struct bh_str statuses,
                   const int64_t limit, struct bh_arena *const arena,
                   const struct tome_job **const ret_jobs, size_t *const ret_count,
                   struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner_id),
                                              statuses.data != NULL ? bh_db_text(statuses)
                                                                    : bh_db_null(),
                                              bh_db_int(limit) };
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_JOBS_NEWEST, parameters,
                                   BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result != 0)
        return result;
    struct tome_job *const jobs = bh_arena_calloc(arena, rows.row_count + 1, sizeof(*jobs));
    if (jobs == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        jobs[row] = job_at(&rows, row);
    *ret_jobs = jobs;
    *ret_count = rows.row_count;
    return 0;
}

int tome_jobs_count(struct bh_db *const db, struct bh_arena *const arena,
                    struct tome_job_counts *const ret_counts, struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_JOBS_COUNTS, NULL, 0, arena, &rows,
                                   reterr);
    if (result == 0)
        *ret_counts = (struct tome_job_counts){ .queued = bh_db_int_at(&rows, 0, 0),
                                                .running = bh_db_int_at(&rows, 0, 1),
                                                .oldest_at = bh_db_int_at(&rows, 0, 2) };
    return result;
}
