/*
 * What happens to a connection from outside: bytes, their end, deadlines; and sending.
 */
#include "http/connection.h"

#include <arpa/inet.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"

#define HANDSHAKE_LOG_US (10 * BH_SECOND_US)
#define LINGER_BYTES_MAX ((uint64_t)256 * 1024 * 1024)

/* A parked stream goes on when this little waits to be sent. */
#define WRITER_RESUME_BYTES (128 * 1024)

static struct bh_connection *of_transport(struct bh_transport *const transport)
{
    struct bh_connection *const connection = BH_CONTAINER_OF(transport, struct bh_connection,
                                                             transport);
    bh_magic_check(connection, BH_CONNECTION_MAGIC);
    return connection;
}

/* ---- Reading ---- */

static uv_buf_t room(struct bh_transport *const transport)
{
    struct bh_connection *const connection = of_transport(transport);
    struct bh_http_loop *const http = connection->http;
    if (connection->state == BH_CONNECTION_LINGERING)
        return uv_buf_init(http->scratch, sizeof(http->scratch));
    if (!connection->buffer)
        connection->buffer = bh_http_buffer_take(http);
    if (!connection->buffer)
        return uv_buf_init(NULL, 0); /* out of memory: libuv reports it as a failed read */
    if (connection->state == BH_CONNECTION_HEAD)
        bh_connection_compact(connection);
    return uv_buf_init(connection->buffer + connection->end,
                       (unsigned)(http->buffer_bytes - connection->end));
}

/* The peer's FIN. It has left, or it only has nothing more to say (a half-close, as by nc): the two
 * look alike. So a handler at work gets a moment to end; then the client counts as gone. */
static void finished_sending(struct bh_connection *const connection)
{
    connection->has_finished_sending = true;
    if (connection->state == BH_CONNECTION_HANDLING) {
        bh_deadline_start(&connection->http->deadlines, &connection->deadline, BH_DEADLINE_LEAVING);
        if (connection->request->body.reader_is_waiting)
            bh_fiber_wake(connection->request->fiber);
    } else if (connection->state != BH_CONNECTION_ANSWERED) {
        bh_connection_close(connection, false);
    }
}

static void received(struct bh_transport *const transport, const int64_t count)
{
    struct bh_connection *const connection = of_transport(transport);
    if (count < 0) {
        bh_connection_close(connection, false);
        return;
    }
    if (count == 0) {
        finished_sending(connection);
        return;
    }
    bh_metrics_add(connection->http->metrics.received, count);
    if (connection->state == BH_CONNECTION_LINGERING) {
        connection->lingered += (uint64_t)count;
        if (connection->lingered > LINGER_BYTES_MAX)
            bh_connection_close(connection, true);
        return;
    }
    connection->end += (uint32_t)count;
    if (connection->state == BH_CONNECTION_HANDLING && connection->request->body.reader_is_waiting)
        bh_fiber_wake(connection->request->fiber);
    if (connection->state <= BH_CONNECTION_BODY)
        bh_connection_advance(connection);
    else
        bh_connection_update_reading(connection);
}

/* ---- Writing ---- */

/* Bytes the peer's system has taken so far. What ours has accepted says little: it takes megabytes
 * ahead, and then nothing until a third of them is gone. */
static uint64_t bytes_taken(const struct bh_connection *const connection)
{
    return connection->handed_over + bh_transport_overhead(&connection->transport) -
           bh_transport_waiting(&connection->transport) -
           bh_transport_unacknowledged(&connection->transport);
}

/* Brings the loop's sum up to date. */
static void count_held(struct bh_connection *const connection)
{
    bh_http_hold(connection->http, connection->held, connection->transport.held);
    connection->held = connection->transport.held;
}

/* Answers that nobody takes fill the loop's share of memory: those that were seen to get on longest
 * ago are given up. Whoever was looked at since stands behind them in the list, and `connection`,
 * whose turn it is, behind all. */
