/*
 * GET /api/export: streamed, as fast as the client reads. One that fails has a last line that says
 * why, and the body is broken off behind it: a download that is not whole must not look so.
 */
#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/loop/fiber.h"
#include "export.h"
#include "handlers/handlers.h"
#include "library/library.h"
#include "service.h"

#define LINE_BYTES_MAX 4096

static int write_to_client(void *const argument, const struct bh_str text,
                           struct bh_error *const reterr)
{
    const int result = bh_stream_write(argument, text);
    return result == 0 ? 0 : bh_error_set(reterr, result, "%s", bh_error_text(result));
}

static int break_off(struct bh_request *const request, const struct bh_error *const error)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) line;
    struct bh_json json;
    bh_log_error("export", "broken off: %s", error->message);
    bh_buf_init(&line, LINE_BYTES_MAX);
    bh_json_init(&json, &line);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "type", BH_STR("error"));
    bh_json_kv_string(&json, "detail", bh_str_from(error->message));
    bh_json_object_end(&json);
    bh_buf_append_byte(&line, '\n');
    if (bh_buf_error(&line) == 0 && bh_stream_write(request, bh_buf_peek(&line)) == 0)
        (void)!bh_stream_wait_sent(request);
    bh_stream_abort(request);
    return error->code;
}

int tome_handle_export(struct bh_request *const request)
{
    const struct tome_service *const service = tome_service_of(request);
    struct bh_error error;
    if (tome_cache_catch_up(service->cache, tome_owner_of(request), &error) != 0)
        return bh_respond_failure(request, &error);
    int result = bh_stream_begin(request, 200, "application/x-ndjson");
    if (result != 0)
        return result;
    bh_fiber_set_deadline(BH_NEVER_US); /* a client that stalls is ended by the write time-out */
    result = tome_export(service->db, tome_owner_of(request), write_to_client, request, &error);
    if (result == BH_ECANCELED) /* there is nobody to tell */
        return result;
    return result == 0 ? bh_stream_end(request) : break_off(request, &error);
}
