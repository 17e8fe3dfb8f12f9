/*
 * Streamed answers. Small writes of one loop turn are gathered into one chunk; what the client does
 * not take fast enough waits in the transport, up to a limit at which the handler is parked.
 */
#include "http/connection.h"

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"

#define GATHERED_MAX 16384
#define SLICE_MAX 65536
#define WAITING_MAX (64 * 1024) /* the system's buffer has as much again, and more */

static bool sends_body(const struct bh_request *const request)
{
    return request->head.method_id != BH_METHOD_HEAD;
}

static void begin_silence(struct bh_request *const request)
{
    if (request->answer.heartbeat.size > 0)
        bh_deadline_start(&request->http->deadlines, &request->answer.silence, BH_DEADLINE_SILENCE);
}

/* Sends `data` as one chunk, and the last chunk behind it if `is_end`. */
static int send_chunk(struct bh_request *const request, const struct bh_str data, const bool is_end)
{
    struct bh_connection *const connection = request->connection;
    begin_silence(request);
    if (request->head.minor_version == 0) {
        if (data.size == 0)
            return 0;
        request->answer.sent += data.size;
        return bh_connection_send(connection, &data, 1, BH_TRANSPORT_COPY, NULL);
    }
    static const char digits[] = "0123456789abcdef";
    char size_line[18];
    size_t at = sizeof(size_line);
    size_line[--at] = '\n';
    size_line[--at] = '\r';
    for (size_t rest = data.size; rest > 0; rest >>= 4)
        size_line[--at] = digits[rest & 15];
    struct bh_str pieces[3] = { { size_line + at, sizeof(size_line) - at },
                                data,
                                is_end ? BH_STR("\r\n0\r\n\r\n") : BH_STR("\r\n") };
    unsigned first = 0;
    if (data.size == 0) {
        if (!is_end)
            return 0;
        pieces[2] = BH_STR("0\r\n\r\n");
        first = 2;
    }
    for (unsigned i = first; i < 3; i++)
        request->answer.sent += pieces[i].size;
    return bh_connection_send(connection, pieces + first, 3 - first, BH_TRANSPORT_COPY, NULL);
}

static int flush(struct bh_request *const request, const bool is_end)
{
    struct bh_buf *const gathered = &request->answer.stream;
    const int result = send_chunk(request, bh_buf_peek(gathered), is_end);
    bh_buf_clear(gathered);
    bh_list_unlink(&request->connection->unflushed);
    return result;
}

int bh_stream_flush(struct bh_request *const request)
{
    return flush(request, false);
}

void bh_stream_set_heartbeat(struct bh_request *const request, const struct bh_str text)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    if (request->answer.state != BH_ANSWER_STREAMING || !sends_body(request))
        return;
    request->answer.heartbeat = text;
    begin_silence(request);
}

/* A writer that is parked may be within a line; and a client that has something to take already
 * needs no more. */
void bh_stream_silence_expired(struct bh_deadline *const deadline)
{
    struct bh_request *const request = BH_CONTAINER_OF(deadline, struct bh_request, answer.silence);
    bh_magic_check(request, BH_REQUEST_MAGIC);
    const struct bh_connection *const connection = request->connection;
    if (connection->state == BH_CONNECTION_CLOSED)
        return;
    if (request->answer.stream.size > 0 || connection->is_writer_waiting ||
        bh_transport_waiting(&connection->transport) > 0)
        begin_silence(request);
    else if (send_chunk(request, request->answer.heartbeat, false) < 0)
        return; /* that has closed the connection */
}

/* Called at the end of the loop turn. */
static void flush_later(struct bh_request *const request)
{
    struct bh_http_loop *const http = request->http;
    struct bh_list *const node = &request->connection->unflushed;
    if (!bh_list_is_empty(node))
        return;
    bh_list_append(&http->unflushed, node);
    bh_http_flush_soon(http);
}

