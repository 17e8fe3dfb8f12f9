#include "handlers/search_input.h"

#include "library/library.h"
#include "service.h"

#define QUERY_MAX 2000       /* code points */
#define FILTER_TEXT_MAX 1000 /* code points */
#define CURSOR_MAX 500
#define PAGE_MAX INT64_C(1000000000)

static const char *const sorts[] = { [TOME_SORT_RELEVANCE] = "relevance",
                                     [TOME_SORT_NEWEST] = "newest",
                                     [TOME_SORT_TITLE] = "title",
                                     [TOME_SORT_PAGE] = "page" };

struct tome_search_input *tome_search_input_begin(struct bh_request *const request,
                                                  const bool books)
{
    struct tome_search_input *const reading = bh_arena_calloc(bh_request_arena(request), 1,
                                                              sizeof(*reading));
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
    return count < TOME_FILTER_VALUES_MAX ||
           tome_invalid(problem, field, "%s takes at most %d values", field,
                        TOME_FILTER_VALUES_MAX);
}

static bool add_book_id(struct tome_search_input *const reading, const int64_t id)
{
    struct tome_search_filters *const filters = &reading->search.filters;
    if (!check_room("book_id", filters->book_id_count, &reading->problem))
        return false;
    if (id < 1 || id > TOME_BOOK_ID_MAX)
        return tome_invalid(&reading->problem, "book_id", "book_id takes a book's id");
    reading->book_ids[filters->book_id_count++] = id;
    return true;
}

static bool add_text(struct tome_search_input *const reading, const char *const field,
                     struct bh_str value)
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

static bool add_book_id_text(struct tome_search_input *const reading, const struct bh_str text)
{
    int64_t id = 0;
    if (bh_str_to_int64(text, 1, TOME_BOOK_ID_MAX, &id) != 0)
        return tome_invalid(&reading->problem, "book_id", "book_id takes a book's id");
    return add_book_id(reading, id);
}

/* ---- GET ---- */

/* A comma between values means any of them, but not in a name ("Doyle, Arthur Conan"). */
static bool query_filters(struct bh_request *const request, struct tome_search_input *const reading)
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

bool tome_search_input_query(struct bh_request *const request, const int64_t size_max,
                             struct tome_search_input *const reading)
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
        !tome_query_bool(request, "answer", &reading->answer, problem) ||
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

static bool json_filter_value(struct tome_search_input *const reading, const char *const field,
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

static bool json_filters(const json_t *const object, struct tome_search_input *const reading)
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

static bool json_sort(const json_t *const object, struct tome_search_input *const reading)
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

bool tome_search_input_json(const json_t *const object, const int64_t size_max,
                            struct tome_search_input *const reading)
{
    struct tome_search_request *const search = &reading->search;
    struct tome_problem *const problem = &reading->problem;
    int64_t page = search->page, page_size = search->page_size;
    if (!tome_json_text(object, "query", 1, QUERY_MAX, &search->query, problem) ||
        !tome_json_int(object, "page", 1, PAGE_MAX, &page, problem) ||
        !tome_json_int(object, "page_size", 1, size_max, &page_size, problem) ||
        !tome_json_text(object, "cursor", 0, CURSOR_MAX, &search->cursor, problem) ||
        !tome_json_bool(object, "include_details", &search->include_details, problem) ||
        !tome_json_bool(object, "instant", &search->instant, problem) ||
        !tome_json_bool(object, "facets", &search->facets, problem) ||
        !tome_json_bool(object, "answer", &reading->answer, problem) ||
        !json_sort(object, reading) || !json_filters(object, reading))
        return false;
    if (search->query.data == NULL)
        return tome_invalid(problem, "query", "query is missing: what to search for");
    search->page = (uint32_t)page;
    search->page_size = (uint32_t)page_size;
    return true;
}
