/*
 * From a complete head to its handler, and from the handler's end to the next request.
 */
#include "http/connection.h"

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "http/urlcode.h"

/* ---- The end of a request ---- */

static void log_access(struct bh_request *const request, const uint64_t duration_us)
{
    const struct bh_log_context *const before = bh_log_context_get();
    bh_log_context_set(&request->log_context);
    const struct bh_log_access access = { .method = request->method,
                                          .path = request->path,
                                          .status = request->answer.status,
                                          .duration_us = duration_us,
                                          .bytes_sent = request->answer.sent,
                                          .peer = bh_request_peer(request) };
    bh_log_access(&access);
    bh_log_context_set(before);
}

/* What went wrong or took long is always worth a line. */
static bool is_logged(struct bh_request *const request, const uint64_t duration_us)
{
    const struct bh_http_options *const options = request->http->options;
    if (!options->access_log)
        return false;
    return options->access_log_percent >= 100 || request->answer.status >= 400 ||
           duration_us >= BH_SECOND_US ||
           bh_http_random(request->http) % 100 < options->access_log_percent;
}

/* The answer is with the transport, or the client has gone. */
static void end(struct bh_request *const request)
{
    struct bh_http_loop *const http = request->http;
    struct bh_connection *const connection = request->connection;
    const bool was_streamed = request->answer.stream.maximum > 0;
    const uint64_t duration_us = (was_streamed ? bh_time_now_us() : request->answer.at_us) -
                                 request->started_us;
    bh_metrics_add(http->metrics.sent, (int64_t)request->answer.sent);
    if (connection->state == BH_CONNECTION_CLOSED) {
        bh_metrics_add(http->metrics.abandoned, 1);
    } else {
        bh_http_metrics_answered(&http->metrics, request->match.route, request->head.method_id,
                                 request->answer.status, duration_us);
        if (is_logged(request, duration_us))
            log_access(request, duration_us);
    }
    bh_connection_answered(connection);
}

