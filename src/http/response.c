/*
 * Whole answers. The head is put together in a buffer of the loop's, and goes out in one write with
 * the body.
 */
#include "http/connection.h"

#include <stdarg.h>
#include <stdio.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "http/chars.h"
#include "http/status.h"

#define JSON_TYPE "application/json"
#define JOINED_BODY_MAX 1024 /* copying this little costs less than a second piece to write */
#define DETAIL_MAX 1024
#define ERROR_JSON_MAX 16384
#define RETRY_AFTER_SECONDS 1 /* where nobody knows better */

/* ---- The head ---- */

static void append_digits(struct bh_buf *const buf, uint64_t value, const int width)
{
    char digits[20];
    for (int at = width - 1; at >= 0; at--, value /= 10)
        digits[at] = (char)('0' + value % 10);
    bh_buf_append(buf, digits, (size_t)width);
}

static void append_response_time(struct bh_buf *const buf, const uint64_t duration_us)
{
    bh_buf_append_str(buf, BH_STR("X-Response-Time: "));
    bh_buf_append_int(buf, (int64_t)(duration_us / BH_SECOND_US));
    bh_buf_append_byte(buf, '.');
    append_digits(buf, duration_us % BH_SECOND_US, 6);
    bh_buf_append_str(buf, BH_STR("\r\n"));
}

static void append_status_line(struct bh_buf *const buf, const int status)
{
    if (status == 200) {
        bh_buf_append_str(buf, BH_STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    bh_buf_append_str(buf, BH_STR("HTTP/1.1 "));
    append_digits(buf, (uint64_t)status, 3);
    bh_buf_append_byte(buf, ' ');
    bh_buf_append_str(buf, bh_str_from(bh_http_status_text(status)));
    bh_buf_append_str(buf, BH_STR("\r\n"));
}

static void append_field(struct bh_buf *const buf, const struct bh_str name,
                         const struct bh_str value)
{
    bh_buf_append_str(buf, name);
    bh_buf_append_str(buf, BH_STR(": "));
    bh_buf_append_str(buf, value);
    bh_buf_append_str(buf, BH_STR("\r\n"));
}

static bool has_no_body(const int status)
{
    return status < 200 || status == 204 || status == 304;
}

/* Whether the connection ends with this answer. A body that was not read is thrown away if it is
 * all here, else it would be taken for the next request. */
static bool is_last(struct bh_request *const request, const bool is_stream)
{
    const struct bh_connection *const connection = request->connection;
    const bool body_is_read = request->body.is_complete || (!is_stream && bh_body_discard(request));
    if (!body_is_read || !request->head.keep_alive)
        return true;
    if (is_stream && request->head.minor_version == 0)
        return true;
    /* Before the drain begins, too: a connection closed by its answer has no request on its way. */
    return bh_http_server_is_draining(request->http->server) &&
           connection->body_at == connection->end;
}

int bh_response_head(struct bh_request *const request, const int status,
                     const char *const content_type, const int64_t length)
{
    struct bh_http_loop *const http = request->http;
    struct bh_buf *const buf = &http->head;
    const bool is_stream = length < 0;
    request->answer.status = status;
    request->answer.at_us = bh_time_now_us();
    request->answer.close = is_last(request, is_stream);
    bh_buf_clear(buf);
    append_status_line(buf, status);
    bh_buf_append_str(buf, bh_http_date(http));
    if (content_type)
        append_field(buf, BH_STR("Content-Type"), bh_str_from(content_type));
    if (is_stream && request->head.minor_version > 0) {
        bh_buf_append_str(buf, BH_STR("Transfer-Encoding: chunked\r\n"));
    } else if (!is_stream && !has_no_body(status)) {
        bh_buf_append_str(buf, BH_STR("Content-Length: "));
        bh_buf_append_int(buf, length);
        bh_buf_append_str(buf, BH_STR("\r\n"));
    }
    append_field(buf, BH_STR("X-Request-ID"), bh_request_id(request));
    append_response_time(buf, request->answer.at_us - request->started_us);
    if (request->answer.close)
        bh_buf_append_str(buf, BH_STR("Connection: close\r\n"));
    else if (request->head.minor_version == 0)
        bh_buf_append_str(buf, BH_STR("Connection: keep-alive\r\n"));
    bh_buf_append_str(buf, bh_buf_peek(&request->answer.fields));
    bh_buf_append_str(buf, BH_STR("\r\n"));
    return bh_buf_error(&request->answer.fields) ? bh_buf_error(&request->answer.fields)
                                                 : bh_buf_error(buf);
}

void bh_response_header(struct bh_request *const request, const char *const name,
                        const struct bh_str value)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    bh_assert(bh_chars_are(bh_str_from(name), BH_CHAR_TOKEN));
    for (size_t i = 0; i < value.size; i++)
        bh_assert(value.data[i] != '\r' && value.data[i] != '\n' && value.data[i] != '\0');
    append_field(&request->answer.fields, bh_str_from(name), value);
}

void bh_response_lines(struct bh_request *const request, const struct bh_str lines)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    bh_assert(bh_str_ends_with(lines, BH_STR("\r\n")));
    bh_buf_append_str(&request->answer.fields, lines);
}

/* ---- Answers ---- */

static int fail_head(struct bh_request *const request, const int error)
{
    bh_log_error("http", "the head of an answer could not be made (%s); its connection closes",
                 bh_error_text(error));
    bh_connection_close(request->connection, true);
    return BH_ECANCELED;
}

