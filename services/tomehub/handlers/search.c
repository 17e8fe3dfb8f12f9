/* GET and POST /api/search and /api/search/books: both ways of asking become one search request. */
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "service.h"
#include "views.h"

#define QUERY_MAX 2000 /* code points */
#define FILTER_VALUES_MAX 100
#define FILTER_TEXT_MAX 1000 /* code points */
#define CURSOR_MAX 500
#define PAGE_MAX INT64_C(1000000000)
#define PAGE_SIZE_MAX 1000
#define BOOKS_SIZE_MAX 100

static const char *const sorts[] = { [TOME_SORT_RELEVANCE] = "relevance",
                                     [TOME_SORT_NEWEST] = "newest",
                                     [TOME_SORT_TITLE] = "title",
                                     [TOME_SORT_PAGE] = "page" };

/* A search request being read, with room for the lists its filters point to. */
struct reading {
    struct tome_search_request search;
    struct tome_problem problem;
    int64_t book_ids[FILTER_VALUES_MAX];
    struct bh_str source_types[FILTER_VALUES_MAX], authors[FILTER_VALUES_MAX],
        tags[FILTER_VALUES_MAX];
};

static struct reading *reading_begin(struct bh_request *const request, const bool books)
{
    struct reading *const reading = bh_arena_calloc(bh_request_arena(request), 1, sizeof(*reading));
    if (reading == NULL)
        return NULL;
    reading->search = (struct tome_search_request){ .owner_id = tome_owner_of(request),
                                                    .page = 1,
                                                    .page_size = books ? 10 : 50 };
    reading->search.filters = (struct tome_search_filters){ .book_ids = reading->book_ids,
                                                            .source_types = reading->source_types,
                                                            .authors = reading->authors,
                                                            .tags = reading->tags };
    return reading;
}

/* ---- Filters ---- */

/* Room for one more value of a filter. */
static bool check_room(const char *const field, const size_t count,
                       struct tome_problem *const problem)
{
    return count < FILTER_VALUES_MAX ||
           tome_invalid(problem, field, "%s takes at most %d values", field, FILTER_VALUES_MAX);
}

static bool add_book_id(struct reading *const reading, const int64_t id)
{
    struct tome_search_filters *const filters = &reading->search.filters;
    if (!check_room("book_id", filters->book_id_count, &reading->problem))
        return false;
    if (id < 1 || id > TOME_BOOK_ID_MAX)
        return tome_invalid(&reading->problem, "book_id", "book_id takes a book's id");
    reading->book_ids[filters->book_id_count++] = id;
    return true;
}

static bool add_text(struct reading *const reading, const char *const field, struct bh_str value)
{
    struct tome_search_filters *const filters = &reading->search.filters;
    const bool is_type = strcmp(field, "source_type") == 0, is_tag = strcmp(field, "tags") == 0;
    size_t *const count = is_type  ? &filters->source_type_count
                          : is_tag ? &filters->tag_count
                                   : &filters->author_count;
    struct bh_str *const values = is_type  ? reading->source_types
                                  : is_tag ? reading->tags
                                           : reading->authors;
    if (!check_room(field, *count, &reading->problem) ||
        !tome_check_text(field, &value, 1, FILTER_TEXT_MAX, &reading->problem) ||
        (is_type && !tome_check_source_type(field, value, &reading->problem)))
        return false;
    values[(*count)++] = value;
    return true;
}

static bool add_book_id_text(struct reading *const reading, const struct bh_str text)
{
    int64_t id = 0;
    if (bh_str_to_int64(text, 1, TOME_BOOK_ID_MAX, &id) != 0)
        return tome_invalid(&reading->problem, "book_id", "book_id takes a book's id");
    return add_book_id(reading, id);
}

/* ---- GET ---- */

/* A comma between values means any of them, but not in a name ("Doyle, Arthur Conan"). */
static bool query_filters(struct bh_request *const request, struct reading *const reading)
{
    struct bh_str list;
    bool ok = true;
    if (bh_request_query(request, "book_id", &list))
        while (ok && list.size > 0)
            ok = add_book_id_text(reading, bh_str_trim(bh_str_split(&list, ',')));
    if (ok && bh_request_query(request, "source_type", &list))
        while (ok && list.size > 0)
            ok = add_text(reading, "source_type", bh_str_trim(bh_str_split(&list, ',')));
    if (ok && bh_request_query(request, "tags", &list))
        while (ok && list.size > 0)
            ok = add_text(reading, "tags", bh_str_trim(bh_str_split(&list, ',')));
    if (ok && bh_request_query(request, "author", &list) && list.size > 0)
        ok = add_text(reading, "author", list);
    return ok;
}

