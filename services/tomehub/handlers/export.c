/* GET /api/export: streamed, as fast as the client reads. */
#include "bulkhead/base/log.h"
#include "bulkhead/loop/fiber.h"
#include "export.h"
#include "handlers/handlers.h"
#include "library/library.h"
#include "service.h"

static int write_to_client(void *const argument, const struct bh_str text,
                           struct bh_error *const reterr)
{
    const int result = bh_stream_write(argument, text);
    return result == 0 ? 0 : bh_error_set(reterr, result, "%s", bh_error_text(result));
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
    if (result == 0)
        return bh_stream_end(request);
    if (result != BH_ECANCELED)
        bh_log_error("export", "broken off: %s", error.message);
    bh_stream_abort(request);
    return result;
}
