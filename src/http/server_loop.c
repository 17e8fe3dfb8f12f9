/*
 * The part of a server that belongs to one loop: accepting connections and draining them.
 *
 * All loops poll the one listening socket, each through a descriptor of its own, and take a few
 * connections a turn: a loop that is busy takes fewer. One that has more than its share leaves them
 * to the others for a moment, and takes what is still there then singly: where a loop's requests
 * wait for the others' as well, who is on the emptier one would be served several times as often.
 * A loop that is woken for nothing gets EAGAIN.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "http/connection.h"
#include "http/defer.h"
#include "http/server_internal.h"

#define ACCEPTS_A_TURN 16
/* Of a loop: listener, timer, defer, flush, the deadlines' timer; one more for TLS. */
#define HANDLES 5
#define ACCEPT_PAUSE_MS 100
#define OTHERS_FIRST_MS 1    /* for loops with fewer connections */
#define LAST_WORDS_MS 1000   /* for what handlers say when the drain's time is over */
#define TURNED_AWAY_MAX 1024 /* how many connections past the limit get an answer at once */

static void listener_readable(uv_poll_t *handle, int status, int events);

/* ---- Accepting ---- */

static void resume_accepting(uv_timer_t *const timer)
{
    struct bh_http_loop *const http = timer->data;
    uv_poll_start(&http->listener, UV_READABLE, listener_readable);
}

/* Out of descriptors or memory: the socket stays readable, so polling it would spin. */
static void pause_accepting(struct bh_http_loop *const http, const int error)
{
    bh_log_warning("http", "cannot accept connections: %s; trying again every %d ms",
                   strerrordesc_np(error), ACCEPT_PAUSE_MS);
    if (http->is_draining)
        return;
    uv_poll_stop(&http->listener);
    uv_timer_start(&http->timer, resume_accepting, ACCEPT_PAUSE_MS, 0);
}

static void take_connection(struct bh_http_loop *const http, const int fd,
                            const struct sockaddr *const peer)
{
    struct bh_http_server *const server = http->server;
    const unsigned count = atomic_load_explicit(&server->connection_count, memory_order_relaxed);
    const unsigned maximum = server->options.connections_maximum;
    if (count < maximum || (count - maximum < TURNED_AWAY_MAX && bh_connection_give_way(http))) {
        if (bh_connection_open(http, fd, peer) < 0)
            bh_log_warning("http", "a connection was dropped: out of memory");
    } else if (count - maximum < TURNED_AWAY_MAX) {
        bh_log_warning("http", "the limit of %u connections is reached; new ones get 503", maximum);
        bh_connection_turn_away(http, fd, peer);
    } else {
        bh_metrics_add(http->metrics.turned_away, 1);
        close(fd);
    }
}

/* Takes the next connection off the queue; false: there is none, or none can be taken. */
static bool accept_one(struct bh_http_loop *const http)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    const int fd = accept4(http->listener_fd, (struct sockaddr *)&peer, &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        take_connection(http, fd, (const struct sockaddr *)&peer);
        return true;
    }
    const int error = errno;
    switch (error) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        if (!bh_connection_give_way(http))
            pause_accepting(http, error);
        return false;
    default:
        return true; /* an error of the connection that was to come (accept(2)) */
    }
}

static bool has_more_than_its_share(const struct bh_http_loop *const http)
{
    const struct bh_http_server *const server = http->server;
    const unsigned all = atomic_load_explicit(&server->connection_count, memory_order_relaxed);
    const unsigned loops = atomic_load_explicit(&server->loop_count, memory_order_relaxed);
    return (uint64_t)http->connection_count * loops > (uint64_t)all + loops;
}

