/* GET and POST /api/search and /api/search/books: both ways of asking become one search request. */
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "answers/extractive.h"
#include "handlers/handlers.h"
#include "handlers/search_cached.h"
#include "handlers/search_input.h"
#include "service.h"
#include "views.h"

#define PAGE_SIZE_MAX 1000
#define BOOKS_SIZE_MAX 100
#define WITH_DETAILS_MAX 50 /* hits worth their details to spare an answer's own search */

/* ---- Searching ---- */

struct asked {
    struct bh_request *request;
    const struct tome_search_request *search;
    bool with_answer;
};

/* A search may take less time than the request as a whole. */
static void limit_time(const struct tome_service *const service)
{
    const uint64_t limit_us = bh_time_now_us() + service->settings->db_statement_timeout_us;
    if (limit_us < bh_fiber_deadline())
        bh_fiber_set_deadline(limit_us);
}

/* A query of which nothing can be searched finds nothing; a cursor that is not ours is refused. */
static int refuse(struct bh_request *const request, const struct tome_search_request *const search,
                  const struct bh_error *const error)
{
    struct tome_problem problem = { 0 };
    if (error->code != BH_EINVAL || search->cursor.size == 0)
        return bh_respond_failure(request, error);
    tome_invalid(&problem, "cursor", "%s", error->message);
    return tome_problem_send(request, &problem);
}

/* Whether what is found for the results is what an answer is made of. */
static bool feeds_answer(const struct tome_search_request *const search)
{
    return search->sort == TOME_SORT_RELEVANCE && search->page == 1 && search->cursor.size == 0 &&
           !search->instant && search->page_size >= TOME_EXTRACTIVE_CHUNKS_MAX &&
           (search->include_details || search->page_size <= WITH_DETAILS_MAX);
}

/* "answer": {…}: the extractive one, for it takes no longer than the search. `found` NULL: what
 * was found is not what an answer needs. */
static int write_reply(struct bh_request *const request,
                       const struct tome_search_request *const search,
                       const struct tome_search_answer *const found, struct bh_json *const json,
                       struct bh_error *const reterr)
{
    const struct tome_replier replier = { .searcher = tome_service_of(request)->searcher,
                                          .found = found };
    struct tome_reply reply;
    const int result = tome_reply_make(&replier, search, &tome_reply_unheard,
                                       bh_request_arena(request), &reply, reterr);
    if (result != 0)
        return result;
    bh_json_kv_object(json, "answer");
    tome_view_reply(json, &reply);
    bh_json_object_end(json);
    return 0;
}

static int write_chunks(void *const argument, struct bh_json *const json,
                        struct bh_error *const reterr)
{
    const struct asked *const asked = argument;
    struct bh_request *const request = asked->request;
    struct tome_search_answer found = { .page = asked->search->page };
    struct tome_search_request search = *asked->search;
    const bool is_shared = asked->with_answer && feeds_answer(&search);
    search.for_answer = is_shared;
    search.include_details |= is_shared;
    const int result = tome_search(tome_service_of(request)->searcher, &search,
                                   bh_request_arena(request), &found, reterr);
    if (result != 0 && !(result == BH_EINVAL && asked->search->cursor.size == 0))
        return result;
    tome_view_search(json, asked->search, &found);
    return asked->with_answer
               ? write_reply(request, asked->search, is_shared ? &found : NULL, json, reterr)
               : 0;
}

static int write_books(void *const argument, struct bh_json *const json,
                       struct bh_error *const reterr)
{
    const struct asked *const asked = argument;
    struct tome_search_books_answer found = { 0 };
    const int result = tome_search_books(tome_service_of(asked->request)->searcher, asked->search,
                                         bh_request_arena(asked->request), &found, reterr);
    if (result != 0 && result != BH_EINVAL)
        return result;
    tome_view_search_books(json, asked->search, &found);
    return 0;
}

static int search(struct bh_request *const request, struct tome_search_input *const input,
                  const bool books)
{
    struct asked asked = { .request = request,
                           .search = &input->search,
                           .with_answer = input->answer };
    const struct tome_search_cached cached = { .search = &input->search,
                                               .kind = books           ? 'B'
                                                       : input->answer ? 'A'
                                                                       : 'S',
                                               .write = books ? write_books : write_chunks,
                                               .argument = &asked };
    struct tome_search_body body;
    struct bh_error error;
    limit_time(tome_service_of(request));
    if (tome_search_cached_get(request, &cached, &body, &error) != 0)
        return refuse(request, &input->search, &error);
    return tome_search_cached_send(request, &body);
}

static int handle_get(struct bh_request *const request, const bool books)
{
    struct tome_search_input *const reading = tome_search_input_begin(request, books);
    if (reading == NULL)
        return BH_ENOMEM;
    if (!tome_search_input_query(request, books ? BOOKS_SIZE_MAX : PAGE_SIZE_MAX, reading))
        return tome_problem_send(request, &reading->problem);
    return search(request, reading, books);
}

static int handle_post(struct bh_request *const request, const bool books)
{
    static const char *const fields[] = { "query",           "page",    "page_size", "cursor",
                                          "include_details", "filters", "sort",      "instant",
                                          "facets",          "answer" };
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    struct tome_search_input *const reading = tome_search_input_begin(request, books);
    if (reading == NULL)
        return BH_ENOMEM;
    if (!tome_json_object(bh_request_body(request), fields, BH_COUNT_OF(fields), &object,
                          &reading->problem) ||
        !tome_search_input_json(object, books ? BOOKS_SIZE_MAX : PAGE_SIZE_MAX, reading))
        return tome_problem_send(request, &reading->problem);
    if (books && reading->answer) {
        tome_invalid(&reading->problem, "answer", "answers come with /api/search");
        return tome_problem_send(request, &reading->problem);
    }
    return search(request, reading, books);
}

int tome_handle_search_get(struct bh_request *const request)
{
    return handle_get(request, false);
}

int tome_handle_search_post(struct bh_request *const request)
{
    return handle_post(request, false);
}

int tome_handle_search_books_get(struct bh_request *const request)
{
    return handle_get(request, true);
}

int tome_handle_search_books_post(struct bh_request *const request)
{
    return handle_post(request, true);
}
