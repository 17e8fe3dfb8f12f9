/*
 * Open-loop load: requests at a constant rate, however slow the answers are, as from many people
 * who do not know of each other. A closed loop, as wrk's, slows down with the server and so cannot
 * overload it.
 *
 *     open_load PORT RATE SECONDS DEADLINE_MS CONNECTIONS FILE
 *
 * FILE has a path to GET in each line, taken in turn. Each request goes out on an idle connection
 * to 127.0.0.1, or on a new one up to CONNECTIONS. Latency is counted from the time at which a
 * request was due. Prints one line: answers a second that were 200 within the deadline and came in
 * the last SECONDS of the run (a third more comes before them), counts, and latencies in ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/str.h"
#include "bulkhead/base/time.h"

#define PATHS_MAX 10000
#define HEAD_MAX 4096
#define EVENTS 256
#define TICK_US BH_MS_US

struct connection {
    int fd;
    bool is_busy;
    uint64_t due_us;
    size_t have;       /* bytes of the head in `head` */
    int64_t body_left; /* -1: the head is not complete */
    int status;
    bool says_when, closes;
    char head[HEAD_MAX + 1];
};

static struct {
    int epoll;
    struct sockaddr_in address;
    char *paths[PATHS_MAX];
    size_t path_count, next_path;
    struct connection *connections;
    size_t open, maximum;
    size_t *idle; /* a stack of connections */
    size_t idle_count, busy;
    uint64_t deadline_us, counted_from_us, counted_to_us;
    uint32_t *latencies;
    size_t sent, good, late, refused, silent, other, broken, unsent, latency_count;
} load;

/* ---- Connections ---- */

