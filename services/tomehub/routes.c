/* Which method and path lead to which handler, and what each may take. */
#include "routes.h"

#include "bulkhead/base/time.h"
#include "bulkhead/runtime/guard.h"
#include "answers/generated.h"
#include "handlers/handlers.h"
#include "client_limits.h"

#define JSON_BYTES_MAX 65536           /* of queries and small changes */
#define PATCH_BYTES_MAX (256 * 1024)   /* metadata is the most of it */
#define FORM_BYTES (UINT64_C(1) << 20) /* what a form has beside its file */
#define LONG_US (UINT64_C(3600) * BH_SECOND_US)

/* What stands beside what was asked for, or is asked again by itself. */
static bool always(struct bh_request *const request)
{
    (void)request;
    return true;
}

/* A search at each key press: the next one is on its way. */
static bool while_typing(struct bh_request *const request)
{
    struct bh_str value;
    return bh_request_query(request, "instant", &value) && !bh_str_equal(value, BH_STR("0")) &&
           !bh_str_equal(value, BH_STR("false"));
}

static const struct bh_route_policy search_get = { .name = "search",
                                                   .is_optional = while_typing,
                                                   .scope = BH_SCOPE_READ,
                                                   .rate_group = TOME_LIMIT_SEARCH };
static const struct bh_route_policy search = { .name = "search",
                                               .scope = BH_SCOPE_READ,
                                               .rate_group = TOME_LIMIT_SEARCH };
/* A copy of the library can be taken later. */
static const struct bh_route_policy export = { .name = "stream",
                                               .is_stream = true,
                                               .is_heavy = true,
                                               .is_optional = always,
                                               .scope = BH_SCOPE_READ };
static const struct bh_route_policy search_stream = { .name = "stream",
                                                      .is_stream = true,
                                                      .is_heavy = true,
                                                      .scope = BH_SCOPE_READ,
                                                      .rate_group = TOME_LIMIT_SEARCH };
static const struct bh_route_policy batch = { .name = "default",
                                              .is_heavy = true,
                                              .scope = BH_SCOPE_READ };
/* Related terms stand beside results; whoever looks at a job looks again. */
static const struct bh_route_policy beside = { .name = "default",
                                               .is_optional = always,
                                               .scope = BH_SCOPE_READ };
static const struct bh_route_policy change = { .name = "default",
                                               .is_urgent = true,
                                               .scope = BH_SCOPE_WRITE };
static const struct bh_route_policy ingest = {
    .name = "ingest", .is_heavy = true, .scope = BH_SCOPE_WRITE, .rate_group = TOME_LIMIT_INGEST
};
static const struct bh_route_policy probes = { .name = "operator",
                                               .is_exempt = true,
                                               .is_public = true };
static const struct bh_route_policy operators = { .name = "operator",
                                                  .is_exempt = true,
                                                  .scope = BH_SCOPE_ADMIN };
static const struct bh_route_policy site = { .name = "default",
                                             .is_public = true,
                                             .is_free = true };

static struct bh_route routes[] = {
    { .method = "GET",
      .pattern = "/api/search",
      .handler = tome_handle_search_get,
      .policy = &search_get },
    { .method = "POST",
      .pattern = "/api/search",
      .handler = tome_handle_search_post,
      .body_maximum = JSON_BYTES_MAX,
      .policy = &search },
    { .method = "GET",
      .pattern = "/api/search/books",
      .handler = tome_handle_search_books_get,
      .policy = &search },
    { .method = "POST",
      .pattern = "/api/search/books",
      .handler = tome_handle_search_books_post,
      .body_maximum = JSON_BYTES_MAX,
      .policy = &search },
    { .method = "GET",
      .pattern = "/api/search/stream",
      .handler = tome_handle_search_stream_get,
      .policy = &search_stream },
    { .method = "POST",
      .pattern = "/api/search/stream",
      .handler = tome_handle_search_stream_post,
      .body_maximum = JSON_BYTES_MAX,
      .policy = &search_stream },

    { .method = "GET",
      .pattern = "/api/concepts",
      .handler = tome_handle_concepts,
      .policy = &beside },
    { .method = "GET",
      .pattern = "/api/concepts/{id}",
      .handler = tome_handle_concept,
      .policy = &beside },

    { .method = "GET", .pattern = "/api/content/{id}", .handler = tome_handle_content },
    { .method = "POST",
      .pattern = "/api/content/batch",
      .handler = tome_handle_content_batch,
      .body_maximum = JSON_BYTES_MAX,
      .policy = &batch },