static bool read_query(struct bh_request *const request, const int64_t size_max,
                       struct reading *const reading)
{
    struct tome_search_request *const search = &reading->search;
    struct tome_problem *const problem = &reading->problem;
    struct bh_str include = BH_STR_NONE;
    int64_t page = search->page, page_size = search->page_size;
    size_t sort = search->sort;
    if (!bh_request_query(request, "q", &search->query))
        return tome_invalid(problem, "q", "q is missing: what to search for");
    if (!tome_check_text("q", &search->query, 1, QUERY_MAX, problem) ||
        !tome_query_int(request, "page", 1, PAGE_MAX, &page, problem) ||
        !tome_query_int(request, "page_size", 1, size_max, &page_size, problem) ||
        !tome_query_choice(request, "sort", sorts, BH_COUNT_OF(sorts), &sort, problem) ||
        !tome_query_bool(request, "instant", &search->instant, problem) ||
        !tome_query_bool(request, "facets", &search->facets, problem) ||
        !query_filters(request, reading))
        return false;
    if (bh_request_query(request, "cursor", &search->cursor) && search->cursor.size > CURSOR_MAX)
        return tome_invalid(problem, "cursor", "this is not a cursor of ours");
    if (bh_request_query(request, "include", &include) && !bh_str_equal(include, BH_STR("details")))
        return tome_invalid(problem, "include", "include takes details");
    search->include_details = include.data != NULL;
    search->page = (uint32_t)page;
    search->page_size = (uint32_t)page_size;
    search->sort = (enum tome_search_sort)sort;
    return true;
}

/* ---- POST ---- */

static bool json_filter_value(struct reading *const reading, const char *const field,
                              const json_t *const value)
{
    if (strcmp(field, "book_id") == 0)
        return json_is_integer(value)
                   ? add_book_id(reading, json_integer_value(value))
                   : tome_invalid(&reading->problem, field, "book_id takes a book's id");
    if (!json_is_string(value))
        return tome_invalid(&reading->problem, field, "%s takes a text or an array of texts",
                            field);
    return add_text(
        reading, field,
        (struct bh_str){ .data = json_string_value(value), .size = json_string_length(value) });
}

static bool json_filters(const json_t *const object, struct reading *const reading)
{
    static const char *const fields[] = { "book_id", "source_type", "author", "tags" };
    const json_t *const filters = json_object_get(object, "filters");
    if (filters == NULL || json_is_null(filters))
        return true;
    if (!json_is_object(filters))
        return tome_invalid(&reading->problem, "filters", "filters takes an object");
    if (!tome_json_only(filters, fields, BH_COUNT_OF(fields), &reading->problem))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < BH_COUNT_OF(fields); i++) {
        const json_t *const value = json_object_get(filters, fields[i]);
        if (value == NULL || json_is_null(value))
            continue;
        if (!json_is_array(value)) {
            ok = json_filter_value(reading, fields[i], value);
            continue;
        }
        for (size_t at = 0; ok && at < json_array_size(value); at++)
            ok = json_filter_value(reading, fields[i], json_array_get(value, at));
    }
    return ok;
}

static bool json_sort(const json_t *const object, struct reading *const reading)
{
    struct bh_str name = BH_STR_NONE;
    if (!tome_json_text(object, "sort", 0, 50, &name, &reading->problem))
        return false;
    for (size_t i = 0; i < BH_COUNT_OF(sorts); i++) {
        if (name.data == NULL || bh_str_equal(name, bh_str_from(sorts[i]))) {
            reading->search.sort = (enum tome_search_sort)i;
            return true;
        }
    }
    return tome_invalid(&reading->problem, "sort", "sort takes relevance, newest, title or page");
}

