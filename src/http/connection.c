/*
 * The life of a connection, in the order of its life. All changes of state go through enter().
 *
 * bh_connection_advance is the only place where a request follows another, and it is a loop, not a
 * recursion: a handler that ends within it leaves a new state behind and returns to it.
 */
#include "http/connection.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "http/defer.h"

/* A connection this young without a request may be about to send its first: a drain gives it a
 * moment. */
#define NEWCOMER_US (1 * BH_SECOND_US)
/* One that was answered this lately may have its next request on the way. */
#define BUSY_US (100 * BH_MS_US)

#define TURNED_AWAY_JSON \
    "{\"error\":\"Service Unavailable\",\"detail\":\"No connection is left: retry\"}"
#define SPOKE_PLAIN_JSON \
    "{\"error\":\"Bad Request\",\"detail\":\"This port speaks TLS: use https://\"}"

/* From which states each may be entered. */
#define FROM(state) (1u << BH_CONNECTION_##state)
static const unsigned char allowed[] = {
    [BH_CONNECTION_IDLE] = FROM(ANSWERED) | FROM(DEFERRED),
    [BH_CONNECTION_HEAD] = FROM(IDLE) | FROM(ANSWERED) | FROM(DEFERRED),
    [BH_CONNECTION_BODY] = FROM(IDLE) | FROM(HEAD),
    [BH_CONNECTION_HANDLING] = FROM(IDLE) | FROM(HEAD) | FROM(BODY),
    [BH_CONNECTION_ANSWERED] = FROM(IDLE) | FROM(HEAD) | FROM(BODY) | FROM(HANDLING),
    [BH_CONNECTION_DEFERRED] = FROM(ANSWERED),
    [BH_CONNECTION_LINGERING] = FROM(IDLE) | FROM(ANSWERED),
    [BH_CONNECTION_CLOSED] = 0xFF & ~FROM(CLOSED),
};

static void drop_request(struct bh_connection *const connection)
{
    struct bh_request *const request = connection->request;
    if (!request)
        return;
    bh_deadline_stop(&connection->deadline);
    connection->request = NULL;
    bh_http_request_give_back(connection->http, request);
}

static void drop_buffer(struct bh_connection *const connection)
{
    if (!connection->buffer)
        return;
    bh_http_buffer_give_back(connection->http, connection->buffer);
    connection->buffer = NULL;
    connection->begin = connection->body_at = connection->end = 0;
}

static void free_if_over(struct bh_connection *const connection)
{
    if (connection->request)
        return;
    drop_buffer(connection);
    if (!connection->has_closed_transport)
        return;
    struct bh_http_loop *const http = connection->http;
    bh_list_unlink(&connection->node);
    connection->magic = 0;
    free(connection);
    bh_http_connection_gone(http);
}

static void start_deadline(struct bh_connection *const connection, const enum bh_deadline_kind kind)
{
    bh_deadline_start(&connection->http->deadlines, &connection->deadline, kind);
}

static void enter(struct bh_connection *const connection, const enum bh_connection_state state)
{
    bh_assert(allowed[state] & (1u << connection->state));
    const enum bh_connection_state from = connection->state;
    connection->state = state;
    if (from == BH_CONNECTION_DEFERRED) {
        bh_list_unlink(&connection->deferred);
        bh_metrics_add(connection->http->metrics.deferred, -1);
    }
    switch (state) {
    case BH_CONNECTION_IDLE:
        connection->idle_since_us = bh_loop_now_us(connection->http->loop);
        drop_buffer(connection);
        start_deadline(connection, BH_DEADLINE_IDLE);
        break;
    case BH_CONNECTION_HEAD:
        /* A new connection's deadline runs since it was accepted. */
        if (from != BH_CONNECTION_IDLE || connection->has_served)
            start_deadline(connection, BH_DEADLINE_HEAD);
        break;
    case BH_CONNECTION_BODY:
    case BH_CONNECTION_HANDLING:
    case BH_CONNECTION_ANSWERED:
        bh_deadline_stop(&connection->deadline);
        break;
    case BH_CONNECTION_DEFERRED:
        if (connection->begin == connection->end)
            drop_buffer(connection);
        start_deadline(connection, BH_DEADLINE_DEFERRED);
        bh_metrics_add(connection->http->metrics.deferred, 1);
        bh_defer_begin(connection->http, connection);
        break;
    case BH_CONNECTION_LINGERING:
        drop_buffer(connection);
        bh_transport_finish(&connection->transport);
        start_deadline(connection, BH_DEADLINE_LINGER);
        break;
    case BH_CONNECTION_CLOSED:
        bh_deadline_stop(&connection->deadline);
        bh_deadline_stop(&connection->write_deadline);
        bh_list_unlink(&connection->unflushed);
        bh_http_hold(connection->http, connection->held, 0);
        connection->held = 0;
        break;
    }
}

