/* What whoever runs the service asks it. */
#include "bulkhead/runtime/queries.h"
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "service.h"

#define TOP_DEFAULT 20

int tome_handle_queries(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    size_t sort = BH_QUERIES_BY_TOTAL;
    int64_t top = TOP_DEFAULT;
    bool with_durations = false;
    if (!tome_query_choice(request, "sort", bh_queries_sorts, BH_QUERIES_SORTS, &sort, &problem) ||
        !tome_query_int(request, "top", 1, BH_TRACE_ROWS_MAX, &top, &problem) ||
        !tome_query_bool(request, "durations", &with_durations, &problem))
        return tome_problem_send(request, &problem);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    const struct tome_settings *const settings = tome_service_of(request)->settings;
    bh_json_key(&answer.json, BH_STR("slow_query_seconds"));
    bh_json_fixed(&answer.json, (double)settings->slow_query_us / 1e6, 6);
    bh_json_kv_int(&answer.json, "query_repeat_limit", settings->query_repeat_limit);
    if (bh_queries_write(&answer.json, (enum bh_queries_sort)sort, (size_t)top, with_durations) ==
        0)
        return tome_answer_send(request, 200, &answer);
    tome_answer_fini(&answer);
    return bh_respond_error(request, 500, "no memory for the statements' figures");
}