static bool read_json(const json_t *const object, const int64_t size_max,
                      struct reading *const reading)
{
    struct tome_search_request *const search = &reading->search;
    struct tome_problem *const problem = &reading->problem;
    int64_t page = search->page, page_size = search->page_size;
    bool answer = false;
    if (!tome_json_text(object, "query", 1, QUERY_MAX, &search->query, problem) ||
        !tome_json_int(object, "page", 1, PAGE_MAX, &page, problem) ||
        !tome_json_int(object, "page_size", 1, size_max, &page_size, problem) ||
        !tome_json_text(object, "cursor", 0, CURSOR_MAX, &search->cursor, problem) ||
        !tome_json_bool(object, "include_details", &search->include_details, problem) ||
        !tome_json_bool(object, "instant", &search->instant, problem) ||
        !tome_json_bool(object, "facets", &search->facets, problem) ||
        !tome_json_bool(object, "answer", &answer, problem) || !json_sort(object, reading) ||
        !json_filters(object, reading))
        return false;
    if (search->query.data == NULL)
        return tome_invalid(problem, "query", "query is missing: what to search for");
    if (answer)
        return tome_invalid(problem, "answer", "answers are not offered; take the results");
    search->page = (uint32_t)page;
    search->page_size = (uint32_t)page_size;
    return true;
}

/* ---- Searching ---- */

/* A search may take less time than the request as a whole. */
static void limit_time(const struct tome_service *const service)
{
    const uint64_t limit_us = bh_time_now_us() + service->settings->db_statement_timeout_us;
    if (limit_us < bh_fiber_deadline())
        bh_fiber_set_deadline(limit_us);
}

static void write_end(struct bh_json *const json, const uint64_t begun_ns)
{
    bh_json_key(json, BH_STR("execution_time_ms"));
    bh_json_fixed(json, (double)(bh_time_now_ns() - begun_ns) / 1e6, 3);
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

static int search_chunks(struct bh_request *const request,
                         const struct tome_search_request *const search)
{
    const struct tome_service *const service = tome_service_of(request);
    const uint64_t begun_ns = bh_time_now_ns();
    struct tome_search_answer found = { .page = search->page };
    struct bh_error error;
    limit_time(service);
    const int result = tome_search(service->searcher, search, bh_request_arena(request), &found,
                                   &error);
    if (result != 0 && !(result == BH_EINVAL && search->cursor.size == 0))
        return refuse(request, search, &error);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    tome_view_search(&answer.json, search, &found);
    write_end(&answer.json, begun_ns);
    bh_json_kv_bool(&answer.json, "cache_hit", false);
    return tome_answer_send(request, 200, &answer);
}

static int search_books(struct bh_request *const request,
                        const struct tome_search_request *const search)
{
    const struct tome_service *const service = tome_service_of(request);
    const uint64_t begun_ns = bh_time_now_ns();
    struct tome_search_books_answer found = { 0 };
    struct bh_error error;
    limit_time(service);
    const int result = tome_search_books(service->searcher, search, bh_request_arena(request),
                                         &found, &error);
    if (result != 0 && result != BH_EINVAL)
        return bh_respond_failure(request, &error);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    tome_view_search_books(&answer.json, search, &found);
    write_end(&answer.json, begun_ns);
    return tome_answer_send(request, 200, &answer);
}

static int handle_get(struct bh_request *const request, const bool books)
{
    struct reading *const reading = reading_begin(request, books);
    if (reading == NULL)
        return BH_ENOMEM;
    if (!read_query(request, books ? BOOKS_SIZE_MAX : PAGE_SIZE_MAX, reading))
        return tome_problem_send(request, &reading->problem);
    return books ? search_books(request, &reading->search)
                 : search_chunks(request, &reading->search);
}

static int handle_post(struct bh_request *const request, const bool books)
{
    static const char *const fields[] = { "query",           "page",    "page_size", "cursor",
                                          "include_details", "filters", "sort",      "instant",
                                          "facets",          "answer" };
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    struct reading *const reading = reading_begin(request, books);
    if (reading == NULL)
        return BH_ENOMEM;
    if (!tome_json_object(bh_request_body(request), fields, BH_COUNT_OF(fields), &object,
                          &reading->problem) ||
        !read_json(object, books ? BOOKS_SIZE_MAX : PAGE_SIZE_MAX, reading))
        return tome_problem_send(request, &reading->problem);
    return books ? search_books(request, &reading->search)
                 : search_chunks(request, &reading->search);
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
