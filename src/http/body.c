/*
 * Request bodies. The connection reads into its buffer; here the bytes are taken from it, either
 * gathered whole before the handler runs, or handed to the handler piece by piece. While pieces
 * wait the buffer fills and reading stops, so a body never takes more memory than its limit or a
 * buffer.
 */
#include "http/connection.h"

#include "bulkhead/base/time.h"

enum body_step { STEP_MORE, STEP_PIECE, STEP_END, STEP_MALFORMED };

void bh_body_init(struct bh_request *const request)
{
    if (request->head.is_chunked) {
        request->body.framing = BH_BODY_CHUNKED;
    } else if (request->head.content_length > 0) {
        request->body.framing = BH_BODY_LENGTH;
        request->body.left = (uint64_t)request->head.content_length;
    } else {
        request->body.framing = BH_BODY_NONE;
        request->body.is_complete = true;
    }
    request->body.continue_is_due = request->head.expect_continue && !request->body.is_complete;
}

/* ---- Taking pieces from the connection's buffer ---- */

static enum body_step next_chunk(struct bh_request *const request, struct bh_str *const ret_piece)
{
    struct bh_connection *const connection = request->connection;
    struct bh_str input = { connection->buffer + connection->body_at,
                            connection->end - connection->body_at };
    const enum bh_chunked_result result = bh_chunked_next(&request->body.chunked, &input,
                                                          ret_piece);
    connection->body_at = connection->end - (uint32_t)input.size;
    switch (result) {
    case BH_CHUNKED_MORE:
        return STEP_MORE;
    case BH_CHUNKED_DATA:
        return STEP_PIECE;
    case BH_CHUNKED_END:
        request->body.is_complete = true;
        return STEP_END;
    case BH_CHUNKED_REFUSED:
        break;
    }
    bh_metrics_add(request->http->metrics.refused_body, 1);
    return STEP_MALFORMED;
}

static enum body_step next_piece(struct bh_request *const request, struct bh_str *const ret_piece)
{
    struct bh_connection *const connection = request->connection;
    if (request->body.is_complete)
        return STEP_END;
    if (request->body.framing == BH_BODY_CHUNKED)
        return next_chunk(request, ret_piece);
    const size_t there = connection->end - connection->body_at;
    if (there == 0)
        return STEP_MORE;
    const size_t size = request->body.left < there ? (size_t)request->body.left : there;
    *ret_piece = (struct bh_str){ connection->buffer + connection->body_at, size };
    connection->body_at += (uint32_t)size;
    request->body.left -= size;
    request->body.is_complete = request->body.left == 0;
    return STEP_PIECE;
}

/* All that was buffered has been used: the space behind the head is free again. */
static void rewind_buffer(struct bh_request *const request)
{
    struct bh_connection *const connection = request->connection;
    if (connection->body_at != connection->end)
        return;
    connection->body_at = connection->end = connection->begin + request->head.size;
}

enum bh_body_result bh_body_gather(struct bh_request *const request)
{
    struct bh_str piece = BH_STR_NONE;
    const uint64_t maximum = request->match.route->body_maximum;
    for (;;) {
        switch (next_piece(request, &piece)) {
        case STEP_MORE:
            rewind_buffer(request);
            return BH_BODY_MORE;
        case STEP_MALFORMED:
            return BH_BODY_MALFORMED;
        case STEP_END:
            if (!request->body.whole.data)
                request->body.whole = bh_buf_peek(&request->body.gathered);
            return BH_BODY_DONE;
        case STEP_PIECE:
            break;
        }
        request->body.received += piece.size;
        if (request->body.received > maximum)
            return BH_BODY_TOO_LARGE;
        if (request->body.framing == BH_BODY_LENGTH && request->body.is_complete &&
            request->body.gathered.size == 0) {
            request->body.whole = piece; /* it came with its head: no copy */
            continue;
        }
        if (!request->body.gathered.data)
            bh_buf_init(&request->body.gathered, maximum);
        bh_buf_append_str(&request->body.gathered, piece);
        if (bh_buf_error(&request->body.gathered))
            return BH_BODY_TOO_LARGE;
    }
}