static void listener_readable(uv_poll_t *const handle, const int status, const int events)
{
    struct bh_http_loop *const http = handle->data;
    (void)status;
    (void)events;
    const bool has_more = has_more_than_its_share(http);
    if (has_more && !http->has_let_others) {
        http->has_let_others = true;
        uv_poll_stop(&http->listener);
        uv_timer_start(&http->timer, resume_accepting, OTHERS_FIRST_MS, 0);
        return;
    }
    http->has_let_others = false;
    const unsigned count = has_more ? 1 : ACCEPTS_A_TURN;
    for (unsigned i = 0; i < count && accept_one(http); i++)
        continue;
}

/* ---- Attaching ---- */

/* Under the server's mutex. */
static int attach(struct bh_http_server *const server, struct bh_http_loop *const http)
{
    if (server->loop_count == BH_HTTP_LOOPS_MAX || server->shared.listener_fd < 0)
        return BH_ELIMIT;
    http->listener_fd = fcntl(server->shared.listener_fd, F_DUPFD_CLOEXEC, 0);
    if (http->listener_fd < 0)
        return BH_EIO;
    if (uv_poll_init(bh_loop_uv(http->loop), &http->listener, http->listener_fd) != 0) {
        close(http->listener_fd);
        return BH_EIO;
    }
    server->shared.loops[server->loop_count++] = http;
    server->shared.listening_count++;
    /* Counters that start 2^56 steps apart do not meet. */
    bh_http_loop_init(http, server->id_seed + ((uint64_t)server->loop_count << 56));
    if (http->tls && server->loop_count == 1)
        bh_metrics_add(http->metrics.certificate_expires, bh_tls_expires_s(server->options.tls));
    return 0;
}

int bh_http_server_attach(struct bh_http_server *const server, struct bh_loop *const loop)
{
    bh_magic_check(server, BH_HTTP_SERVER_MAGIC);
    struct bh_http_loop *const http = calloc(1, sizeof(*http));
    if (!http)
        return BH_ENOMEM;
    http->server = server;
    http->options = &server->options;
    http->router = server->router;
    http->service = server->service;
    http->loop = loop;
    int result = 0;
    if (server->options.tls) {
        http->tls = bh_transport_tls_create(server->options.tls);
        result = http->tls ? 0 : BH_ENOMEM;
    }
    if (result == 0) {
        pthread_mutex_lock(&server->shared.mutex);
        result = attach(server, http);
        pthread_mutex_unlock(&server->shared.mutex);
    }
    if (result < 0) {
        bh_transport_tls_destroy(http->tls);
        free(http);
        return result;
    }
    http->handles_open = HANDLES + (http->tls ? 1 : 0);
    http->listener.data = http;
    http->timer.data = http;
    uv_timer_init(bh_loop_uv(loop), &http->timer);
    bh_defer_init(http);
    uv_poll_start(&http->listener, UV_READABLE, listener_readable);
    return 0;
}

/* ---- Draining ---- */

static struct bh_http_loop *find_loop(struct bh_http_server *const server,
                                      const struct bh_loop *const loop)
{
    struct bh_http_loop *found = NULL;
    pthread_mutex_lock(&server->shared.mutex);
    for (unsigned i = 0; i < server->loop_count; i++) {
        if (server->shared.loops[i]->loop == loop)
            found = server->shared.loops[i];
    }
    pthread_mutex_unlock(&server->shared.mutex);
    return found;
}

static void handle_closed(uv_handle_t *const handle)
{
    struct bh_http_loop *const http = handle->data;
    bh_magic_check(http, BH_HTTP_LOOP_MAGIC);
    if (--http->handles_open == 0)
        http->drained(http->drained_argument);
}

/* No connection is left; the listener closed as the drain began. */
static void finish_drain(struct bh_http_loop *const http)
{
    bh_deadlines_close(&http->deadlines, handle_closed, http);
    uv_close((uv_handle_t *)&http->flush, handle_closed);
    uv_close((uv_handle_t *)&http->timer, handle_closed);
    uv_close((uv_handle_t *)&http->defer, handle_closed);
    if (http->tls)
        bh_transport_tls_close(http->tls, handle_closed, http);
}