static void drop_slowest(struct bh_connection *const connection)
{
    struct bh_http_loop *const http = connection->http;
    while (http->held > bh_http_unsent_share(http)) {
        struct bh_deadline *const first = bh_deadlines_first(&http->deadlines, BH_DEADLINE_WRITE);
        if (!first || first == &connection->write_deadline)
            return;
        bh_log_warning("http",
                       "answers that are not read take more than %zu MiB; the connections "
                       "of the slowest readers are broken off",
                       http->options->unsent_maximum >> 20);
        bh_metrics_add(http->metrics.dropped, 1);
        bh_connection_close(BH_CONTAINER_OF(first, struct bh_connection, write_deadline), true);
    }
}

int bh_connection_send(struct bh_connection *const connection, const struct bh_str *const pieces,
                       const unsigned count, const enum bh_transport_hold hold,
                       struct bh_buf *const taken)
{
    if (connection->state == BH_CONNECTION_CLOSED) {
        if (hold == BH_TRANSPORT_TAKE)
            bh_buf_fini(taken);
        return BH_ECANCELED;
    }
    for (unsigned i = 0; i < count; i++)
        connection->handed_over += pieces[i].size;
    const int result = bh_transport_write(&connection->transport, pieces, count, hold, taken);
    if (result < 0) {
        bh_connection_close(connection, true);
        return BH_ECANCELED;
    }
    if (bh_transport_waiting(&connection->transport) > 0 &&
        !connection->write_deadline.is_running) {
        connection->progress_seen = bytes_taken(connection);
        connection->progress_us = bh_time_now_us(); /* making the answer may have taken long */
        bh_deadline_start(&connection->http->deadlines, &connection->write_deadline,
                          BH_DEADLINE_WRITE);
    }
    if (connection->transport.held != connection->held) {
        count_held(connection);
        drop_slowest(connection);
    }
    return 0;
}

static void sent(struct bh_transport *const transport, const int result)
{
    struct bh_connection *const connection = of_transport(transport);
    if (result < 0) {
        bh_connection_close(connection, true);
        return;
    }
    const size_t waiting = bh_transport_waiting(transport);
    count_held(connection);
    if (waiting == 0)
        bh_deadline_stop(&connection->write_deadline);
    if (connection->is_writer_waiting && waiting <= WRITER_RESUME_BYTES)
        bh_fiber_wake(connection->request->fiber);
    if (connection->state == BH_CONNECTION_ANSWERED)
        bh_connection_advance(connection);
}

static void closed(struct bh_transport *const transport)
{
    bh_connection_transport_closed(of_transport(transport));
}

/* ---- TLS ---- */

/* One line in ten seconds of each loop: whoever scans the port must not fill the disk. */
static void log_handshake(struct bh_connection *const connection, const char *const reason)
{
    struct bh_http_loop *const http = connection->http;
    const uint64_t now_us = bh_loop_now_us(http->loop);
    if (now_us < http->handshake_log_us) {
        http->handshakes_unlogged++;
        return;
    }
    char peer[INET6_ADDRSTRLEN];
    bh_connection_peer(connection, peer);
    bh_log_warning("http",
                   "a TLS handshake with %s failed: %s (and %u others since the last such "
                   "line)",
                   peer, reason, http->handshakes_unlogged);
    http->handshakes_unlogged = 0;
    http->handshake_log_us = now_us + HANDSHAKE_LOG_US;
}

static void shaken(struct bh_transport *const transport, const enum bh_handshake how,
                   const struct bh_error *const error)
{
    struct bh_connection *const connection = of_transport(transport);
    bh_metrics_add(connection->http->metrics.handshakes[how], 1);
    if (how == BH_HANDSHAKE_REFUSED)
        log_handshake(connection, error->message);
}

static void spoke_plain(struct bh_transport *const transport)
{
    struct bh_connection *const connection = of_transport(transport);
    bh_metrics_add(connection->http->metrics.handshakes[BH_HANDSHAKE_PLAIN], 1);
    bh_connection_spoke_plain(connection);
}

const struct bh_transport_events bh_connection_transport_events = {
    .room = room,
    .received = received,
    .sent = sent,
    .closed = closed,
    .shaken = shaken,
    .spoke_plain = spoke_plain,
};

/* ---- Deadlines ---- */

static void time_out(struct bh_connection *const connection, const enum bh_http_timeout timeout)
{
    bh_metrics_add(connection->http->metrics.timeouts[timeout], 1);
}

