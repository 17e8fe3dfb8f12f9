/*
 * The HTTP layer alone, served for the tests in test_http_*.py: routes that echo, wait, stream,
 * take bodies, and tell what happened to handlers whose clients left. Options are environment
 * variables named after the fields of struct bh_http_options (times in milliseconds); with TLS_CERT
 * and TLS_KEY (files) it serves under TLS.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/http/multipart.h"
#include "bulkhead/http/server.h"
#include "bulkhead/http/static.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/runtime/lifecycle.h"
#include "bulkhead/runtime/metrics_endpoint.h"
#include "bulkhead/tls/tls.h"
#include "test_site.h"

static atomic_uint canceled_count;
static atomic_uint waiting_count;
static atomic_ullong streamed_bytes;
static atomic_uint rooms[2]; /* behind two doors */

/* ---- Handlers ---- */

static int handle_live(struct bh_request *const request)
{
    return bh_respond(request, 200, "application/json", BH_STR("{\"status\":\"ok\"}"));
}

static unsigned tell_room(void *const refused_by)
{
    return atomic_load((atomic_uint *)refused_by);
}

/* The second one for ?door=. */
static atomic_uint *room_of(struct bh_request *const request)
{
    struct bh_str door;
    return &rooms[bh_request_query(request, "door", &door)];
}

/* What is refused as long as there is no room, as the guard does. */
static int handle_crowded(struct bh_request *const request)
{
    atomic_uint *const room = room_of(request);
    if (atomic_load(room) > 0)
        return bh_respond(request, 200, "application/json", BH_STR("{}"));
    bh_request_defer_next(request, room);
    return bh_respond_error(request, 503, "Come again.");
}

/* Makes room for ?q=N. */
static int handle_room(struct bh_request *const request)
{
    struct bh_str count;
    int64_t value = 0;
    if (!bh_request_query(request, "q", &count) || bh_str_to_int64(count, 0, 1000, &value) != 0)
        return bh_respond_error(request, 422, "q: a number.");
    atomic_store(room_of(request), (unsigned)value);
    return bh_respond(request, 204, NULL, BH_STR_NONE);
}

/* Everything the request says, as JSON. */
static int handle_echo(struct bh_request *const request)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 1 << 20);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "method", bh_request_method(request));
    bh_json_kv_string(&json, "path", bh_request_path(request));
    bh_json_kv_string(&json, "host", bh_request_header(request, "host"));
    bh_json_kv_string(&json, "x", bh_request_header(request, "X-Test"));
    struct bh_str query;
    if (bh_request_query(request, "q", &query))
        bh_json_kv_string(&json, "q", query);
    bh_json_kv_string(&json, "peer", bh_request_peer(request));
    bh_json_kv_string(&json, "body", bh_request_body(request));
    bh_json_object_end(&json);
    return bh_respond_json_take(request, 200, &buf);
}

static void append_hex(struct bh_buf *const buf, const struct bh_str text)
{
    for (size_t i = 0; i < text.size; i++)
        bh_buf_printf(buf, "%02x", (unsigned)(unsigned char)text.data[i]);
}

/* A name of the loop that serves the connection. */
static int handle_loop(struct bh_request *const request)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 64);
    bh_buf_printf(&buf, "%p", (void *)bh_loop_current());
    return bh_respond_json_take(request, 200, &buf);
}

/* What was understood, byte for byte: method, path, X-Test and body, in hexadecimal digits. */
static int handle_raw(struct bh_request *const request)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 1 << 20);
    append_hex(&buf, bh_request_method(request));
    bh_buf_append_byte(&buf, ' ');
    append_hex(&buf, bh_request_path(request));
    bh_buf_append_byte(&buf, ' ');
    append_hex(&buf, bh_request_header(request, "X-Test"));
    bh_buf_append_byte(&buf, ' ');
    append_hex(&buf, bh_request_body(request));
    bh_buf_append_byte(&buf, '\n');
    return bh_respond_json_take(request, 200, &buf);
}

static int handle_item(struct bh_request *const request)
{
    int64_t id;
    struct bh_error error;
    if (bh_request_parameter_int(request, "id", 1, 1000, &id, &error) < 0)
        return bh_respond_failure(request, &error);
    return bh_respond(request, 200, "text/plain", bh_request_parameter(request, "name"));
}