static int park_until_taken(struct bh_connection *const connection, const size_t most)
{
    while (bh_transport_waiting(&connection->transport) > most) {
        connection->is_writer_waiting = true;
        bh_fiber_park_uncancelable(); /* until there is room, or the connection closes */
        connection->is_writer_waiting = false;
        if (connection->state == BH_CONNECTION_CLOSED)
            return BH_ECANCELED;
    }
    return 0;
}

/* Until at most `most` bytes wait. The write-progress time-out bounds it; the request's deadline is
 * for its own work, and later by this wait. */
static int wait_for_client(struct bh_request *const request, const size_t most)
{
    if (bh_transport_waiting(&request->connection->transport) <= most)
        return 0;
    const uint64_t deadline_us = bh_fiber_deadline(), begun_us = bh_time_now_us();
    const int result = park_until_taken(request->connection, most);
    if (deadline_us != BH_NEVER_US)
        bh_fiber_set_deadline(deadline_us + (bh_time_now_us() - begun_us));
    return result;
}

int bh_stream_begin(struct bh_request *const request, const int status,
                    const char *const content_type)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    if (request->connection->state == BH_CONNECTION_CLOSED)
        return BH_ECANCELED;
    bh_assert(request->answer.state == BH_ANSWER_NONE && request->fiber == bh_fiber_current());
    if (bh_response_head(request, status, content_type, -1) < 0) {
        bh_connection_close(request->connection, true);
        return BH_ECANCELED;
    }
    request->answer.state = BH_ANSWER_STREAMING;
    bh_buf_init(&request->answer.stream, GATHERED_MAX);
    const struct bh_str head = bh_buf_peek(&request->http->head);
    request->answer.sent = head.size;
    return bh_connection_send(request->connection, &head, 1, BH_TRANSPORT_COPY, NULL);
}

int bh_stream_write(struct bh_request *const request, struct bh_str data)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    struct bh_buf *const gathered = &request->answer.stream;
    if (request->connection->state == BH_CONNECTION_CLOSED)
        return BH_ECANCELED;
    bh_assert(request->answer.state == BH_ANSWER_STREAMING);
    if (!sends_body(request))
        return 0;
    while (data.size > 0) {
        int result = 0;
        if (gathered->size + data.size <= GATHERED_MAX) {
            bh_buf_append_str(gathered, data);
            if (bh_buf_error(gathered))
                return bh_buf_error(gathered);
            flush_later(request);
            return 0;
        }
        if (gathered->size > 0) {
            result = flush(request, false);
        } else {
            const struct bh_str slice = { data.data,
                                          data.size < SLICE_MAX ? data.size : SLICE_MAX };
            result = send_chunk(request, slice, false);
            data.data += slice.size;
            data.size -= slice.size;
        }
        if (result == 0)
            result = wait_for_client(request, WAITING_MAX);
        if (result < 0)
            return result;
    }
    return 0;
}

int bh_stream_end(struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    if (request->connection->state == BH_CONNECTION_CLOSED)
        return BH_ECANCELED;
    bh_assert(request->answer.state == BH_ANSWER_STREAMING);
    request->answer.state = BH_ANSWER_DONE;
    request->answer.heartbeat = BH_STR_NONE;
    bh_deadline_stop(&request->answer.silence);
    return sends_body(request) ? flush(request, true) : 0;
}

int bh_stream_wait_sent(struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    if (request->connection->state == BH_CONNECTION_CLOSED)
        return BH_ECANCELED;
    const int result = request->answer.stream.size > 0 ? flush(request, false) : 0;
    return result == 0 ? wait_for_client(request, 0) : result;
}

void bh_stream_abort(struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    struct bh_connection *const connection = request->connection;
    /* Without the last chunk a plain end does not look like the whole, and the client gets to read
     * what was sent. */
    const bool is_telling = request->answer.state == BH_ANSWER_STREAMING &&
                            request->head.minor_version > 0 && sends_body(request) &&
                            bh_transport_waiting(&connection->transport) == 0;
    bh_connection_close(connection, !is_telling);
}
