/* JSON answers and refusals. */
#include "handlers/answer.h"

#include <stdarg.h>
#include <stdio.h>

#define ANSWER_BYTES_MAX ((size_t)128 * 1024 * 1024)

void tome_answer_begin(struct tome_answer *const answer)
{
    bh_buf_init(&answer->text, ANSWER_BYTES_MAX);
    bh_json_init(&answer->json, &answer->text);
    bh_json_object_begin(&answer->json);
}

void tome_answer_fini(struct tome_answer *const answer)
{
    bh_buf_fini(&answer->text);
}

int tome_answer_send(struct bh_request *const request, const int status,
                     struct tome_answer *const answer)
{
    bh_json_object_end(&answer->json);
    const int result = bh_buf_error(&answer->text) != 0
                           ? bh_respond_error(request, 500, "the answer is too large")
                           : bh_respond_json_take(request, status, &answer->text);
    tome_answer_fini(answer);
    return result;
}

bool tome_invalid(struct tome_problem *const problem, const char *const field,
                  const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    problem->status = 422;
    problem->field = field;
    vsnprintf(problem->detail, sizeof(problem->detail), format, arguments);
    va_end(arguments);
    return false;
}

static struct bh_str reason_of(const int status)
{
    switch (status) {
    case 400:
        return BH_STR("Bad Request");
    case 404:
        return BH_STR("Not Found");
    case 409:
        return BH_STR("Conflict");
    case 413:
        return BH_STR("Content Too Large");
    case 415:
        return BH_STR("Unsupported Media Type");
    default:
        return BH_STR("Unprocessable Content");
    }
}

int tome_problem_send(struct bh_request *const request, const struct tome_problem *const problem)
{
    if (problem->field == NULL)
        return bh_respond_error(request, problem->status, "%s", problem->detail);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_string(&answer.json, "error", reason_of(problem->status));
    bh_json_kv_string(&answer.json, "detail", bh_str_from(problem->detail));
    bh_json_kv_string(&answer.json, "field", bh_str_from(problem->field));
    bh_json_kv_string(&answer.json, "request_id", bh_request_id(request));
    return tome_answer_send(request, problem->status, &answer);
}
