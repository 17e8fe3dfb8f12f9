/* Content by id, many at once, and whole pages. */
#include "handlers/cached.h"
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "service.h"
#include "views.h"

#define BATCH_IDS_MAX 1000
#define PAGE_NUMBER_MAX INT64_C(10000000)

struct content_asked {
    struct bh_request *request;
    int64_t id;
};

static int write_content(void *const argument, struct bh_json *const json,
                         struct bh_error *const reterr)
{
    const struct content_asked *const asked = argument;
    struct tome_content content;
    const int result = tome_chunks_get(tome_service_of(asked->request)->db,
                                       tome_owner_of(asked->request), asked->id,
                                       bh_request_arena(asked->request), &content, reterr);
    if (result == 0)
        tome_view_content(json, &content);
    return result;
}

int tome_handle_content(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    struct content_asked asked = { .request = request };
    if (!tome_path_id(request, "id", TOME_CHUNK_ID_MAX, &asked.id, &problem))
        return tome_problem_send(request, &problem);
    struct tome_key key;
    tome_key_begin(&key, 'c', tome_owner_of(request));
    tome_key_int(&key, asked.id);
    const struct tome_cached cached = { .key = &key,
                                        .class = TOME_CACHE_CONTENT,
                                        .book_id = asked.id >> TOME_ORDINAL_BITS,
                                        .write = write_content,
                                        .argument = &asked };
    return tome_cached_send(request, &cached);
}

/* ---- Batch ---- */

static bool read_ids(const json_t *const object, int64_t *const ids, size_t *const ret_count,
                     struct tome_problem *const problem)
{
    const json_t *const list = json_object_get(object, "ids");
    if (!json_is_array(list))
        return tome_invalid(problem, "ids", "ids takes an array of ids");
    const size_t count = json_array_size(list);
    if (count > BATCH_IDS_MAX)
        return tome_invalid(problem, "ids", "ids takes at most %d ids, not %zu", BATCH_IDS_MAX,
                            count);
    for (size_t i = 0; i < count; i++) {
        const json_t *const id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 1 ||
            json_integer_value(id) > TOME_CHUNK_ID_MAX)
            return tome_invalid(problem, "ids", "ids[%zu] is not an id", i);
        ids[i] = json_integer_value(id);
    }
    *ret_count = count;
    return true;
}

/* The answer has the items in the order asked, so what is missing is where the two lists differ. */
static void write_missing(struct bh_json *const json, const int64_t *const ids, const size_t count,
                          const struct tome_contents *const found)
{
    size_t at = 0;
    bh_json_kv_array(json, "missing");
    for (size_t i = 0; i < count; i++) {
        if (at < found->count && found->items[at].id == ids[i])
            at++;
        else
            bh_json_int(json, ids[i]);
    }
    bh_json_array_end(json);
}

int tome_handle_content_batch(struct bh_request *const request)
{
    static const char *const fields[] = { "ids" };
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    struct tome_problem problem = { 0 };
    int64_t ids[BATCH_IDS_MAX];
    size_t count = 0;
    if (!tome_json_object(bh_request_body(request), fields, BH_COUNT_OF(fields), &object,
                          &problem) ||
        !read_ids(object, ids, &count, &problem))
        return tome_problem_send(request, &problem);
    const struct tome_service *const service = tome_service_of(request);
    const int64_t owner_id = tome_owner_of(request);
    struct tome_contents found;
    struct bh_error error;
    if (tome_cache_catch_up(service->cache, owner_id, &error) != 0 ||
        tome_chunks_get_many(service->db, owner_id, ids, count, bh_request_arena(request), &found,
                             &error) != 0)
        return bh_respond_failure(request, &error);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    bh_json_kv_array(&answer.json, "items");
    for (size_t i = 0; i < found.count; i++) {
        bh_json_object_begin(&answer.json);
        tome_view_content(&answer.json, &found.items[i]);
        bh_json_object_end(&answer.json);
    }
    bh_json_array_end(&answer.json);
    write_missing(&answer.json, ids, count, &found);
    return tome_answer_send(request, 200, &answer);
}

/* ---- Pages ---- */

struct page_asked {
    struct bh_request *request;
    int64_t book_id, number;
};

static int write_page(void *const argument, struct bh_json *const json,
                      struct bh_error *const reterr)
{
    const struct page_asked *const asked = argument;
    struct tome_book_page page;
    const int result = tome_chunks_page(
        tome_service_of(asked->request)->db, tome_owner_of(asked->request), asked->book_id,
        asked->number, bh_request_arena(asked->request), &page, reterr);
    if (result != 0)
        return result;
    bh_json_kv_int(json, "book_id", asked->book_id);
    bh_json_kv_int(json, "page_number", asked->number);
    bh_json_kv_string(json, "page_label", page.page_label);
    bh_json_kv_string(json, "page_kind", page.page_kind);
    bh_json_kv_int(json, "page_count", page.page_count);
    bh_json_kv_string(json, "chapter", page.chapter);
    bh_json_kv_string(json, "text", page.text);
    return 0;
}

int tome_handle_page(struct bh_request *const request)
{
    struct tome_problem problem = { 0 };
    struct page_asked asked = { .request = request };
    if (!tome_path_id(request, "id", TOME_BOOK_ID_MAX, &asked.book_id, &problem) ||
        !tome_path_id(request, "n", PAGE_NUMBER_MAX, &asked.number, &problem))
        return tome_problem_send(request, &problem);
    struct tome_key key;
    tome_key_begin(&key, 'p', tome_owner_of(request));
    tome_key_int(&key, asked.book_id);
    tome_key_int(&key, asked.number);
    const struct tome_cached cached = { .key = &key,
                                        .class = TOME_CACHE_CONTENT,
                                        .book_id = asked.book_id,
                                        .write = write_page,
                                        .argument = &asked };
    return tome_cached_send(request, &cached);
}
