#include "load_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"

#define EVENTS 256
#define IN_HEAD (-1) /* of body_left */
#define CHUNKED (-2)
#define STATUS_AT 9 /* behind "HTTP/1.1 " */

int64_t load_number(const struct bh_str text)
{
    int64_t value;
    if (bh_str_to_int64(text, 0, INT64_MAX, &value) == 0)
        return value;
    fprintf(stderr, "%s: \"%.*s\" is no number\n", program_invocation_short_name,
            BH_STR_ARGS(text));
    exit(1);
}

/* ---- Asking ---- */

void load_host_init(struct load_host *const host, const uint16_t port)
{
    host->address = (struct sockaddr_in){ .sin_family = AF_INET,
                                          .sin_port = htons(port),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    host->epoll = epoll_create1(EPOLL_CLOEXEC);
    bh_assert(host->epoll >= 0);
}

void load_client_init(struct load_client *const client)
{
    client->fd = -1;
    client->is_asked = false;
}

static void drop(struct load_client *const client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static bool open_connection(struct load_client *const client, const struct load_host *const host)
{
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return false;
    const int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const struct linger linger = { .l_onoff = 1 }; /* no port waits behind at the end */
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
    const struct sockaddr *const address = (const struct sockaddr *)&host->address;
    return connect(client->fd, address, sizeof(host->address)) == 0 &&
           epoll_ctl(host->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

bool load_client_send(struct load_client *const client, const struct load_host *const host,
                      const char *const request, const size_t size)
{
    client->status = 0;
    client->have = 0;
    client->body_left = IN_HEAD;
    client->is_asked = (client->fd >= 0 || open_connection(client, host)) &&
                       send(client->fd, request, size, MSG_NOSIGNAL) == (ssize_t)size;
    if (!client->is_asked)
        drop(client);
    return client->is_asked;
}

/* ---- Answers ---- */

bool load_client_says(const struct load_client *const client, const char *const text)
{
    return strcasestr(client->head, text) != NULL;
}

static void read_body(struct load_client *const client, const struct load_host *const host,
                      const char *const data, const size_t size)
{
    if (host->take_body && size > 0)
        host->take_body(client, data, size);
    if (!client->is_chunked) {
        client->body_left -= (int64_t)size;
        return;
    }
    const size_t kept = size < LOAD_TAIL ? LOAD_TAIL - size : 0;
    memmove(client->tail, client->tail + LOAD_TAIL - kept, kept);
    memcpy(client->tail + kept, data + size - (LOAD_TAIL - kept), LOAD_TAIL - kept);
    if (memcmp(client->tail, "0\r\n\r\n", LOAD_TAIL) == 0)
        client->body_left = 0;
}

static void read_head(struct load_client *const client, const struct load_host *const host)
{
    client->head[client->have] = '\0';
    char *const end = strstr(client->head, "\r\n\r\n");
    bh_assert(end || client->have < LOAD_HEAD_MAX);
    if (!end)
        return;
    const char *const body = end + 4;
    end[2] = '\0'; /* what is looked for stands in the head */
    client->status = (int)load_number((struct bh_str){ client->head + STATUS_AT, 3 });
    client->closes = load_client_says(client, "\r\nConnection: close");
    client->is_chunked = load_client_says(client, "\r\nTransfer-Encoding: chunked\r\n");
    memset(client->tail, 0, LOAD_TAIL);
    static const char name[] = "\r\nContent-Length: ";
    const char *const length = strcasestr(client->head, name);
    const char *const digits = length ? length + sizeof(name) - 1 : "0";
    client->body_left = client->is_chunked
                            ? CHUNKED
                            : load_number((struct bh_str){ digits, strcspn(digits, "\r") });
    read_body(client, host, body, client->have - (size_t)(body - client->head));
}

static void read_some(struct load_client *const client, const struct load_host *const host)
{
    static char body[(1 << 16) + 1];
    const bool in_head = client->is_asked && client->status == 0;
    const ssize_t count = recv(client->fd, in_head ? client->head + client->have : body,
                               in_head ? LOAD_HEAD_MAX - client->have : sizeof(body) - 1,
                               MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0 || !client->is_asked) { /* an idle connection's end is no failure */
        const bool is_broken = client->is_asked;
        drop(client);
        client->is_asked = false;
        client->status = 0;
        if (is_broken)
            host->take(client);
        return;
    }
    if (in_head) {
        client->have += (size_t)count;
        read_head(client, host);
    } else {
        body[count] = '\0';
        read_body(client, host, body, (size_t)count);
    }
    if (client->body_left != 0)
        return;
    client->is_asked = false;
    if (client->closes)
        drop(client);
    host->take(client);
}

bool load_host_read(const struct load_host *const host, const uint64_t until_us)
{
    struct epoll_event events[EVENTS];
    const uint64_t now_us = bh_time_now_us();
    const uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
    const struct timespec timeout = { .tv_sec = (time_t)(left_us / BH_SECOND_US),
                                      .tv_nsec = (long)(left_us % BH_SECOND_US) * 1000 };
    const int count = epoll_pwait2(host->epoll, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++)
        read_some(events[i].data.ptr, host);
    return count == EVENTS;
}