void bh_connection_check(const struct bh_connection *const connection)
{
    bh_magic_check(connection, BH_CONNECTION_MAGIC);
    const enum bh_connection_state state = connection->state;
    const bool has_request = connection->request != NULL;
    const bool has_buffer = connection->buffer != NULL;
    bh_assert(connection->begin <= connection->body_at && connection->body_at <= connection->end &&
              connection->end <= connection->http->buffer_bytes);
    switch (state) {
    case BH_CONNECTION_IDLE:
    case BH_CONNECTION_LINGERING:
        bh_assert(!has_request && !has_buffer && connection->deadline.is_running);
        break;
    case BH_CONNECTION_DEFERRED:
        bh_assert(!has_request && connection->deadline.is_running);
        break;
    case BH_CONNECTION_HEAD:
    case BH_CONNECTION_BODY:
        bh_assert(has_request && has_buffer && connection->deadline.is_running);
        bh_assert(!connection->request->fiber);
        break;
    case BH_CONNECTION_HANDLING:
        bh_assert(has_request && has_buffer);
        break;
    case BH_CONNECTION_ANSWERED:
        bh_assert(!has_request && connection->write_deadline.is_running);
        break;
    case BH_CONNECTION_CLOSED:
        bh_assert(!connection->deadline.is_running && !connection->write_deadline.is_running &&
                  bh_list_is_empty(&connection->unflushed));
        break;
    }
}

/* ---- Beginning ---- */

