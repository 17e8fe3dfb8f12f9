/* GET /api/concepts and /api/concepts/{id}: key terms of the library, and what stands with them. */
#include "concepts/concepts.h"

#include "handlers/cached.h"
#include "handlers/handlers.h"
#include "handlers/input.h"
#include "library/searcher.h"
#include "service.h"
#include "views.h"

#define CONCEPT_ID_MAX ((INT64_C(1) << 53) - 1)
#define QUERY_MAX 200 /* code points */
#define LIMIT_DEFAULT 20

struct folding {
    struct bh_str text, folded;
    struct bh_arena *arena;
};

static int fold(void *const argument, struct tome_analyzer *const analyzer,
                const atomic_bool *const canceled, struct bh_error *const reterr)
{
    struct folding *const folding = argument;
    (void)canceled;
    folding->folded = tome_books_fold(analyzer, folding->text, folding->arena);
    return folding->folded.data != NULL ? 0 : tome_error_memory(reterr);
}

static void write_concept(struct bh_json *const json, const struct tome_concept *const concept)
{
    bh_json_kv_int(json, "id", concept->id);
    bh_json_kv_string(json, "label", concept->label);
    bh_json_kv_int(json, "count", concept->count);
    bh_json_kv_int(json, "books", concept->books);
}

static void write_list(struct bh_json *const json, const char *const name,
                       const struct tome_concepts *const concepts)
{
    bh_json_kv_array(json, name);
    for (size_t i = 0; i < concepts->count; i++) {
        bh_json_object_begin(json);
        write_concept(json, &concepts->items[i]);
        bh_json_object_end(json);
    }
    bh_json_array_end(json);
}

/* ---- The list ---- */

struct asked {
    struct bh_request *request;
    struct folding folding;
    int64_t id, limit;
};

static int write_found(void *const argument, struct bh_json *const json,
                       struct bh_error *const reterr)
{
    const struct asked *const asked = argument;
    struct tome_concepts concepts;
    const int result = tome_concepts_find(tome_service_of(asked->request)->db,
                                          tome_owner_of(asked->request), asked->folding.folded,
                                          asked->limit, asked->folding.arena, &concepts, reterr);
    if (result == 0)
        write_list(json, "concepts", &concepts);
    return result;
}

int tome_handle_concepts(struct bh_request *const request)
{
    struct asked asked = { .request = request,
                           .folding = { .text = BH_STR(""), .arena = bh_request_arena(request) },
                           .limit = LIMIT_DEFAULT };
    struct tome_problem problem = { 0 };
    struct bh_error error;
    struct tome_key key;
    (void)bh_request_query(request, "q", &asked.folding.text);
    if (!tome_check_text("q", &asked.folding.text, 0, QUERY_MAX, &problem) ||
        !tome_query_int(request, "limit", 1, TOME_CONCEPTS_LIMIT_MAX, &asked.limit, &problem))
        return tome_problem_send(request, &problem);
    if (tome_searcher_run(tome_service_of(request)->searcher, true, fold, &asked.folding, &error) !=
        0)
        return bh_respond_failure(request, &error);
    tome_key_begin(&key, 'k', tome_owner_of(request));
    tome_key_int(&key, asked.limit);
    tome_key_text(&key, asked.folding.folded);
    const struct tome_cached cached = {
        .key = &key, .class = TOME_CACHE_CONCEPTS, .write = write_found, .argument = &asked
    };
    return tome_cached_send(request, &cached);
}

/* ---- One ---- */

static int write_one(void *const argument, struct bh_json *const json,
                     struct bh_error *const reterr)
{
    const struct asked *const asked = argument;
    struct tome_concept concept;
    struct tome_concepts related;
    const int result = tome_concepts_get(tome_service_of(asked->request)->db,
                                         tome_owner_of(asked->request), asked->id, asked->limit,
                                         asked->folding.arena, &concept, &related, reterr);
    if (result != 0)
        return result;
    write_concept(json, &concept);
    write_list(json, "related", &related);
    return 0;
}

int tome_handle_concept(struct bh_request *const request)
{
    struct asked asked = { .request = request,
                           .folding = { .arena = bh_request_arena(request) },
                           .limit = LIMIT_DEFAULT };
    struct tome_problem problem = { 0 };
    struct tome_key key;
    if (!tome_path_id(request, "id", CONCEPT_ID_MAX, &asked.id, &problem) ||
        !tome_query_int(request, "limit", 1, TOME_CONCEPTS_LIMIT_MAX, &asked.limit, &problem))
        return tome_problem_send(request, &problem);
    tome_key_begin(&key, 'K', tome_owner_of(request));
    tome_key_int(&key, asked.id);
    tome_key_int(&key, asked.limit);
    const struct tome_cached cached = {
        .key = &key, .class = TOME_CACHE_CONCEPTS, .write = write_one, .argument = &asked
    };
    return tome_cached_send(request, &cached);
}