void bh_http_connection_came(struct bh_http_loop *const http)
{
    atomic_fetch_add_explicit(&http->server->connection_count, 1, memory_order_relaxed);
    bh_metrics_add(http->metrics.connections, 1);
    http->connection_count++;
}

void bh_http_connection_gone(struct bh_http_loop *const http)
{
    atomic_fetch_sub_explicit(&http->server->connection_count, 1, memory_order_relaxed);
    bh_metrics_add(http->metrics.connections, -1);
    http->connection_count--;
    if (http->is_draining && http->connection_count == 0)
        finish_drain(http);
}

/* Takes what waits in the queue, then stops listening; with the last loop the socket closes, right
 * after its queue was found empty. A replaced server leaves the queue to its successor. */
static void stop_listening(struct bh_http_loop *const http)
{
    struct bh_http_server *const server = http->server;
    const bool is_replaced = bh_http_is_replaced(http);
    while (!is_replaced && accept_one(http))
        continue;
    uv_close((uv_handle_t *)&http->listener, handle_closed);
    pthread_mutex_lock(&server->shared.mutex);
    if (--server->shared.listening_count == 0) {
        while (!is_replaced && accept_one(http))
            continue;
        close(server->shared.listener_fd);
        server->shared.listener_fd = -1;
    }
    close(http->listener_fd);
    pthread_mutex_unlock(&server->shared.mutex);
}

static void last_words_over(uv_timer_t *const timer)
{
    struct bh_http_loop *const http = timer->data;
    bh_log_warning("http", "closing %u connections whose clients do not take the end",
                   http->connection_count);
    BH_LIST_FOREACH(node, &http->connections)
        bh_connection_close(BH_LIST_ENTRY(node, struct bh_connection, node), true);
}

static void drain_deadline_passed(uv_timer_t *const timer)
{
    struct bh_http_loop *const http = timer->data;
    if (http->connection_count > 0)
        bh_log_warning("http", "ending %u connections that did not end in time",
                       http->connection_count);
    http->is_overdue = true;
    uv_timer_start(timer, last_words_over, LAST_WORDS_MS, 0);
    BH_LIST_FOREACH(node, &http->connections)
        bh_connection_end_soon(BH_LIST_ENTRY(node, struct bh_connection, node));
}

void bh_http_server_drain(struct bh_http_server *const server, struct bh_loop *const loop,
                          const uint64_t deadline_us, void (*const done)(void *),
                          void *const argument)
{
    bh_magic_check(server, BH_HTTP_SERVER_MAGIC);
    struct bh_http_loop *const http = find_loop(server, loop);
    bh_assert(http && !http->is_draining);
    bh_http_server_mark_draining(server);
    http->drained = done;
    http->drained_argument = argument;
    http->is_draining = true;
    stop_listening(http);
    const uint64_t now_us = bh_loop_now_us(loop);
    const uint64_t left_us = deadline_us > now_us ? deadline_us - now_us : 0;
    uv_timer_start(&http->timer, drain_deadline_passed, (left_us + BH_MS_US - 1) / BH_MS_US, 0);
    http->connection_count++; /* so that the last one's end, below, does not end the drain */
    BH_LIST_FOREACH(node, &http->connections)
        bh_connection_drain(BH_LIST_ENTRY(node, struct bh_connection, node));
    if (--http->connection_count == 0)
        finish_drain(http);
}

void bh_http_hold(struct bh_http_loop *const http, const size_t before, const size_t after)
{
    http->held += after - before;
    bh_metrics_add(http->metrics.held, (int64_t)after - (int64_t)before);
}

size_t bh_http_unsent_share(const struct bh_http_loop *const http)
{
    return http->options->unsent_maximum /
           atomic_load_explicit(&http->server->loop_count, memory_order_relaxed);
}

bool bh_http_is_draining(const struct bh_http_loop *const http)
{
    return http->is_draining;
}

bool bh_http_is_replaced(const struct bh_http_loop *const http)
{
    return atomic_load_explicit(&http->server->is_replaced, memory_order_relaxed);
}
