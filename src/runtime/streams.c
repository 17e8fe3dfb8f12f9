#include "bulkhead/runtime/streams.h"

#include <stdio.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/time.h"

#define ANSWER_MAX 1024
#define RETRY_SECONDS 3 /* 1 to so many: who was refused together does not come back together */
#define CRITICAL 0.9

/* The client's own doing, so not 503: for others there is room. */
static int refuse_client(struct bh_request *const request, struct bh_stream_gate *const gate,
                         const unsigned retry_s)
{
    struct bh_stream_gate_statistics streams;
    bh_stream_gate_statistics(gate, &streams);
    char body[ANSWER_MAX];
    const int size = snprintf(body, sizeof(body),
                              "{\"error\":\"Too many streams at a time\","
                              "\"detail\":\"One user or address may have %u streamed answers at a "
                              "time (STREAM_MAX_PER_CLIENT): read one to its end or close it, then "
                              "try again.\",\"retry_after\":%u}",
                              streams.client_maximum, retry_s);
    return bh_respond(request, 429, "application/json", (struct bh_str){ body, (size_t)size });
}

int bh_streams_refuse(struct bh_request *const request, struct bh_stream_gate *const gate,
                      const int result)
{
    if (result != BH_EBUSY && result != BH_ELIMIT)
        return result;
    const unsigned retry_s = 1 + (unsigned)(bh_time_now_us() % RETRY_SECONDS);
    char seconds[12];
    snprintf(seconds, sizeof(seconds), "%u", retry_s);
    bh_response_header(request, "Retry-After", bh_str_from(seconds));
    if (result == BH_ELIMIT)
        return refuse_client(request, gate, retry_s);
    return bh_respond(request, 503, "application/json",
                      BH_STR("{\"error\":\"Server at stream capacity, please retry\"}"));
}

int bh_streams_health_respond(struct bh_request *const request, struct bh_stream_gate *const gate)
{
    struct bh_stream_gate_statistics streams;
    bh_stream_gate_statistics(gate, &streams);
    const double utilization = (double)streams.active / (double)streams.maximum;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, ANSWER_MAX);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "status", BH_STR("ok"));
    bh_json_kv_object(&json, "streams");
    bh_json_kv_int(&json, "active_streams", streams.active);
    bh_json_kv_int(&json, "max_concurrent", streams.maximum);
    bh_json_kv_int(&json, "waiting", streams.waiting);
    bh_json_key(&json, BH_STR("utilization"));
    bh_json_fixed(&json, utilization, 3);
    bh_json_object_end(&json);
    bh_json_kv_string(&json, "health", utilization > CRITICAL ? BH_STR("critical") : BH_STR("ok"));
    bh_json_object_end(&json);
    bh_buf_append_byte(&buf, '\n');
    return bh_respond_json_take(request, 200, &buf);
}