static void head_too_slow(struct bh_connection *const connection)
{
    time_out(connection, BH_HTTP_TIMEOUT_HEAD);
    if (bh_transport_is_shaking(&connection->transport))
        bh_metrics_add(connection->http->metrics.handshakes[BH_HANDSHAKE_TOO_SLOW], 1);
    if (connection->state != BH_CONNECTION_HEAD) {
        bh_connection_close(connection, false); /* it never said a word: neither do we */
        return;
    }
    connection->body_at = connection->end;
    bh_request_refuse(connection->request, 408, "The request head did not arrive in time.");
}

/* While the buffer is full nothing is read, so a client's end is seen only by asking. A FIN
 * behind a body that the handler has yet to read says nothing; one behind pipelined requests
 * does. */
static bool has_left_unseen(struct bh_connection *const connection)
{
    if (connection->state != BH_CONNECTION_HANDLING || connection->transport.is_reading)
        return false;
    const enum bh_transport_peer peer = bh_transport_peer(&connection->transport);
    if (peer == BH_PEER_GONE)
        bh_connection_close(connection, true);
    else if (peer == BH_PEER_FINISHED && connection->request->body.is_complete)
        finished_sending(connection);
    else
        return false;
    return true;
}

static void watch(struct bh_connection *const connection)
{
    if (!has_left_unseen(connection) && !connection->transport.is_reading)
        bh_deadline_start(&connection->http->deadlines, &connection->deadline, BH_DEADLINE_WATCH);
}

static void check_body_rate(struct bh_connection *const connection)
{
    struct bh_request *const request = connection->request;
    if (has_left_unseen(connection))
        return;
    bh_deadline_start(&connection->http->deadlines, &connection->deadline, BH_DEADLINE_BODY);
    if (!bh_body_is_too_slow(request))
        return;
    time_out(connection, BH_HTTP_TIMEOUT_BODY);
    if (connection->state == BH_CONNECTION_BODY)
        bh_request_refuse(request, 408, "The body arrived too slowly.");
    else
        bh_fiber_wake(request->fiber); /* it looks for itself */
}

void bh_connection_deadline_expired(struct bh_deadline *const deadline)
{
    struct bh_connection *const connection = BH_CONTAINER_OF(deadline, struct bh_connection,
                                                             deadline);
    bh_magic_check(connection, BH_CONNECTION_MAGIC);
    switch (deadline->kind) {
    case BH_DEADLINE_HEAD:
        head_too_slow(connection);
        break;
    case BH_DEADLINE_BODY:
        check_body_rate(connection);
        break;
    case BH_DEADLINE_WATCH:
        watch(connection);
        break;
    case BH_DEADLINE_DEFERRED:
        bh_connection_resume(connection);
        break;
    case BH_DEADLINE_IDLE:
        time_out(connection, BH_HTTP_TIMEOUT_IDLE);
        bh_connection_close(connection, false);
        break;
    case BH_DEADLINE_LEAVING:
    case BH_DEADLINE_LINGER:
    case BH_DEADLINE_SILENCE:
    case BH_DEADLINE_WRITE:
    case BH_DEADLINE_KINDS:
        bh_connection_close(connection, false);
        break;
    }
}

void bh_connection_write_deadline_expired(struct bh_deadline *const deadline)
{
    struct bh_connection *const connection = BH_CONTAINER_OF(deadline, struct bh_connection,
                                                             write_deadline);
    bh_magic_check(connection, BH_CONNECTION_MAGIC);
    const uint64_t now_us = bh_loop_now_us(connection->http->loop);
    const struct bh_http_options *const options = connection->http->options;
    const uint64_t taken = bytes_taken(connection), progress = taken - connection->progress_seen;
    const uint64_t elapsed_us = now_us - connection->progress_us;
    if (progress > 0 && progress * BH_SECOND_US >= options->sent_bytes_per_second * elapsed_us) {
        connection->progress_seen = taken;
        connection->progress_us = now_us;
    } else if (elapsed_us >= options->write_timeout_us) {
        time_out(connection, BH_HTTP_TIMEOUT_WRITE);
        bh_connection_close(connection, true);
        return;
    }
    bh_deadline_start(&connection->http->deadlines, deadline, BH_DEADLINE_WRITE);
}