int bh_respond_held(struct bh_request *const request, const int status,
                    const char *const content_type, const struct bh_str body,
                    const enum bh_transport_hold hold, struct bh_buf *const taken)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    if (request->connection->state == BH_CONNECTION_CLOSED) {
        if (hold == BH_TRANSPORT_TAKE)
            bh_buf_fini(taken);
        return BH_ECANCELED;
    }
    bh_assert(request->answer.state == BH_ANSWER_NONE);
    int result = bh_response_head(request, status, content_type, (int64_t)body.size);
    if (result == 0) {
        struct bh_buf *const head = &request->http->head;
        bool with_body = body.size > 0 && request->head.method_id != BH_METHOD_HEAD &&
                         !has_no_body(status);
        request->answer.state = BH_ANSWER_DONE;
        request->answer.sent = head->size + (with_body ? body.size : 0);
        if (with_body && body.size <= JOINED_BODY_MAX) {
            bh_buf_append_str(head, body);
            with_body = false;
        }
        const struct bh_str pieces[] = { bh_buf_peek(head), body };
        result = with_body
                     ? bh_connection_send(request->connection, pieces, 2, hold, taken)
                     : bh_connection_send(request->connection, pieces, 1, BH_TRANSPORT_COPY, NULL);
    } else {
        result = fail_head(request, result);
    }
    if (hold == BH_TRANSPORT_TAKE)
        bh_buf_fini(taken);
    return result;
}

int bh_respond(struct bh_request *const request, const int status, const char *const content_type,
               const struct bh_str body)
{
    return bh_respond_held(request, status, content_type, body, BH_TRANSPORT_COPY, NULL);
}

int bh_respond_pieces(struct bh_request *const request, const int status,
                      const char *const content_type, const struct bh_str *const pieces,
                      const unsigned count)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    bh_assert(count < BH_TRANSPORT_PIECES_MAX);
    if (request->connection->state == BH_CONNECTION_CLOSED)
        return BH_ECANCELED;
    bh_assert(request->answer.state == BH_ANSWER_NONE);
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += pieces[i].size;
    const int result = bh_response_head(request, status, content_type, (int64_t)size);
    if (result != 0)
        return fail_head(request, result);
    struct bh_str sent[BH_TRANSPORT_PIECES_MAX] = { bh_buf_peek(&request->http->head) };
    unsigned sent_count = 1;
    if (request->head.method_id != BH_METHOD_HEAD && !has_no_body(status))
        for (unsigned i = 0; i < count; i++)
            sent[sent_count++] = pieces[i];
    request->answer.state = BH_ANSWER_DONE;
    request->answer.sent = sent[0].size + (sent_count > 1 ? size : 0);
    return bh_connection_send(request->connection, sent, sent_count, BH_TRANSPORT_COPY, NULL);
}

/* ---- Errors ---- */

static int respond_error_text(struct bh_request *const request, const int status,
                              const struct bh_str detail, const unsigned retry_s)
{
    struct bh_buf buf BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&buf, ERROR_JSON_MAX);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "error", bh_str_from(bh_http_status_text(status)));
    bh_json_kv_string(&json, "detail", detail);
    bh_json_kv_string(&json, "request_id", bh_request_id(request));
    bh_json_object_end(&json);
    if (status == 503) {
        char seconds[12];
        snprintf(seconds, sizeof(seconds), "%u", retry_s);
        bh_response_header(request, "Retry-After", bh_str_from(seconds));
    }
    const struct bh_str body = bh_buf_error(&buf) ? BH_STR("{}") : bh_buf_peek(&buf);
    return bh_respond(request, status, JSON_TYPE, body);
}

int bh_respond_error(struct bh_request *const request, const int status, const char *const format,
                     ...)
{
    char detail[DETAIL_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    const size_t written = size < 0 ? 0 : (size_t)size < DETAIL_MAX ? (size_t)size : DETAIL_MAX - 1;
    return respond_error_text(request, status, (struct bh_str){ detail, written },
                              RETRY_AFTER_SECONDS);
}

static int status_of(const int error)
{
    switch (error) {
    case BH_ENOTFOUND:
        return 404;
    case BH_EINVAL:
        return 422;
    case BH_ESYNTAX:
        return 400;
    case BH_ELIMIT:
        return 413;
    case BH_EUNSUPPORTED:
        return 415;
    case BH_EUNAVAILABLE:
    case BH_ETIMEDOUT:
    case BH_EBUSY:
    case BH_ESHUTDOWN:
        return 503;
    case BH_ECONFLICT:
    case BH_EEXISTS:
        return 409;
    case BH_EACCESS:
        return 403;
    case BH_ENOSPACE:
        return 507;
    default:
        return 500;
    }
}

int bh_respond_failure(struct bh_request *const request, const struct bh_error *const error)
{
    return respond_error_text(
        request, status_of(error->code),
        bh_str_from(error->message[0] ? error->message : bh_error_text(error->code)),
        error->retry_s ? error->retry_s : RETRY_AFTER_SECONDS);
}

int bh_respond_json_take(struct bh_request *const request, const int status,
                         struct bh_buf *const json)
{
    const int error = bh_buf_error(json);
    if (error == 0)
        return bh_respond_held(request, status, JSON_TYPE, bh_buf_peek(json), BH_TRANSPORT_TAKE,
                               json);
    bh_buf_fini(json);
    return bh_respond_error(request, error == BH_ENOMEM ? 503 : 500,
                            "The answer could not be built: %s.", bh_error_text(error));
}
