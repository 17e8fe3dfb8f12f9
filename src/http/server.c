/*
 * The part of a server that its loops share: options, the listening socket, who is attached.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "http/server_internal.h"

#define BACKLOG 4096
#define HEAD_MAXIMUM_MIN 512

/* How much the kernel takes ahead of what the network does: without it, megabytes a slow reader. */
#define UNSENT_BYTES_MAX (128 * 1024)

void bh_http_options_default(struct bh_http_options *const ret_options)
{
    *ret_options = (struct bh_http_options){
        .head_timeout_us = 10 * BH_SECOND_US,
        .defer_us = 1 * BH_SECOND_US,
        .idle_timeout_us = 75 * BH_SECOND_US,
        .request_timeout_us = 30 * BH_SECOND_US,
        .write_timeout_us = 30 * BH_SECOND_US,
        .sent_bytes_per_second = 240,
        .heartbeat_us = 10 * BH_SECOND_US,
        .body_bytes_per_second = 1024,
        .body_grace_us = 5 * BH_SECOND_US,
        .head_maximum = 16 * 1024,
        .headers_maximum = 100,
        .connections_maximum = 20000,
        .unsent_maximum = (size_t)256 * 1024 * 1024,
        .arena_maximum = (size_t)64 * 1024 * 1024,
        .access_log = true,
        .access_log_percent = 100,
    };
}

static int check_options(const struct bh_http_options *const options, struct bh_error *const reterr)
{
    if (options->head_maximum < HEAD_MAXIMUM_MIN || options->head_maximum > BH_HEAD_BYTES_MAX)
        return bh_error_set(reterr, BH_EINVAL, "the largest request head must be %d to %d bytes",
                            HEAD_MAXIMUM_MIN, BH_HEAD_BYTES_MAX);
    if (options->headers_maximum < 1 || options->headers_maximum > BH_HEAD_FIELDS_MAX)
        return bh_error_set(reterr, BH_EINVAL, "the most header fields must be 1 to %d",
                            BH_HEAD_FIELDS_MAX);
    if (options->connections_maximum < 1)
        return bh_error_set(reterr, BH_EINVAL, "at least one connection must be allowed");
    return 0;
}

static int parse_address(const char *const host, const unsigned port,
                         struct sockaddr_storage *const address, struct bh_error *const reterr)
{
    const char *const text = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (port <= 65535 &&
        (uv_ip4_addr(text, (int)port, (struct sockaddr_in *)(void *)address) == 0 ||
         uv_ip6_addr(text, (int)port, (struct sockaddr_in6 *)(void *)address) == 0))
        return 0;
    return bh_error_set(reterr, BH_EINVAL,
                        "cannot listen on \"%s\" port %u: give an IP address or localhost, and a "
                        "port up to 65535",
                        host, port);
}

static int listen_failed(const int error, const char *const host, const unsigned port,
                         struct bh_error *const reterr)
{
    if (error == EADDRINUSE)
        return bh_error_set(reterr, BH_EEXISTS,
                            "port %u on %s is in use: stop the program that listens there, or "
                            "choose another port",
                            port, host);
    if (error == EADDRNOTAVAIL)
        return bh_error_set(reterr, BH_EINVAL, "%s is not an address of this machine", host);
    return bh_error_errno(reterr, error, "cannot listen on %s port %u", host, port);
}

static unsigned port_of(const int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    } address = { .ip6 = { .sin6_port = 0 } };
    socklen_t size = sizeof(address);
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.ip6.sin6_port : address.ip4.sin_port);
}

int bh_http_listen(const char *const host, const unsigned port, int *const ret_fd,
                   struct bh_error *const reterr)
{
    struct sockaddr_storage address = { 0 };
    const int parsed = parse_address(host, port, &address, reterr);
    if (parsed < 0)
        return parsed;
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bh_error_errno(reterr, errno, "cannot open a socket");
    const int on = 1;
    const int unsent_maximum = UNSENT_BYTES_MAX;
    /* Accepted sockets inherit the TCP options. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_maximum, sizeof(unsent_maximum)) <
            0 ||
        bind(fd, (const struct sockaddr *)&address,
             address.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                           : sizeof(struct sockaddr_in)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        const int error = errno;
        close(fd);
        return listen_failed(error, host, port, reterr);
    }
    *ret_fd = fd;
    return 0;
}

int bh_http_server_create(const struct bh_http_options *const options, const char *const host,
                          const unsigned port, const struct bh_router *const router,
                          void *const service, struct bh_http_server **const ret_server,
                          struct bh_error *const reterr)
{
    int result = check_options(options, reterr);
    int fd = options->listener_fd;
    if (result == 0 && fd == 0)
        result = bh_http_listen(host, port, &fd, reterr);
    if (result < 0)
        return result;
    struct bh_http_server *const server = calloc(1, sizeof(*server));
    if (!server || getrandom(&server->id_seed, sizeof(server->id_seed), 0) !=
                       (ssize_t)sizeof(server->id_seed)) {
        free(server);
        close(fd);
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the HTTP server");
    }
    server->magic = BH_HTTP_SERVER_MAGIC;
    server->options = *options;
    server->router = router;
    server->service = service;
    server->port = port_of(fd);
    server->shared.listener_fd = fd;
    pthread_mutex_init(&server->shared.mutex, NULL);
    *ret_server = server;
    return 0;
}

void bh_http_server_destroy(struct bh_http_server *const server)
{
    if (!server)
        return;
    bh_magic_check(server, BH_HTTP_SERVER_MAGIC);
    for (unsigned i = 0; i < server->loop_count; i++) {
        bh_assert(server->shared.loops[i]->handles_open == 0);
        bh_http_loop_fini(server->shared.loops[i]);
        free(server->shared.loops[i]);
    }
    if (server->shared.listener_fd >= 0)
        close(server->shared.listener_fd);
    pthread_mutex_destroy(&server->shared.mutex);
    server->magic = 0;
    free(server);
}

unsigned bh_http_server_port(const struct bh_http_server *const server)
{
    return server->port;
}

bool bh_http_server_is_draining(const struct bh_http_server *const server)
{
    return atomic_load_explicit(&server->is_draining, memory_order_relaxed);
}

void bh_http_server_mark_draining(struct bh_http_server *const server)
{
    atomic_store_explicit(&server->is_draining, true, memory_order_relaxed);
}

void bh_http_server_mark_replaced(struct bh_http_server *const server)
{
    atomic_store_explicit(&server->is_replaced, true, memory_order_relaxed);
}
