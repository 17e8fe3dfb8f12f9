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
    client->asked = 0;
    client->is_between = true;
}

void load_client_leave(struct load_client *const client)
{
    if (client->fd >= 0)
        close(client->fd);
    load_client_init(client);
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
                      const char *const requests, const size_t size, const unsigned count)
{
    if ((client->fd < 0 && !open_connection(client, host)) ||
        send(client->fd, requests, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) {
        load_client_leave(client);
        return false;
    }
    client->asked += count;
    return true;
}

/* ---- Answers ---- */

bool load_client_says(const struct load_client *const client, const char *const text)
{
    return strcasestr(client->head, text) != NULL;
}

/* How much of the data was the answer's body. */
static size_t read_body(struct load_client *const client, const struct load_host *const host,
                        const char *const data, const size_t size)
{
    const size_t left = client->is_chunked ? size : (size_t)client->body_left;
    const size_t used = left < size ? left : size;
    if (host->take_body && used > 0)
        host->take_body(client, data, used);
    if (!client->is_chunked) {
        client->body_left -= (int64_t)used;
        return used;
    }
    const size_t kept = used < LOAD_TAIL ? LOAD_TAIL - used : 0;
    memmove(client->tail, client->tail + LOAD_TAIL - kept, kept);
    memcpy(client->tail + kept, data + used - (LOAD_TAIL - kept), LOAD_TAIL - kept);
    if (memcmp(client->tail, "0\r\n\r\n", LOAD_TAIL) == 0)
        client->body_left = 0;
    return used;
}

static void parse_head(struct load_client *const client)
{
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
}

/* How much of the data was the answer's head. */
static size_t read_head(struct load_client *const client, const char *const data, const size_t size)
{
    const size_t before = client->have, room = LOAD_HEAD_MAX - before;
    const size_t count = size < room ? size : room;
    memcpy(client->head + before, data, count);
    client->have += count;
    client->head[client->have] = '\0';
    char *const end = strstr(client->head, "\r\n\r\n");
    bh_assert(end || client->have < LOAD_HEAD_MAX);
    if (!end)
        return count;
    end[2] = '\0'; /* what is looked for stands in the head */
    parse_head(client);
    return (size_t)(end + 4 - client->head) - before;
}

static void broke_off(struct load_client *const client, const struct load_host *const host)
{
    const bool is_idle = client->asked == 0; /* its end is no failure */
    load_client_leave(client);
    client->status = 0;
    if (!is_idle)
        host->take(client);
}

static void end_answer(struct load_client *const client, const struct load_host *const host)
{
    client->asked--;
    client->is_between = true;
    const bool closes = client->closes, is_last = client->asked == 0;
    if (closes)
        load_client_leave(client);
    host->take(client);
    if (closes && !is_last) {
        client->status = 0;
        host->take(client);
    }
}

static void read_some(struct load_client *const client, const struct load_host *const host)
{
    static char buffer[(1 << 16) + 1];
    const ssize_t count = recv(client->fd, buffer, sizeof(buffer) - 1, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0 || client->asked == 0) {
        broke_off(client, host);
        return;
    }
    buffer[count] = '\0';
    const char *data = buffer, *const end = buffer + count;
    while (data < end && client->asked > 0) {
        if (client->is_between) {
            client->is_between = false;
            client->status = 0;
            client->have = 0;
            client->body_left = IN_HEAD;
        }
        if (client->status == 0)
            data += read_head(client, data, (size_t)(end - data));
        if (client->status != 0)
            data += read_body(client, host, data, (size_t)(end - data));
        if (client->body_left == 0)
            end_answer(client, host);
    }
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
