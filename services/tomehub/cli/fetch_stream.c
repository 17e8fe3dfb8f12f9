#include "cli/fetch_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTPUT_MAX (64 * 1024)

void tome_fetch_stream_init(struct tome_fetch_stream *const stream, const int fd)
{
    memset(stream, 0, offsetof(struct tome_fetch_stream, input));
    stream->fd = fd;
    bh_buf_init(&stream->output, OUTPUT_MAX);
}

void tome_fetch_stream_fini(struct tome_fetch_stream *const stream)
{
    bh_tls_session_destroy(stream->session);
    bh_tls_destroy(stream->tls);
    bh_buf_fini(&stream->output);
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
}

/* Interrupted calls are taken up again: a signal ends the caller's waiting, not its asking. */
static int send_all(const int fd, struct bh_str data)
{
    while (data.size > 0) {
        const ssize_t sent = send(fd, data.data, data.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        data.data += sent;
        data.size -= (size_t)sent;
    }
    return 0;
}

static ssize_t receive(const int fd, char *const to, const size_t size)
{
    ssize_t got = 0;
    do {
        got = recv(fd, to, size, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int send_output(struct tome_fetch_stream *const stream)
{
    const int result = send_all(stream->fd, bh_buf_peek(&stream->output));
    bh_buf_clear(&stream->output);
    return result;
}

/* More input for the session; as receive. */
static ssize_t fill(struct tome_fetch_stream *const stream)
{
    const ssize_t got = receive(stream->fd, stream->input, sizeof(stream->input));
    if (got > 0)
        stream->unread = (struct bh_str){ stream->input, (size_t)got };
    return got;
}

int tome_fetch_stream_secure(struct tome_fetch_stream *const stream,
                             const char *const certificate_file, struct bh_error *const reterr)
{
    int result = bh_tls_client_create_pinned(certificate_file, &stream->tls, reterr);
    if (result == 0 && bh_tls_session_create(stream->tls, "", &stream->session) < 0)
        result = bh_error_set(reterr, BH_ENOMEM, "no memory for TLS");
    while (result == 0) {
        struct bh_tls_io io = { .input = stream->unread, .output = &stream->output };
        result = bh_tls_session_handshake(stream->session, &io, reterr);
        stream->unread = io.input;
        if (send_output(stream) < 0 && result >= 0)
            return BH_EUNAVAILABLE;
        if (result != 0)
            break;
        const ssize_t got = fill(stream);
        if (got == 0)
            errno = ECONNRESET;
        if (got <= 0)
            return BH_EUNAVAILABLE;
    }
    return result == 1 ? 0 : result;
}

int tome_fetch_stream_send(struct tome_fetch_stream *const stream, const struct bh_str data)
{
    if (!stream->session)
        return send_all(stream->fd, data);
    struct bh_tls_io io = { .input = stream->unread, .output = &stream->output };
    const int result = bh_tls_session_write(stream->session, &io, data);
    stream->unread = io.input;
    errno = EIO;
    return result < 0 ? -1 : send_output(stream);
}

ssize_t tome_fetch_stream_receive(struct tome_fetch_stream *const stream, char *const to,
                                  const size_t size)
{
    if (!stream->session)
        return receive(stream->fd, to, size);
    for (;;) {
        struct bh_tls_io io = { .input = stream->unread, .output = &stream->output };
        const int found = bh_tls_session_look(stream->session, &io);
        const size_t count = found == 1 ? bh_tls_session_read(stream->session, &io, to, size) : 0;
        stream->unread = io.input;
        errno = EIO;
        if ((found < 0 && found != BH_ECLOSED) || send_output(stream) < 0)
            return -1;
        if (found != 0)
            return (ssize_t)count;
        const ssize_t got = fill(stream);
        if (got <= 0)
            return got;
    }
}