static void remember_peer(struct bh_connection *const connection, const struct sockaddr *const peer)
{
    connection->peer.family = peer->sa_family;
    if (peer->sa_family == AF_INET)
        memcpy(connection->peer.address,
               &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    else if (peer->sa_family == AF_INET6)
        memcpy(connection->peer.address,
               &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
}

/* As inet_ntop, which pays for printf: an address is told of every request. */
static void put_ipv4(const uint8_t address[4], char *text)
{
    for (unsigned i = 0; i < 4; i++) {
        const unsigned byte = address[i];
        if (byte >= 100)
            *text++ = (char)('0' + byte / 100);
        if (byte >= 10)
            *text++ = (char)('0' + byte / 10 % 10);
        *text++ = (char)('0' + byte % 10);
        *text++ = i < 3 ? '.' : '\0';
    }
}

void bh_connection_peer(const struct bh_connection *const connection, char text[INET6_ADDRSTRLEN])
{
    static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    const uint8_t *address = connection->peer.address;
    int family = connection->peer.family;
    if (family == AF_INET6 && memcmp(address, mapped, sizeof(mapped)) == 0) {
        family = AF_INET;
        address += sizeof(mapped);
    }
    if (family == AF_INET)
        put_ipv4(address, text);
    else if (!inet_ntop(family, address, text, INET6_ADDRSTRLEN))
        text[0] = '\0';
}

static struct bh_connection *create(struct bh_http_loop *const http, const int fd,
                                    const struct sockaddr *const peer)
{
    struct bh_connection *const connection = calloc(1, sizeof(*connection));
    if (!connection) {
        close(fd);
        return NULL;
    }
    connection->magic = BH_CONNECTION_MAGIC;
    connection->http = http;
    connection->idle_since_us = bh_loop_now_us(http->loop);
    bh_list_init(&connection->unflushed);
    bh_list_init(&connection->deferred);
    bh_list_append(&http->connections, &connection->node);
    bh_http_connection_came(http);
    remember_peer(connection, peer);
    if (bh_transport_open(&connection->transport, bh_loop_uv(http->loop), fd,
                          &bh_connection_transport_events, http->tls) < 0) {
        bh_connection_close(connection, false);
        return NULL;
    }
    return connection;
}

int bh_connection_open(struct bh_http_loop *const http, const int fd,
                       const struct sockaddr *const peer)
{
    struct bh_connection *const connection = create(http, fd, peer);
    if (!connection)
        return BH_ENOMEM;
    bh_metrics_add(http->metrics.accepted, 1);
    start_deadline(connection, BH_DEADLINE_HEAD);
    bh_connection_update_reading(connection);
    return 0;
}

/* A constant answer to a connection whose request was not looked at. */
static void say_last(struct bh_connection *const connection, const struct bh_str answer)
{
    if (bh_connection_send(connection, &answer, 1, BH_TRANSPORT_CONSTANT, NULL) < 0)
        return;
    if (bh_transport_waiting(&connection->transport) > 0) {
        bh_connection_close(connection, true);
        return;
    }
    enter(connection, BH_CONNECTION_LINGERING);
    bh_connection_update_reading(connection);
}

void bh_connection_turn_away(struct bh_http_loop *const http, const int fd,
                             const struct sockaddr *const peer)
{
    static const struct bh_str answer = BH_STR(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        "Content-Length: 71\r\nRetry-After: 1\r\nConnection: close\r\n\r\n" TURNED_AWAY_JSON);
    _Static_assert(sizeof(TURNED_AWAY_JSON) - 1 == 71, "its Content-Length");
    bh_metrics_add(http->metrics.turned_away, 1);
    if (http->tls) { /* a handshake is what cannot be afforded */
        close(fd);
        return;
    }
    struct bh_connection *const connection = create(http, fd, peer);
    if (connection)
        say_last(connection, answer);
}

void bh_connection_spoke_plain(struct bh_connection *const connection)
{
    static const struct bh_str answer = BH_STR(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
        "Content-Length: 69\r\nConnection: close\r\n\r\n" SPOKE_PLAIN_JSON);
    _Static_assert(sizeof(SPOKE_PLAIN_JSON) - 1 == 69, "its Content-Length");
    say_last(connection, answer);
}

bool bh_connection_give_way(struct bh_http_loop *const http)
{
    static const enum bh_deadline_kind kinds[] = { BH_DEADLINE_HEAD, BH_DEADLINE_IDLE };
    const struct bh_deadlines *const deadlines = &http->deadlines;
    struct bh_deadline *longest = NULL;
    for (size_t i = 0; i < BH_COUNT_OF(kinds); i++) {
        struct bh_deadline *const first = bh_deadlines_first(deadlines, kinds[i]);
        if (first && (!longest || bh_deadline_started_us(deadlines, first) <
                                      bh_deadline_started_us(deadlines, longest)))
            longest = first;
    }
    if (!longest ||
        bh_loop_now_us(http->loop) < bh_deadline_started_us(deadlines, longest) + NEWCOMER_US)
        return false;
    bh_log_warning("http", "all connections are taken; for new ones, those that wait longest for a "
                           "request are closed");
    bh_metrics_add(http->metrics.gave_way, 1);
    bh_connection_close(BH_CONTAINER_OF(longest, struct bh_connection, deadline), false);
    return true;
}

/* ---- Going on ---- */

void bh_connection_compact(struct bh_connection *const connection)
{
    if (connection->begin == 0)
        return;
    memmove(connection->buffer, connection->buffer + connection->begin,
            connection->end - connection->begin);
    connection->body_at -= connection->begin;
    connection->end -= connection->begin;
    connection->begin = 0;
}

void bh_connection_update_reading(struct bh_connection *const connection)
{
    const bool has_room = connection->state == BH_CONNECTION_LINGERING || !connection->buffer ||
                          connection->end < connection->http->buffer_bytes ||
                          (connection->state == BH_CONNECTION_HEAD && connection->begin > 0);
    if (connection->state == BH_CONNECTION_CLOSED || connection->has_finished_sending)
        return;
    if (has_room && connection->state != BH_CONNECTION_DEFERRED) {
        bh_transport_read_start(&connection->transport);
        return;
    }
    bh_transport_read_stop(&connection->transport);
    if (connection->state == BH_CONNECTION_HANDLING && !connection->deadline.is_running)
        start_deadline(connection, BH_DEADLINE_WATCH);
}

/* Is what is no head (yet) the beginning of a TLS handshake? Then no answer would be understood. */
static bool closes_tls(struct bh_connection *const connection)
{
    const char *const data = connection->buffer + connection->begin;
    if (connection->end - connection->begin < 3 || data[0] != 0x16 || data[1] != 0x03 ||
        connection->http->tls)
        return false;
    bh_metrics_add(connection->http->metrics.refused[BH_HEAD_METHOD], 1);
    bh_log_warning("http", "a client spoke TLS to this plain port and was closed: let it use "
                           "http://, or give the server a certificate (TLS_CERT_FILE)");
    bh_connection_close(connection, false);
    return true;
}

/* Parses a head; false: nothing more can be done now. */
static bool advance_head(struct bh_connection *const connection)
{
    struct bh_http_loop *const http = connection->http;
    if (!connection->request) {
        connection->request = bh_http_request_take(http);
        if (!connection->request) {
            bh_connection_close(connection, true);
            return false;
        }
        connection->request->connection = connection;
    }
    struct bh_request *const request = connection->request;
    const char *const data = connection->buffer + connection->begin;
    switch (
        bh_head_parse(&request->head, &http->limits, data, connection->end - connection->begin)) {
    case BH_HEAD_MORE:
        if (closes_tls(connection))
            return false;
        if (connection->has_finished_sending)
            bh_connection_close(connection, false);
        else if (connection->state != BH_CONNECTION_HEAD)
            enter(connection, BH_CONNECTION_HEAD);
        return false;
    case BH_HEAD_REFUSED:
        if (closes_tls(connection))
            return false;
        connection->body_at = connection->end;
        bh_metrics_add(http->metrics.refused[request->head.refusal], 1);
        bh_request_refuse(request, bh_head_refusal_status(request->head.refusal),
                          bh_head_refusal_text(request->head.refusal));
        return true;
    case BH_HEAD_DONE:
        break;
    }
    if (request->head.is_chunked || request->head.content_length > 0)
        bh_connection_compact(connection);
    request->data = connection->buffer + connection->begin;
    connection->body_at = connection->begin + request->head.size;
    bh_request_dispatch(request);
    return true;
}

static bool advance_body(struct bh_connection *const connection)
{
    struct bh_request *const request = connection->request;
    const enum bh_body_result result = bh_body_gather(request);
    if (result == BH_BODY_MORE)
        return false;
    bh_body_wait_end(request);
    switch (result) {
    case BH_BODY_TOO_LARGE:
        bh_request_refuse(request, 413, "The body is longer than this resource takes.");
        break;
    case BH_BODY_MALFORMED:
        bh_request_refuse(request, 400, request->body.chunked.reason);
        break;
    case BH_BODY_MORE:
    case BH_BODY_DONE:
        bh_request_start(request);
        break;
    }
    return true;
}

/* The answer is with the transport; false: part of it waits there. */
static bool advance_answered(struct bh_connection *const connection)
{
    if (bh_transport_waiting(&connection->transport) > 0)
        return false;
    connection->has_served = true;
    connection->begin = connection->body_at;
    const bool is_used_up = connection->begin == connection->end;
    const bool is_deferred = connection->is_deferred && !connection->close_after &&
                             !connection->has_finished_sending &&
                             !bh_http_is_draining(connection->http);
    connection->is_deferred = false;
    if (is_deferred) {
        enter(connection, BH_CONNECTION_DEFERRED);
        return false;
    }
    if (!connection->close_after && !is_used_up) {
        enter(connection, BH_CONNECTION_HEAD);
        return true;
    }
    if (!connection->close_after && !connection->has_finished_sending &&
        !bh_http_is_draining(connection->http))
        enter(connection, BH_CONNECTION_IDLE);
    else if (!connection->has_finished_sending && (!is_used_up || connection->is_input_unclean))
        enter(connection, BH_CONNECTION_LINGERING);
    else
        bh_connection_close(connection, false);
    return false;
}

void bh_connection_advance(struct bh_connection *const connection)
{
    if (connection->is_advancing)
        return;
    connection->is_advancing = true;
    bool goes_on = true;
    while (goes_on) {
        switch (connection->state) {
        case BH_CONNECTION_IDLE:
        case BH_CONNECTION_HEAD:
            goes_on = advance_head(connection);
            break;
        case BH_CONNECTION_BODY:
            goes_on = advance_body(connection);
            break;
        case BH_CONNECTION_ANSWERED:
            goes_on = advance_answered(connection);
            break;
        case BH_CONNECTION_HANDLING:
        case BH_CONNECTION_DEFERRED:
        case BH_CONNECTION_LINGERING:
        case BH_CONNECTION_CLOSED:
            goes_on = false;
            break;
        }
    }
    connection->is_advancing = false;
    bh_connection_check(connection);
    bh_connection_update_reading(connection);
}

void bh_connection_resume(struct bh_connection *const connection)
{
    bh_assert(connection->state == BH_CONNECTION_DEFERRED);
    if (connection->begin == connection->end) {
        enter(connection, BH_CONNECTION_IDLE);
        bh_connection_update_reading(connection);
    } else {
        enter(connection, BH_CONNECTION_HEAD);
        bh_connection_advance(connection);
    }
}

void bh_connection_body_begins(struct bh_connection *const connection)
{
    enter(connection, BH_CONNECTION_BODY);
    bh_body_wait_begin(connection->request);
}

void bh_connection_handler_begins(struct bh_connection *const connection)
{
    enter(connection, BH_CONNECTION_HANDLING);
    if (connection->has_finished_sending)
        start_deadline(connection, BH_DEADLINE_LEAVING);
}

void bh_connection_answered(struct bh_connection *const connection)
{
    if (connection->state == BH_CONNECTION_CLOSED) {
        drop_request(connection);
        free_if_over(connection);
        return;
    }
    connection->close_after = connection->request->answer.close;
    connection->is_input_unclean = !connection->request->body.is_complete;
    drop_request(connection);
    enter(connection, BH_CONNECTION_ANSWERED);
    bh_connection_advance(connection);
}

/* ---- Ending ---- */

void bh_connection_close(struct bh_connection *const connection, const bool reset)
{
    if (connection->state == BH_CONNECTION_CLOSED)
        return;
    enter(connection, BH_CONNECTION_CLOSED);
    bh_transport_close(&connection->transport, reset);
    struct bh_request *const request = connection->request;
    if (request && request->fiber) {
        bh_fiber_cancel(request->fiber);
        if (connection->is_writer_waiting)
            bh_fiber_wake(request->fiber);
    }
    if (request && !request->is_answering)
        drop_request(connection);
    free_if_over(connection);
}

void bh_connection_end_soon(struct bh_connection *const connection)
{
    if (connection->request && connection->request->fiber)
        bh_fiber_expire(connection->request->fiber);
    else
        bh_connection_close(connection, true);
}

void bh_connection_transport_closed(struct bh_connection *const connection)
{
    connection->has_closed_transport = true;
    free_if_over(connection);
}

void bh_connection_drain(struct bh_connection *const connection)
{
    if (connection->state == BH_CONNECTION_DEFERRED)
        bh_connection_resume(connection);
    if (connection->state != BH_CONNECTION_IDLE || bh_transport_has_unread(&connection->transport))
        return;
    const uint64_t idle_us = bh_loop_now_us(connection->http->loop) - connection->idle_since_us;
    const bool is_new = !connection->has_served && idle_us < NEWCOMER_US;
    if (is_new || bh_http_is_replaced(connection->http))
        start_deadline(connection, BH_DEADLINE_LINGER);
    else if (connection->has_served && idle_us < BUSY_US)
        start_deadline(connection, BH_DEADLINE_LEAVING);
    else
        bh_connection_close(connection, false);
}