bool bh_body_discard(struct bh_request *const request)
{
    struct bh_str piece;
    while (next_piece(request, &piece) == STEP_PIECE)
        continue;
    return request->body.is_complete;
}

/* ---- Waiting for the client ---- */

void bh_body_wait_begin(struct bh_request *const request)
{
    struct bh_connection *const connection = request->connection;
    if (request->body.continue_is_due) {
        static const struct bh_str answer = BH_STR("HTTP/1.1 100 Continue\r\n\r\n");
        request->body.continue_is_due = false;
        if (connection->end == connection->body_at &&
            bh_connection_send(connection, &answer, 1, BH_TRANSPORT_CONSTANT, NULL) < 0)
            return;
    }
    request->body.waiting_since_us = bh_loop_now_us(request->http->loop);
    /* Once begun, the check recurs by itself: bytes that drip in must not put it off. */
    if (!connection->deadline.is_running || connection->deadline.kind != BH_DEADLINE_BODY)
        bh_deadline_start(&request->http->deadlines, &connection->deadline, BH_DEADLINE_BODY);
    bh_connection_update_reading(connection);
}

void bh_body_wait_end(struct bh_request *const request)
{
    if (request->body.waiting_since_us == 0)
        return;
    request->body.waited_us += bh_loop_now_us(request->http->loop) - request->body.waiting_since_us;
    request->body.waiting_since_us = 0;
}

bool bh_body_is_too_slow(const struct bh_request *const request)
{
    if (request->body.waiting_since_us == 0)
        return false;

    const struct bh_http_options *const options = request->http->options;
    if (options->body_bytes_per_second == 0)
        return false;
    const uint64_t waited_us = request->body.waited_us + bh_loop_now_us(request->http->loop) -
                               request->body.waiting_since_us;
    if (waited_us <= options->body_grace_us)
        return false;
    const double due = (double)(waited_us - options->body_grace_us) / (double)BH_SECOND_US *
                       (double)options->body_bytes_per_second;
    return (double)request->body.received < due;
}

/* ---- The handler's side ---- */

/* Parks until bytes have come. 0, or why none will. */
static int wait_for_bytes(struct bh_request *const request)
{
    const struct bh_connection *const connection = request->connection;
    if (connection->has_finished_sending)
        return BH_ECLOSED;
    rewind_buffer(request);
    bh_body_wait_begin(request);
    int result = 0;
    while (result == 0 && connection->state != BH_CONNECTION_CLOSED &&
           connection->body_at == connection->end && !connection->has_finished_sending &&
           !bh_body_is_too_slow(request)) {
        request->body.reader_is_waiting = true;
        result = bh_fiber_park();
        request->body.reader_is_waiting = false;
    }
    const bool is_too_slow = bh_body_is_too_slow(request);
    bh_body_wait_end(request);
    if (result < 0)
        return result;
    if (connection->state == BH_CONNECTION_CLOSED)
        return BH_ECANCELED;
    if (is_too_slow)
        return BH_ETIMEDOUT;
    return connection->body_at == connection->end ? BH_ECLOSED : 0;
}

int bh_request_body_read(struct bh_request *const request, struct bh_str *const ret_piece)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    for (;;) {
        if (request->connection->state == BH_CONNECTION_CLOSED)
            return BH_ECANCELED;
        struct bh_str piece = BH_STR_NONE;
        const enum body_step step = next_piece(request, &piece);
        if (step == STEP_MALFORMED)
            return BH_ESYNTAX;
        if (step == STEP_MORE) {
            const int result = wait_for_bytes(request);
            if (result < 0)
                return result;
            continue;
        }
        request->body.received += piece.size;
        if (request->body.received > request->match.route->body_maximum)
            return BH_ELIMIT;
        *ret_piece = piece;
        return 0;
    }
}