static int64_t query_number(struct bh_request *const request, const char *const name,
                            const int64_t otherwise)
{
    struct bh_str text;
    int64_t value = otherwise;
    if (bh_request_query(request, name, &text) &&
        bh_str_to_int64(text, 0, INT64_MAX / 1000, &value) < 0)
        return otherwise;
    return value;
}

/* Waits ?ms=, then answers. */
static int handle_wait(struct bh_request *const request)
{
    atomic_fetch_add(&waiting_count, 1);
    const int result = bh_fiber_sleep((uint64_t)query_number(request, "ms", 100) * BH_MS_US);
    atomic_fetch_sub(&waiting_count, 1);
    if (result == BH_ECANCELED)
        atomic_fetch_add(&canceled_count, 1);
    if (result < 0)
        return result;
    return bh_respond(request, 200, "text/plain", BH_STR("waited"));
}

/* Holds its loop up for ?ms=. */
static int handle_spin(struct bh_request *const request)
{
    const uint64_t until_us = bh_time_now_us() +
                              (uint64_t)query_number(request, "ms", 100) * BH_MS_US;
    while (bh_time_now_us() < until_us)
        continue;
    return bh_respond(request, 200, "text/plain", BH_STR("spun"));
}

static char filler[1 << 20]; /* filled by main */

/* Sends ?bytes= in pieces of ?piece=. */
static int handle_stream(struct bh_request *const request)
{
    int64_t left = query_number(request, "bytes", 1000);
    const int64_t piece = query_number(request, "piece", 1000);
    int result = bh_stream_begin(request, 200, "text/plain");
    if (query_number(request, "beat", 0) > 0)
        bh_stream_set_heartbeat(request, BH_STR("beat\n"));
    while (result == 0 && left > 0) {
        int64_t size = left < piece ? left : piece;
        if (size > (int64_t)sizeof(filler))
            size = sizeof(filler);
        result = bh_stream_write(request, (struct bh_str){ filler, (size_t)size });
        atomic_fetch_add(&streamed_bytes, (unsigned long long)size);
        left -= size;
    }
    if (result == BH_ECANCELED)
        atomic_fetch_add(&canceled_count, 1);
    return result < 0 ? result : bh_stream_end(request);
}

/* One line, then nothing for ?ms=, then another; with ?beat=1 a heartbeat between them. */
static int handle_events(struct bh_request *const request)
{
    int result = bh_stream_begin(request, 200, "text/event-stream");
    if (query_number(request, "beat", 0) > 0)
        bh_stream_set_heartbeat(request, BH_STR("beat\n"));
    if (result == 0)
        result = bh_stream_write(request, BH_STR("first\n"));
    if (result == 0)
        result = bh_fiber_sleep((uint64_t)query_number(request, "ms", 100) * BH_MS_US);
    if (result == BH_ECANCELED)
        atomic_fetch_add(&canceled_count, 1);
    if (result == 0)
        result = bh_stream_write(request, BH_STR("second\n"));
    return result < 0 ? result : bh_stream_end(request);
}

static int handle_aborted(struct bh_request *const request)
{
    int result = bh_stream_begin(request, 200, "text/plain");
    if (result == 0)
        result = bh_stream_write(request, BH_STR("some of it"));
    bh_stream_abort(request);
    return result;
}

static int respond_count(struct bh_request *const request, const uint64_t count)
{
    char text[32];
    const int size = snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
    return bh_respond(request, 200, "text/plain", (struct bh_str){ text, (size_t)size });
}

/* Reads the body as it arrives, ?pause= ms between pieces, and answers with its size. */
static int handle_upload(struct bh_request *const request)
{
    const int64_t pause_ms = query_number(request, "pause", 0);
    uint64_t size = 0;
    for (;;) {
        struct bh_str piece;
        const int result = bh_request_body_read(request, &piece);
        if (result == BH_ECANCELED || result == BH_ECLOSED)
            atomic_fetch_add(&canceled_count, 1);
        if (result == BH_ETIMEDOUT)
            return bh_respond_error(request, 408, "The upload was too slow.");
        if (result < 0)
            return result == BH_ECANCELED
                       ? result
                       : bh_respond_failure(request, &(struct bh_error){ .code = result });
        if (piece.size == 0)
            return respond_count(request, size);
        size += piece.size;
        if (pause_ms > 0 && bh_fiber_sleep((uint64_t)pause_ms * BH_MS_US) < 0)
            return BH_ECANCELED;
    }
}