    { .method = "GET", .pattern = "/api/books", .handler = tome_handle_books },
    { .method = "GET", .pattern = "/api/books/{id}", .handler = tome_handle_book },
    { .method = "PATCH",
      .pattern = "/api/books/{id}",
      .handler = tome_handle_book_patch,
      .body_maximum = PATCH_BYTES_MAX,
      .policy = &change },
    { .method = "DELETE",
      .pattern = "/api/books/{id}",
      .handler = tome_handle_book_delete,
      .policy = &change },
    { .method = "GET", .pattern = "/api/books/{id}/pages/{n}", .handler = tome_handle_page },
    { .method = "GET",
      .pattern = "/api/export",
      .handler = tome_handle_export,
      .deadline_us = LONG_US,
      .policy = &export },

    { .method = "POST",
      .pattern = "/api/ingest",
      .handler = tome_handle_ingest,
      .deadline_us = LONG_US,
      .stream_body = true,
      .policy = &ingest },
    { .method = "GET", .pattern = "/api/ingest", .handler = tome_handle_jobs, .policy = &beside },
    { .method = "GET",
      .pattern = "/api/ingest/{job_id}",
      .handler = tome_handle_job,
      .policy = &beside },

    { .method = "GET",
      .pattern = "/api/health",
      .handler = tome_handle_health,
      .policy = &operators },
    { .method = "GET",
      .pattern = "/api/health/live",
      .handler = tome_handle_live,
      .policy = &probes },
    { .method = "GET",
      .pattern = "/api/health/ready",
      .handler = tome_handle_ready,
      .policy = &probes },
    { .method = "GET",
      .pattern = "/api/health/memory",
      .handler = tome_handle_health_memory,
      .policy = &operators },
    { .method = "GET",
      .pattern = "/api/health/restart",
      .handler = tome_handle_health_restart,
      .policy = &operators },
    { .method = "GET",
      .pattern = "/api/health/streams",
      .handler = tome_handle_health_streams,
      .policy = &operators },
    { .method = "GET",
      .pattern = "/api/health/database",
      .handler = tome_handle_health_database,
      .policy = &operators },
    { .method = "GET",
      .pattern = "/api/v1/health/database",
      .handler = tome_handle_health_database,
      .policy = &operators },
    { .method = "GET",
      .pattern = "/api/admin/queries",
      .handler = tome_handle_queries,
      .policy = &operators },
    { .method = "PATCH",
      .pattern = "/api/admin/pools/{lane}",
      .handler = tome_handle_pool,
      .body_maximum = PATCH_BYTES_MAX,
      .deadline_us = LONG_US,
      .policy = &operators },
    { .method = "GET", .pattern = "/livez", .handler = tome_handle_live, .policy = &probes },
    { .method = "GET", .pattern = "/readyz", .handler = tome_handle_ready, .policy = &probes },
    { .method = "GET",
      .pattern = "/metrics",
      .handler = tome_handle_metrics,
      .policy = &operators },

    { .method = "GET", .pattern = "/", .handler = tome_handle_site, .policy = &site },
    { .method = "GET",
      .pattern = "/tomehub/{path...}",
      .handler = tome_handle_site,
      .policy = &site },
    { .method = "GET",
      .pattern = "/shared/{path...}",
      .handler = tome_handle_site,
      .policy = &site },
};

int tome_routes_create(const struct tome_settings *const settings,
                       struct bh_router **const ret_router, struct bh_error *const reterr)
{
    struct bh_router *router = NULL;
    for (size_t i = 0; i < BH_COUNT_OF(routes); i++)
        if (routes[i].stream_body)
            routes[i].body_maximum = ((uint64_t)settings->max_upload_mb << 20) + FORM_BYTES;
    for (size_t i = 0; i < BH_COUNT_OF(routes); i++)
        if (routes[i].policy == &search_stream && settings->answer_url[0])
            routes[i].deadline_us = settings->http_request_timeout_us +
                                    TOME_GENERATED_ATTEMPTS_MAX * settings->answer_timeout_us;
    if (bh_router_create(&router) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the routes");
    const int result = bh_router_add(router, routes, BH_COUNT_OF(routes), reterr);
    if (result != 0) {
        bh_router_destroy(router);
        return result;
    }
    *ret_router = router;
    return 0;
}
