#include "http/transport.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "http/transport_tls.h"

static struct bh_transport *of_handle(uv_handle_t *const handle)
{
    return BH_CONTAINER_OF(handle, struct bh_transport, tcp);
}

int bh_transport_open(struct bh_transport *const transport, uv_loop_t *const uv, const int fd,
                      const struct bh_transport_events *const events,
                      struct bh_transport_tls *const tls)
{
    transport->events = events;
    transport->secure = NULL;
    transport->is_reading = false;
    transport->held = 0;
    uv_tcp_init(uv, &transport->tcp);
    if (uv_tcp_open(&transport->tcp, fd) == 0)
        return tls ? bh_secure_open(transport, tls) : 0;
    close(fd);
    return BH_EIO;
}

bool bh_transport_is_shaking(const struct bh_transport *const transport)
{
    return transport->secure && bh_secure_is_shaking(transport);
}

/* ---- Reading ---- */

static void give_room(uv_handle_t *const handle, const size_t suggested, uv_buf_t *const buffer)
{
    (void)suggested;
    struct bh_transport *const transport = of_handle(handle);
    *buffer = transport->events->room(transport);
}

static void read_done(uv_stream_t *const stream, const ssize_t count, const uv_buf_t *const buffer)
{
    (void)buffer;
    struct bh_transport *const transport = of_handle((uv_handle_t *)stream);
    if (count == 0) /* would have blocked */
        return;
    if (count < 0)
        transport->is_reading = false;
    transport->events->received(transport, count > 0 ? count : count == UV_EOF ? 0 : BH_ECLOSED);
}

void bh_transport_read_start(struct bh_transport *const transport)
{
    if (transport->is_reading)
        return;
    if (transport->secure) {
        bh_secure_read_start(transport);
        return;
    }
    transport->is_reading = uv_read_start((uv_stream_t *)&transport->tcp, give_room, read_done) ==
                            0;
}

void bh_transport_read_stop(struct bh_transport *const transport)
{
    if (!transport->is_reading)
        return;
    if (transport->secure) {
        bh_secure_read_stop(transport);
        return;
    }
    transport->is_reading = false;
    uv_read_stop((uv_stream_t *)&transport->tcp);
}