/* Answers before it has read anything. */
static int handle_unread(struct bh_request *const request)
{
    return bh_respond_error(request, 422, "No interest in the body.");
}

static int handle_size(struct bh_request *const request)
{
    return respond_count(request, bh_request_body(request).size);
}

/* The parts of a form: name, file name, size. */
static int handle_form(struct bh_request *const request)
{
    struct bh_multipart *form;
    struct bh_error error = { 0 };
    int result = bh_multipart_begin(request, &form, &error);
    struct bh_buf buf;
    bh_buf_init(&buf, 1 << 20);
    struct bh_multipart_item item = { .event = BH_MULTIPART_DATA };
    uint64_t size = 0;
    while (result == 0 && item.event != BH_MULTIPART_END) {
        result = bh_multipart_next(form, &item, &error);
        if (result < 0)
            break;
        if (item.event == BH_MULTIPART_DATA) {
            size += item.data.size;
            continue;
        }
        if (buf.size > 0)
            bh_buf_printf(&buf, "%llu\n", (unsigned long long)size);
        size = 0;
        if (item.event == BH_MULTIPART_PART)
            bh_buf_printf(&buf, "%.*s|%.*s|", BH_STR_ARGS(item.name), BH_STR_ARGS(item.filename));
    }
    if (result == 0)
        result = bh_respond(request, 200, "text/plain", bh_buf_peek(&buf));
    else if (result != BH_ECANCELED)
        result = bh_respond_failure(request, &error);
    bh_buf_fini(&buf);
    return result;
}

static int handle_body_of(struct bh_request *const request)
{
    const size_t size = (size_t)query_number(request, "bytes", 1000);
    struct bh_buf buf;
    bh_buf_init(&buf, size);
    char *const to = bh_buf_reserve(&buf, size);
    if (!to)
        return BH_ENOMEM;
    memset(to, 'y', size);
    bh_buf_advance(&buf, size);
    return bh_respond_json_take(request, 200, &buf);
}

static int handle_status(struct bh_request *const request)
{
    bh_response_header(request, "X-Extra", BH_STR("1"));
    return bh_respond(request, (int)query_number(request, "code", 200), "text/plain",
                      BH_STR("body"));
}

static int handle_nothing(struct bh_request *const request)
{
    (void)request;
    return 0;
}

static int handle_failure(struct bh_request *const request)
{
    (void)request;
    return BH_EIO;
}

/* What the server has seen: waiting handlers, cancelled ones, bytes streamed. */
static int handle_counts(struct bh_request *const request)
{
    char text[128];
    const int size = snprintf(text, sizeof(text),
                              "{\"waiting\":%u,\"canceled\":%u,\"streamed\":%llu}",
                              atomic_load(&waiting_count), atomic_load(&canceled_count),
                              (unsigned long long)atomic_load(&streamed_bytes));
    return bh_respond(request, 200, "application/json", (struct bh_str){ text, (size_t)size });
}

static int handle_site(struct bh_request *const request)
{
    const int result = bh_static_respond(request, &test_site, bh_request_path(request));
    return result == BH_ENOTFOUND ? bh_respond_error(request, 404, "No such file.") : result;
}

static const struct bh_route routes[] = {
    { .method = "GET", .pattern = "/api/health/live", .handler = handle_live },
    { .method = "GET", .pattern = "/api/health/ready", .handler = handle_live },
    { .method = "GET", .pattern = "/metrics", .handler = bh_metrics_respond },
    { .method = "GET", .pattern = "/echo", .handler = handle_echo },
    { .method = "POST", .pattern = "/echo", .handler = handle_echo, .body_maximum = 100000 },
    { .method = "GET", .pattern = "/items/{id}/{name}", .handler = handle_item },
    { .method = "GET", .pattern = "/crowded", .handler = handle_crowded },
    { .method = "GET", .pattern = "/room", .handler = handle_room },
    { .method = "GET", .pattern = "/loop", .handler = handle_loop },
    { .method = "GET", .pattern = "/wait", .handler = handle_wait },
    { .method = "GET", .pattern = "/spin", .handler = handle_spin },
    { .method = "GET", .pattern = "/short", .handler = handle_wait, .deadline_us = 200000 },
    { .method = "GET", .pattern = "/stream", .handler = handle_stream },
    { .method = "GET", .pattern = "/events", .handler = handle_events },
    { .method = "GET", .pattern = "/aborted", .handler = handle_aborted },
    { .method = "POST",
      .pattern = "/upload",
      .handler = handle_upload,
      .body_maximum = 300000000,
      .deadline_us = 60000000,
      .stream_body = true },
    { .method = "POST",
      .pattern = "/unread",
      .handler = handle_unread,
      .body_maximum = 300000000,
      .stream_body = true },
    { .method = "POST", .pattern = "/size", .handler = handle_size, .body_maximum = 10000000 },
    { .method = "POST", .pattern = "/empty", .handler = handle_size },
    { .method = "POST",
      .pattern = "/form",
      .handler = handle_form,
      .body_maximum = 10000000,
      .stream_body = true },
    { .method = "GET", .pattern = "/body", .handler = handle_body_of },
    { .method = "GET", .pattern = "/status", .handler = handle_status },
    { .method = "GET", .pattern = "/nothing", .handler = handle_nothing },
    { .method = "GET", .pattern = "/failure", .handler = handle_failure },
    { .method = "GET", .pattern = "/counts", .handler = handle_counts },
    { .method = "GET", .pattern = "/", .handler = handle_site },
    { .method = "GET", .pattern = "/site/{path...}", .handler = handle_site },
};

