/*
 * GET and POST /api/search/stream: a question's answer as it is made, a JSON object a line, or as
 * server-sent events where the client accepts those. What the client does not take parks the
 * handler, so an answer that nobody reads is not made.
 */
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "handlers/handlers.h"
#include "handlers/search_input.h"
#include "service.h"
#include "views.h"

#define PAGE_SIZE_MAX 1000 /* read as of any search, and ignored */
#define LINE_BYTES_MAX ((size_t)1024 * 1024)

struct stream {
    struct bh_request *request;
    bool is_events; /* server-sent events, else lines */
    bool has_begun;
    uint64_t begun_us;
    int64_t next_id;
    struct bh_buf line;
    struct bh_json json;
};

/* ---- Lines ---- */

static void line_begin(struct stream *const stream, const struct bh_str status)
{
    bh_buf_clear(&stream->line);
    if (stream->is_events)
        bh_buf_printf(&stream->line, "id: %lld\ndata: ", (long long)stream->next_id++);
    bh_json_init(&stream->json, &stream->line);
    bh_json_object_begin(&stream->json);
    bh_json_kv_string(&stream->json, "status", status);
}

/* JSON holds no line end, so one "data:" line is the whole event. */
static int line_end(struct stream *const stream, struct bh_error *const reterr)
{
    bh_json_object_end(&stream->json);
    bh_buf_append_str(&stream->line, stream->is_events ? BH_STR("\n\n") : BH_STR("\n"));
    if (bh_buf_error(&stream->line) != 0)
        return bh_error_set(reterr, BH_ELIMIT, "the answer is too large");
    const int result = bh_stream_write(stream->request, bh_buf_peek(&stream->line));
    return result == 0 ? 0 : bh_error_set(reterr, result, "%s", bh_error_text(result));
}

/* ---- What is told ---- */

/* Until here what fails is answered by its status; from here on by a line. */
static int chunks_loaded(void *const argument, const size_t count, struct bh_error *const reterr)
{
    struct stream *const stream = argument;
    bh_response_header(stream->request, "Cache-Control", BH_STR("no-store"));
    bh_response_header(stream->request, "X-Accel-Buffering", BH_STR("no"));
    const int result = bh_stream_begin(
        stream->request, 200, stream->is_events ? "text/event-stream" : "application/x-ndjson");
    if (result != 0)
        return bh_error_set(reterr, result, "%s", bh_error_text(result));
    stream->has_begun = true;
    /* So that proxies keep a stream on which little happens. */
    bh_stream_set_heartbeat(stream->request, stream->is_events
                                                 ? BH_STR(":\n\n")
                                                 : BH_STR("{\"status\":\"waiting\"}\n"));
    line_begin(stream, BH_STR("chunks_loaded"));
    bh_json_kv_int(&stream->json, "count", (int64_t)count);
    return line_end(stream, reterr);
}

static int text_came(void *const argument, const struct bh_str text, struct bh_error *const reterr)
{
    struct stream *const stream = argument;
    line_begin(stream, BH_STR("answer"));
    bh_json_kv_string(&stream->json, "text", text);
    return line_end(stream, reterr);
}

static int restart(void *const argument, struct bh_error *const reterr)
{
    struct stream *const stream = argument;
    line_begin(stream, BH_STR("restart"));
    return line_end(stream, reterr);
}

static int complete(struct stream *const stream, const struct tome_reply *const reply,
                    struct bh_error *const reterr)
{
    line_begin(stream, BH_STR("complete"));
    tome_view_reply(&stream->json, reply);
    bh_json_key(&stream->json, BH_STR("execution_time_ms"));
    bh_json_fixed(&stream->json, (double)(bh_time_now_us() - stream->begun_us) / 1e3, 3);
    return line_end(stream, reterr);
}

static int fail(struct stream *const stream, const struct bh_error *const error)
{
    struct bh_error ignored;
    if (!stream->has_begun)
        return bh_respond_failure(stream->request, error);
    if (error->code == BH_ECANCELED)
        return BH_ECANCELED;
    bh_log_error("answer", "broken off: %s", error->message);
    line_begin(stream, BH_STR("error"));
    bh_json_kv_string(&stream->json, "detail", bh_str_from(error->message));
    return line_end(stream, &ignored) == 0 ? bh_stream_end(stream->request) : BH_ECANCELED;
}

/* ---- The handler ---- */

static int stream_answer(struct stream *const stream,
                         const struct tome_search_request *const search)
{
    const struct tome_service *const service = tome_service_of(stream->request);
    const struct tome_replier replier = { .searcher = service->searcher,
                                          .provider = service->provider };
    const struct tome_reply_listener listener = {
        .loaded = chunks_loaded, .text = text_came, .restart = restart, .argument = stream
    };
    struct tome_reply reply;
    struct bh_error error;
    int result = tome_cache_catch_up(service->cache, search->owner_id, &error);
    if (result == 0)
        result = tome_reply_make(&replier, search, &listener, bh_request_arena(stream->request),
                                 &reply, &error);
    if (result == 0)
        result = complete(stream, &reply, &error);
    return result == 0 ? bh_stream_end(stream->request) : fail(stream, &error);
}

static int stream(struct bh_request *const request, const struct tome_search_request *const search)
{
    const struct bh_str accept = bh_request_header(request, "accept");
    struct stream stream = {
        .request = request,
        .begun_us = bh_time_now_us(),
        .next_id = 1,
        .is_events = accept.size > 0 && memmem(accept.data, accept.size, "text/event-stream",
                                               strlen("text/event-stream")) != NULL,
    };
    bh_buf_init(&stream.line, LINE_BYTES_MAX);
    const int result = stream_answer(&stream, search);
    bh_buf_fini(&stream.line);
    return result;
}

int tome_handle_search_stream_get(struct bh_request *const request)
{
    struct tome_search_input *const reading = tome_search_input_begin(request, false);
    if (reading == NULL)
        return BH_ENOMEM;
    return tome_search_input_query(request, PAGE_SIZE_MAX, reading)
               ? stream(request, &reading->search)
               : tome_problem_send(request, &reading->problem);
}

int tome_handle_search_stream_post(struct bh_request *const request)
{
    static const char *const fields[] = { "query", "filters" };
    json_t *BH_CLEANUP(bh_json_decref_cleanup) object = NULL;
    struct tome_search_input *const reading = tome_search_input_begin(request, false);
    if (reading == NULL)
        return BH_ENOMEM;
    if (!tome_json_object(bh_request_body(request), fields, BH_COUNT_OF(fields), &object,
                          &reading->problem) ||
        !tome_search_input_json(object, PAGE_SIZE_MAX, reading))
        return tome_problem_send(request, &reading->problem);
    return stream(request, &reading->search);
}