static void begin_id(struct bh_request *const request)
{
    struct bh_str id = BH_STR_NONE;
    if (request->data)
        id = bh_head_field(&request->head, request->data, BH_STR("X-Request-ID"));
    bool is_fit = id.size > 0 && id.size <= BH_REQUEST_ID_MAX;
    for (size_t i = 0; is_fit && i < id.size; i++) {
        const char byte = id.data[i];
        is_fit = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                 (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
    }
    if (is_fit) {
        memcpy(request->id, id.data, id.size);
    } else {
        bh_http_id(request->http, request->id);
        id.size = BH_HTTP_ID_BYTES;
    }
    request->log_context.request_id = (struct bh_str){ request->id, id.size };
}

void bh_request_refuse(struct bh_request *const request, const int status, const char *const detail)
{
    request->is_answering = true;
    if (request->started_us == 0) { /* its head was never complete */
        request->started_us = bh_time_now_us();
        request->head.keep_alive = false;
        begin_id(request);
    }
    if (bh_respond_error(request, status, "%s", detail) < 0)
        request->answer.close = true;
    end(request);
}

/* ---- The handler ---- */

/* Gives the answer that the handler did not. */
static void complete_answer(struct bh_request *const request, const int result)
{
    int answered = 0;
    if (request->connection->state == BH_CONNECTION_CLOSED ||
        request->answer.state == BH_ANSWER_DONE)
        return;
    if (request->answer.state == BH_ANSWER_STREAMING || result == BH_ECANCELED) {
        if (result == 0)
            bh_log_error("http", "a handler left its stream open; the connection is closed");
        bh_stream_abort(request);
        return;
    }
    if (result == BH_ETIMEDOUT) {
        answered = bh_respond_error(request, 503, "The answer was not ready in time.");
    } else {
        bh_log_error("http", "a handler gave no answer (%s); the client gets 500",
                     result == 0 ? "it returned success" : bh_error_text(result));
        answered = bh_respond_error(request, 500, "The request could not be handled.");
    }
    if (answered < 0)
        request->answer.close = true;
}

int bh_request_handle(struct bh_request *const request)
{
    return request->match.route->handler(request);
}

static void run_handler(void *const argument)
{
    struct bh_request *const request = argument;
    const struct bh_route *const route = request->match.route;
    const uint64_t allowance_us = route->deadline_us ? route->deadline_us
                                                     : request->http->options->request_timeout_us;
    request->fiber = bh_fiber_current();
    bh_fiber_set_deadline(bh_loop_now_us(request->http->loop) + allowance_us);
    if (request->http->is_overdue)
        bh_fiber_expire(request->fiber);
    bh_fiber_set_log_context(&request->log_context);
    const struct bh_http_options *const options = request->http->options;
    const int result = options->guard ? options->guard(request, options->guard_argument)
                                      : route->handler(request);
    complete_answer(request, result);
    request->fiber = NULL;
    bh_fiber_set_log_context(NULL);
    end(request);
}

void bh_request_start(struct bh_request *const request)
{
    request->is_answering = true;
    bh_connection_handler_begins(request->connection);
    const int result = bh_fiber_spawn(request->http->loop, run_handler, request);
    if (result < 0)
        bh_request_refuse(request, 503, "The server has too much work in hand.");
}

/* ---- Dispatch ---- */

static bool has_valid_url(struct bh_request *const request)
{
    char *const scratch = request->http->scratch;
    _Static_assert(sizeof(request->http->scratch) >= BH_HEAD_BYTES_MAX, "a target must fit");
    if (bh_url_is_valid(request->path, scratch) && bh_url_is_valid(request->query, scratch))
        return true;
    bh_metrics_add(request->http->metrics.refused_url, 1);
    return false;
}

static void answer_options(struct bh_request *const request, const char *const allow)
{
    request->is_answering = true;
    bh_response_header(request, "Allow", bh_str_from(allow));
    if (bh_respond(request, 204, NULL, BH_STR_NONE) < 0)
        request->answer.close = true;
    end(request);
}

/* There is no handler for it. */
static void answer_unrouted(struct bh_request *const request)
{
    const enum bh_http_method method = request->head.method_id;
    const char *const allow = request->match.allow;
    if (method == BH_METHOD_OPTIONS && request->head.is_asterisk) {
        answer_options(request, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    } else if (method == BH_METHOD_OTHER) {
        bh_request_refuse(request, 501, "The method is not implemented.");
    } else if (!allow) {
        bh_request_refuse(request, 404, "There is nothing at this path.");
    } else if (method == BH_METHOD_OPTIONS) {
        answer_options(request, allow);
    } else {
        bh_response_header(request, "Allow", bh_str_from(allow));
        bh_request_refuse(request, 405,
                          "The resource does not have this method; Allow names those "
                          "it has.");
    }
}

void bh_request_dispatch(struct bh_request *const request)
{
    const struct bh_head *const head = &request->head;
    request->started_us = bh_time_now_us();
    request->method = bh_head_slice_str(head->method, request->data);
    request->path = bh_head_path(head, request->data);
    request->query = bh_head_slice_str(head->query, request->data);
    begin_id(request);
    bh_body_init(request);
    if (!has_valid_url(request)) {
        bh_request_refuse(request, 400,
                          "The URL holds a malformed percent escape, %00, or text "
                          "that is not UTF-8.");
        return;
    }
    if (head->is_asterisk || bh_router_match(request->http->router, request->method, request->path,
                                             &request->match) < 0) {
        answer_unrouted(request);
        return;
    }
    const struct bh_route *const route = request->match.route;
    request->log_context.route = bh_str_from(route->pattern);
    if (head->content_length > 0 && (uint64_t)head->content_length > route->body_maximum) {
        bh_request_refuse(request, 413, "The body is longer than this resource takes.");
        return;
    }
    if (route->stream_body || request->body.is_complete)
        bh_request_start(request);
    else
        bh_connection_body_begins(request->connection);
}