/* With RAW=1: every request is taken. */
static const struct bh_route raw_routes[] = {
    { .method = "GET", .pattern = "/api/health/ready", .handler = handle_live },
    { .method = "*", .pattern = "/{path...}", .handler = handle_raw, .body_maximum = 100000 },
};

/* ---- The program ---- */

static uint64_t number_from_environment(const char *const name, const uint64_t otherwise)
{
    const char *const text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void read_options(struct bh_http_options *const options)
{
    bh_http_options_default(options);
#define TIME(field, name) \
    options->field = number_from_environment(name, options->field / 1000) * 1000
    TIME(head_timeout_us, "HEAD_TIMEOUT");
    TIME(idle_timeout_us, "IDLE_TIMEOUT");
    TIME(request_timeout_us, "REQUEST_TIMEOUT");
    TIME(write_timeout_us, "WRITE_TIMEOUT");
    TIME(body_grace_us, "BODY_GRACE");
    TIME(heartbeat_us, "HEARTBEAT");
    TIME(defer_us, "DEFER");
#undef TIME
    options->body_bytes_per_second = number_from_environment("BODY_RATE",
                                                             options->body_bytes_per_second);
    options->connections_maximum = (unsigned)number_from_environment("CONNECTIONS_MAXIMUM",
                                                                     options->connections_maximum);
    options->sent_bytes_per_second = number_from_environment("SEND_RATE",
                                                             options->sent_bytes_per_second);
    options->unsent_maximum = number_from_environment("UNSENT_MAXIMUM", options->unsent_maximum);
    options->room = tell_room;
    options->access_log = number_from_environment("ACCESS_LOG", 0) != 0;
    options->access_log_percent = (unsigned)number_from_environment("ACCESS_LOG_PERCENT", 100);
}

int main(void)
{
    struct bh_lifecycle_options options = {
        .host = "127.0.0.1",
        .port = (unsigned)number_from_environment("PORT", 0),
        .loops = (unsigned)number_from_environment("LOOPS", 2),
        .shutdown_timeout_us = number_from_environment("SHUTDOWN_TIMEOUT", 10000) * 1000,
    };
    read_options(&options.http);
    memset(filler, 'x', sizeof(filler));
    bh_log_setup(BH_LOG_INFO, BH_LOG_TEXT, 2);
    struct bh_router *router;
    struct bh_error error = { 0 };
    int result = bh_router_create(&router);
    if (result == 0)
        result = number_from_environment("RAW", 0)
                     ? bh_router_add(router, raw_routes, BH_COUNT_OF(raw_routes), &error)
                     : bh_router_add(router, routes, BH_COUNT_OF(routes), &error);
    options.router = router;
    if (result == 0 && getenv("TLS_CERT"))
        result = bh_tls_server_create(getenv("TLS_CERT"), getenv("TLS_KEY"), &options.http.tls,
                                      &error);
    if (result == 0)
        result = bh_lifecycle_run(&options, &error);
    if (result < 0)
        fprintf(stderr, "http_server: %s\n", error.message);
    bh_router_destroy(router);
    bh_tls_destroy(options.http.tls);
    bh_log_flush();
    return result == 0 ? 0 : 1;
}