bool bh_transport_has_unread(const struct bh_transport *const transport)
{
    uv_os_fd_t fd;
    char byte;
    if (transport->secure && bh_secure_has_unread(transport))
        return true;
    return uv_fileno((const uv_handle_t *)&transport->tcp, &fd) == 0 &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

enum bh_transport_peer bh_transport_peer(const struct bh_transport *const transport)
{
    struct pollfd poll_fd = { .events = POLLRDHUP };
    if (uv_fileno((const uv_handle_t *)&transport->tcp, &poll_fd.fd) != 0 ||
        poll(&poll_fd, 1, 0) <= 0)
        return BH_PEER_THERE;
    if (poll_fd.revents & (POLLERR | POLLHUP))
        return BH_PEER_GONE;
    return (poll_fd.revents & POLLRDHUP) ? BH_PEER_FINISHED : BH_PEER_THERE;
}

/* ---- Writing ---- */

struct bh_transport_waiting *bh_transport_keep(struct bh_transport *const transport,
                                               const struct bh_str *const pieces,
                                               const unsigned count,
                                               const enum bh_transport_hold hold,
                                               struct bh_buf *const taken)
{
    const unsigned copied_count = hold == BH_TRANSPORT_COPY ? count : count - 1;
    size_t size = 0;
    for (unsigned i = 0; i < copied_count; i++)
        size += pieces[i].size;
    struct bh_transport_waiting *const waiting = malloc(sizeof(*waiting) + size);
    if (!waiting)
        return NULL;
    char *to = waiting->copied;
    for (unsigned i = 0; i < copied_count; i++)
        to = mempcpy(to, pieces[i].data, pieces[i].size);
    waiting->pieces[0] = (struct bh_str){ waiting->copied, size };
    waiting->pieces[1] = copied_count < count ? pieces[copied_count] : BH_STR_NONE;
    waiting->held = sizeof(*waiting) + size;
    bh_buf_init(&waiting->taken, 0);
    if (hold == BH_TRANSPORT_TAKE) {
        waiting->taken = *taken;
        bh_buf_init(taken, taken->maximum);
        waiting->held += waiting->taken.size;
    }
    transport->held += waiting->held;
    return waiting;
}

void bh_transport_drop(struct bh_transport *const transport,
                       struct bh_transport_waiting *const waiting)
{
    transport->held -= waiting->held;
    bh_buf_fini(&waiting->taken);
    free(waiting);
}

static uv_buf_t buffer_of(const struct bh_str piece)
{
    /* libuv only reads from it, but says char *. */
    return (uv_buf_t){ .base = (char *)(uintptr_t)piece.data, .len = piece.size };
}

static void write_done(uv_write_t *const write, const int status)
{
    struct bh_transport *const transport = of_handle((uv_handle_t *)write->handle);
    bh_transport_drop(transport, BH_CONTAINER_OF(write, struct bh_transport_waiting, write));
    if (status == UV_ECANCELED)
        return;
    int result = status < 0 ? BH_ECLOSED : 0;
    if (result == 0 && transport->secure)
        result = bh_secure_go_on(transport);
    transport->events->sent(transport, result < 0 ? BH_ECLOSED : 0);
}

static int wait_for_room(struct bh_transport *const transport, const struct bh_str *const pieces,
                         const unsigned count, const enum bh_transport_hold hold,
                         struct bh_buf *const taken)
{
    struct bh_transport_waiting *const waiting = bh_transport_keep(transport, pieces, count, hold,
                                                                   taken);
    if (!waiting)
        return BH_ENOMEM;
    const uv_buf_t buffers[] = { buffer_of(waiting->pieces[0]), buffer_of(waiting->pieces[1]) };
    const int result = uv_write(&waiting->write, (uv_stream_t *)&transport->tcp, buffers,
                                buffers[1].len > 0 ? 2 : 1, write_done);
    if (result == 0)
        return 0;
    bh_transport_drop(transport, waiting);
    return result == UV_ENOMEM ? BH_ENOMEM : BH_ECLOSED;
}

int bh_transport_send(struct bh_transport *const transport, const struct bh_str *const pieces,
                      const unsigned count, const enum bh_transport_hold hold,
                      struct bh_buf *const taken)
{
    uv_buf_t buffers[BH_TRANSPORT_PIECES_MAX] = { 0 };
    struct bh_str left[BH_TRANSPORT_PIECES_MAX];
    for (unsigned i = 0; i < count; i++)
        buffers[i] = buffer_of(pieces[i]);
    const int sent = uv_try_write((uv_stream_t *)&transport->tcp, buffers, count);
    if (sent < 0 && sent != UV_EAGAIN)
        return BH_ECLOSED;
    size_t gone = sent > 0 ? (size_t)sent : 0;
    unsigned first = 0;
    for (; first < count && pieces[first].size <= gone; first++)
        gone -= pieces[first].size;
    if (first == count)
        return 0;
    memcpy(left, pieces + first, (count - first) * sizeof(*pieces));
    left[0].data += gone;
    left[0].size -= gone;
    return wait_for_room(transport, left, count - first, hold, taken);
}

int bh_transport_write(struct bh_transport *const transport, const struct bh_str *const pieces,
                       const unsigned count, const enum bh_transport_hold hold,
                       struct bh_buf *const taken)
{
    bh_assert(count > 0 && count <= BH_TRANSPORT_PIECES_MAX);
    const int result = transport->secure ? bh_secure_write(transport, pieces, count, hold, taken)
                                         : bh_transport_send(transport, pieces, count, hold, taken);
    if (hold == BH_TRANSPORT_TAKE)
        bh_buf_fini(taken);
    return result;
}

size_t bh_transport_waiting(const struct bh_transport *const transport)
{
    if (transport->secure)
        return bh_secure_waiting(transport);
    return uv_stream_get_write_queue_size((const uv_stream_t *)&transport->tcp);
}

uint64_t bh_transport_overhead(const struct bh_transport *const transport)
{
    return transport->secure ? bh_secure_overhead(transport) : 0;
}

size_t bh_transport_unacknowledged(const struct bh_transport *const transport)
{
    uv_os_fd_t fd;
    int count = 0;
    if (uv_fileno((const uv_handle_t *)&transport->tcp, &fd) != 0 ||
        ioctl(fd, SIOCOUTQ, &count) != 0 || count < 0)
        return 0;
    return (size_t)count;
}

/* ---- The end ---- */

void bh_transport_finish(struct bh_transport *const transport)
{
    uv_os_fd_t fd;
    if (transport->secure)
        bh_secure_finish(transport);
    if (uv_fileno((uv_handle_t *)&transport->tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
}

static void handle_closed(uv_handle_t *const handle)
{
    struct bh_transport *const transport = of_handle(handle);
    if (transport->secure)
        bh_secure_destroy(transport);
    transport->events->closed(transport);
}

void bh_transport_close(struct bh_transport *const transport, const bool reset)
{
    transport->is_reading = false;
    if (transport->secure && !reset)
        bh_secure_finish(transport);
    if (transport->secure)
        bh_secure_leave(transport);
    if (!reset || uv_tcp_close_reset(&transport->tcp, handle_closed) != 0)
        uv_close((uv_handle_t *)&transport->tcp, handle_closed);
}
