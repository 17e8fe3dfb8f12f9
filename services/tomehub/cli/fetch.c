#include "cli/fetch.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "cli/fetch_stream.h"

#define STEP_BYTES 65536
#define ANSWER_MAX (16u << 20)
#define REQUEST_SIZE 1024

static void close_cleanup(const int *const fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int unavailable(const struct tome_fetch_address *const address, const char *const why,
                       struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_EUNAVAILABLE, "no server answers at %s port %u: %s",
                        address->host, address->port, why);
}

static int connect_to(const struct tome_fetch_address *const address, int *const ret_fd,
                      struct bh_error *const reterr)
{
    char port[16];
    struct addrinfo *found = NULL;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    snprintf(port, sizeof(port), "%u", address->port);
    const int looked_up = getaddrinfo(address->host, port, &hints, &found);
    if (looked_up != 0)
        return unavailable(address, gai_strerror(looked_up), reterr);
    const struct timeval timeout = { .tv_sec = (time_t)(address->timeout_us / BH_SECOND_US),
                                     .tv_usec = (suseconds_t)(address->timeout_us % BH_SECOND_US) };
    int fd = -1, error = ENOENT;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
            connect(fd, at->ai_addr, at->ai_addrlen) == 0)
            break;
        error = errno;
        close_cleanup(&fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd < 0)
        return unavailable(address, strerror(error), reterr);
    *ret_fd = fd;
    return 0;
}

static int receive_all(struct tome_fetch_stream *const stream, struct bh_buf *const answer)
{
    for (;;) {
        char *const to = bh_buf_reserve(answer, STEP_BYTES);
        if (to == NULL)
            return bh_buf_error(answer);
        const ssize_t got = tome_fetch_stream_receive(stream, to, STEP_BYTES);
        if (got < 0)
            return BH_EUNAVAILABLE;
        if (got == 0)
            return 0;
        bh_buf_advance(answer, (size_t)got);
    }
}

/* The body behind the head, checked against the length the head names. */
static int take_body(const struct bh_str answer, struct bh_buf *const body,
                     struct bh_error *const reterr)
{
    static const char length_name[] = "\r\nContent-Length: ";
    const char *const head_end = answer.size > 0 ? memmem(answer.data, answer.size, "\r\n\r\n", 4)
                                                 : NULL;
    if (head_end == NULL || !bh_str_starts_with(answer, BH_STR("HTTP/1.")))
        return bh_error_set(reterr, BH_ESYNTAX, "what answers there is not this service");
    struct bh_str line = answer;
    line = bh_str_split(&line, '\r');
    if (line.size < 12 || memcmp(line.data + 8, " 200", 4) != 0)
        return bh_error_set(reterr, BH_ESYNTAX, "the server answered \"%.*s\"", BH_STR_ARGS(line));
    const struct bh_str rest = { head_end + 4, answer.size - (size_t)(head_end + 4 - answer.data) };
    const char *const field = memmem(answer.data, (size_t)(head_end - answer.data) + 2, length_name,
                                     sizeof(length_name) - 1);
    int64_t length = -1;
    if (field != NULL) {
        struct bh_str value = { field + sizeof(length_name) - 1,
                                (size_t)(head_end + 2 - field) - (sizeof(length_name) - 1) };
        if (bh_str_to_int64(bh_str_split(&value, '\r'), 0, INT64_MAX, &length) != 0)
            length = -1;
    }
    if (length < 0 || (uint64_t)length != rest.size)
        return bh_error_set(reterr, BH_ESYNTAX, "the answer is not whole");
    bh_buf_append_str(body, rest);
    return bh_buf_error(body) ? bh_error_set(reterr, BH_ELIMIT, "the answer is too long") : 0;
}

static int secure(const struct tome_fetch_address *const address,
                  struct tome_fetch_stream *const stream, struct bh_error *const reterr)
{
    struct bh_error error;
    const int result = tome_fetch_stream_secure(stream, address->tls_cert_file, &error);
    switch (result) {
    case 0:
        return 0;
    case BH_EUNAVAILABLE:
        return unavailable(address, errno == EAGAIN ? "it did not answer in time" : strerror(errno),
                           reterr);
    case BH_EACCESS:
        return bh_error_set(reterr, BH_EACCESS,
                            "what answers at %s port %u does not show the certificate %s: was it "
                            "replaced without tomehub reload?",
                            address->host, address->port, address->tls_cert_file);
    default:
        return bh_error_set(reterr, result, "no TLS with %s port %u: %s", address->host,
                            address->port, error.message);
    }
}

static int exchange(const struct tome_fetch_address *const address,
                    struct tome_fetch_stream *const stream, const struct bh_str request,
                    struct bh_buf *const body, struct bh_error *const reterr)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf answer;
    bh_buf_init(&answer, ANSWER_MAX);
    int result = address->tls_cert_file[0] != '\0' ? secure(address, stream, reterr) : 0;
    if (result != 0)
        return result;
    if (tome_fetch_stream_send(stream, request) != 0)
        return unavailable(address, strerror(errno), reterr);
    result = receive_all(stream, &answer);
    if (result == BH_EUNAVAILABLE)
        return unavailable(address, errno == EAGAIN ? "it did not answer in time" : strerror(errno),
                           reterr);
    if (result != 0)
        return bh_error_set(reterr, result, "the answer is too long");
    return take_body(bh_buf_peek(&answer), body, reterr);
}

int tome_fetch(const struct tome_fetch_address *const address, const char *const target,
               struct bh_buf *const body, struct bh_error *const reterr)
{
    int fd = -1;
    char request[REQUEST_SIZE];
    const bool is_v6 = strchr(address->host, ':') != NULL, has_key = address->api_key[0] != '\0';
    const int size = snprintf(request, sizeof(request),
                              "GET %s HTTP/1.0\r\nHost: %s%s%s:%u\r\nAccept: application/json\r\n"
                              "%s%s%s\r\n",
                              target, is_v6 ? "[" : "", address->host, is_v6 ? "]" : "",
                              address->port, has_key ? "X-API-Key: " : "", address->api_key,
                              has_key ? "\r\n" : "");
    if (size < 0 || (size_t)size >= sizeof(request))
        return bh_error_set(reterr, BH_EINVAL, "the host's name or the key is too long");
    int result = connect_to(address, &fd, reterr);
    if (result != 0)
        return result;
    struct tome_fetch_stream stream;
    tome_fetch_stream_init(&stream, fd);
    result = exchange(address, &stream, (struct bh_str){ request, (size_t)size }, body, reterr);
    tome_fetch_stream_fini(&stream);
    return result;
}