static bool open_connection(struct connection *const connection)
{
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        return false;
    const int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const struct linger linger = { .l_onoff = 1 }; /* no port waits behind at the end */
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    if (connect(connection->fd, (const struct sockaddr *)&load.address, sizeof(load.address)) < 0 ||
        epoll_ctl(load.epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) {
        close(connection->fd);
        connection->fd = -1;
        return false;
    }
    return true;
}

static bool has_connection(void)
{
    return load.idle_count > 0 || load.open < load.maximum;
}

static struct connection *take_connection(void)
{
    if (load.idle_count > 0)
        return &load.connections[load.idle[--load.idle_count]];
    return &load.connections[load.open++];
}

static void give_back(struct connection *const connection)
{
    connection->is_busy = false;
    load.busy--;
    load.idle[load.idle_count++] = (size_t)(connection - load.connections);
}

static void drop(struct connection *const connection)
{
    close(connection->fd);
    connection->fd = -1;
}

static void send_request(const uint64_t due_us)
{
    struct connection *const connection = take_connection();
    connection->is_busy = true;
    load.busy++;
    connection->due_us = due_us;
    connection->have = 0;
    connection->body_left = -1;
    char request[2048];
    const int size = snprintf(request, sizeof(request),
                              "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                              load.paths[load.next_path]);
    load.next_path = (load.next_path + 1) % load.path_count;
    load.sent++;
    const bool is_open = connection->fd >= 0 || open_connection(connection);
    if (is_open && send(connection->fd, request, (size_t)size, MSG_NOSIGNAL) == size)
        return;
    load.broken++;
    if (is_open)
        drop(connection);
    give_back(connection);
}

/* ---- Answers ---- */

static void count_answer(struct connection *const connection)
{
    const uint64_t now_us = bh_time_now_us();
    const uint64_t latency_us = now_us - connection->due_us;
    const bool is_counted = now_us >= load.counted_from_us && now_us < load.counted_to_us;
    if (connection->status == 503 && connection->says_when)
        load.refused++;
    else if (connection->status == 503)
        load.silent++;
    else if (connection->status != 200)
        load.other++;
    else if (latency_us > load.deadline_us)
        load.late++;
    else if (is_counted)
        load.good++;
    if (connection->status == 200 && is_counted)
        load.latencies[load.latency_count++] = (uint32_t)latency_us;
}

static int64_t number(const struct bh_str text)
{
    int64_t value;
    if (bh_str_to_int64(text, 0, INT64_MAX, &value) == 0)
        return value;
    fprintf(stderr, "open_load: \"%.*s\" is no number\n", BH_STR_ARGS(text));
    exit(1);
}

static void read_head(struct connection *const connection)
{
    connection->head[connection->have] = '\0';
    const char *const end = strstr(connection->head, "\r\n\r\n");
    bh_assert(end || connection->have < HEAD_MAX);
    if (!end)
        return;
    connection->status = (int)number((struct bh_str){ connection->head + 9, 3 });
    const char *const length = strcasestr(connection->head, "\r\nContent-Length: ");
    const char *const retry = strcasestr(connection->head, "\r\nRetry-After: ");
    const char *const closing = strcasestr(connection->head, "\r\nConnection: close");
    connection->says_when = retry && retry < end;
    connection->closes = closing && closing < end;
    const size_t head_size = (size_t)(end - connection->head) + 4;
    int64_t body_size = 0;
    if (length && length < end)
        body_size = number((struct bh_str){ length + 18, strcspn(length + 18, "\r") });
    connection->body_left = body_size - (int64_t)(connection->have - head_size);
}

static void read_answer(struct connection *const connection)
{
    static char body[1 << 16];
    const bool in_head = connection->body_left < 0;
    const ssize_t count = recv(connection->fd, in_head ? connection->head + connection->have : body,
                               in_head ? HEAD_MAX - connection->have : sizeof(body), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        drop(connection);
        if (connection->is_busy) {
            load.broken++;
            give_back(connection);
        }
        return;
    }
    if (in_head) {
        connection->have += (size_t)count;
        read_head(connection);
    } else {
        connection->body_left -= count;
    }
    if (connection->body_left != 0)
        return;
    count_answer(connection);
    if (connection->closes)
        drop(connection);
    give_back(connection);
}

/* ---- The run ---- */

static uint64_t left_us(const uint64_t until_us)
{
    const uint64_t now_us = bh_time_now_us();
    return until_us > now_us ? until_us - now_us : 0;
}

static struct timespec timespec_of(const uint64_t us)
{
    return (struct timespec){ .tv_sec = (time_t)(us / BH_SECOND_US),
                              .tv_nsec = (long)(us % BH_SECOND_US) * 1000 };
}

/* The answers that come until then, at least those that are there. */
static void read_until(const uint64_t until_us)
{
    struct epoll_event events[EVENTS];
    int count;
    do {
        const struct timespec timeout = timespec_of(left_us(until_us));
        count = epoll_pwait2(load.epoll, events, EVENTS, &timeout, NULL);
        for (int i = 0; i < count; i++)
            read_answer(events[i].data.ptr);
    } while (count == EVENTS || left_us(until_us) > 0);
}

/* Sends what is due by now, as far as there are connections for it. */
static void send_due(const uint64_t begun_us, const double interval_us, uint64_t *const number)
{
    const uint64_t now_us = bh_time_now_us();
    const uint64_t until_us = now_us < load.counted_to_us ? now_us : load.counted_to_us;
    const uint64_t due = (uint64_t)((double)(until_us - begun_us) / interval_us) + 1;
    for (; *number < due && has_connection(); ++*number)
        send_request(begun_us + (uint64_t)((double)*number * interval_us));
    load.unsent += due - *number;
    *number = due;
}

/* Where requests are dense it sleeps through each tick rather than be woken for each answer: that
 * would take from the server the processor they share. */
static void run(const double rate, const uint64_t seconds)
{
    const uint64_t begun_us = bh_time_now_us();
    const uint64_t duration_us = seconds * BH_SECOND_US;
    const double interval_us = 1e6 / rate;
    load.counted_from_us = begun_us + duration_us / 3;
    load.counted_to_us = load.counted_from_us + duration_us;
    uint64_t number = 0;
    while (left_us(load.counted_to_us) > 0) {
        send_due(begun_us, interval_us, &number);
        const uint64_t due_us = begun_us + (uint64_t)((double)number * interval_us);
        const uint64_t tick_us = bh_time_now_us() + TICK_US;
        if (due_us < tick_us)
            usleep(TICK_US);
        read_until(due_us < load.counted_to_us ? due_us : load.counted_to_us);
    }
    const uint64_t end_us = load.counted_to_us + load.deadline_us;
    while (load.busy > 0 && left_us(end_us) > 0)
        read_until(bh_time_now_us() + TICK_US);
    load.late += load.busy;
}

static void read_paths(const char *const name)
{
    FILE *const file = fopen(name, "re");
    char line[1024];
    while (file && load.path_count < PATHS_MAX && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        load.paths[load.path_count++] = strdup(line);
    }
    if (load.path_count == 0) {
        fprintf(stderr, "open_load: no path in %s\n", name);
        exit(1);
    }
    fclose(file);
}

static int compare(const void *const a, const void *const b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static double percentile_ms(const double share)
{
    if (load.latency_count == 0)
        return 0;
    return load.latencies[(size_t)(share * (double)(load.latency_count - 1))] / 1000.0;
}

int main(const int argc, char **const argv)
{
    if (argc != 7) {
        fputs("usage: open_load PORT RATE SECONDS DEADLINE_MS CONNECTIONS FILE\n", stderr);
        return 2;
    }
    const double rate = (double)number(bh_str_from(argv[2]));
    const uint64_t seconds = (uint64_t)number(bh_str_from(argv[3]));
    load.address.sin_family = AF_INET;
    load.address.sin_port = htons((uint16_t)number(bh_str_from(argv[1])));
    load.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load.deadline_us = (uint64_t)number(bh_str_from(argv[4])) * BH_MS_US;
    load.maximum = (size_t)number(bh_str_from(argv[5]));
    read_paths(argv[6]);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.connections = calloc(load.maximum, sizeof(load.connections[0]));
    load.idle = calloc(load.maximum, sizeof(load.idle[0]));
    load.latencies = calloc((size_t)(rate * (double)seconds * 2) + 1000, sizeof(uint32_t));
    bh_assert(load.epoll >= 0 && load.connections && load.idle && load.latencies);
    for (size_t i = 0; i < load.maximum; i++)
        load.connections[i].fd = -1;
    run(rate, seconds);
    qsort(load.latencies, load.latency_count, sizeof(load.latencies[0]), compare);
    printf("{\"goodput\": %.1f, \"sent\": %zu, \"refused\": %zu, \"refused_without_retry\": %zu, "
           "\"late\": %zu, \"other\": %zu, \"broken\": %zu, \"unsent\": %zu, \"p50\": %.2f, "
           "\"p95\": %.2f, \"p99\": %.2f}\n",
           (double)load.good / (double)seconds, load.sent, load.refused, load.silent, load.late,
           load.other, load.broken, load.unsent, percentile_ms(0.5), percentile_ms(0.95),
           percentile_ms(0.99));
    return 0;
}
