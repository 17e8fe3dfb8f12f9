/*
 * Open-loop load: requests at a constant rate, however slow the answers are, as from many people
 * who do not know of each other. A closed loop, as wrk's, slows down with the server and so cannot
 * overload it.
 *
 *     open_load PORT RATE SECONDS DEADLINE_MS CONNECTIONS DEPTH FILE
 *
 * FILE has a path to GET in each line, taken in turn. Each request goes out on an idle connection
 * to 127.0.0.1, or on a new one up to CONNECTIONS. Where all are waiting for answers, requests go
 * out behind those, up to DEPTH on a connection and as many in one packet as a tick has for it, as
 * a proxy's might: to send each by itself would take this program longer than a fast server takes
 * to answer it. Past that they are not sent, and told. Who has had no answer by the deadline
 * leaves: the connection is closed, with all that waits on it.
 *
 * Latency is counted from the time at which a request was due. Prints one line: answers a second
 * that were 200 within the deadline and came in the last SECONDS of the run (a third more comes
 * before them), counts of the whole run, and latencies in ms.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "load_client.h"

#define PATHS_MAX 10000
#define REQUEST_MAX 1200
#define TICK_US BH_MS_US
#define BATCH 32       /* requests in one packet */
#define SWEEP_TICKS 64 /* within which each connection is looked at for who has had enough */

struct connection {
    struct load_client client;
    uint32_t first, count; /* of those that wait in its ring of times */
    uint64_t *dues_us;
};

struct request {
    char *text;
    size_t size;
};

static struct {
    struct load_host host;
    struct request requests[PATHS_MAX];
    size_t request_count, next_request;
    struct connection *connections;
    size_t open, maximum, depth;
    size_t *idle; /* a stack of connections */
    size_t idle_count, next_busy, next_swept;
    uint64_t begun_us, deadline_us, counted_from_us, counted_to_us;
    double interval_us;
    uint64_t next; /* number of the request that is due next */
    uint32_t *latencies;
    size_t waiting, sent, good, late, left, refused, silent, other, broken, unsent, latency_count;
} load;

/* ---- Sending ---- */

static void make_idle(struct connection *const connection)
{
    load.idle[load.idle_count++] = (size_t)(connection - load.connections);
}

/* Forgets who waits for answers on it; how many they were. */
static size_t clear(struct connection *const connection)
{
    const size_t count = connection->count;
    load.waiting -= count;
    connection->count = 0;
    make_idle(connection);
    return count;
}

/* NULL: all have as many waiting as may. */
static struct connection *find_connection(void)
{
    if (load.idle_count > 0)
        return &load.connections[load.idle[--load.idle_count]];
    if (load.open < load.maximum)
        return &load.connections[load.open++];
    for (size_t i = 0; i < load.maximum; i++) {
        struct connection *const connection = &load.connections[load.next_busy];
        load.next_busy = (load.next_busy + 1) % load.maximum;
        if (connection->count < load.depth)
            return connection;
    }
    return NULL;
}

static uint64_t due_us(const uint64_t number)
{
    return load.begun_us + (uint64_t)((double)number * load.interval_us);
}

/* The requests from `number` on. */
static void send_requests(struct connection *const connection, const uint64_t number,
                          const size_t count)
{
    static char text[BATCH * REQUEST_MAX];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct request *const request = &load.requests[load.next_request];
        load.next_request = (load.next_request + 1) % load.request_count;
        memcpy(text + size, request->text, request->size);
        size += request->size;
        const size_t place = (connection->first + connection->count++) % load.depth;
        connection->dues_us[place] = due_us(number + i);
    }
    load.waiting += count;
    load.sent += count;
    if (!load_client_send(&connection->client, &load.host, text, size, (unsigned)count))
        load.broken += clear(connection);
}

/* Sends what is due by now, as far as there is room for it. */
static void send_due(void)
{
    const uint64_t now_us = bh_time_now_us();
    const uint64_t until_us = now_us < load.counted_to_us ? now_us : load.counted_to_us - 1;
    const uint64_t due = (uint64_t)((double)(until_us - load.begun_us) / load.interval_us) + 1;
    while (load.next < due) {
        struct connection *const connection = find_connection();
        if (!connection)
            break;
        const size_t room = connection->count == 0 ? 1 : load.depth - connection->count;
        const size_t most = room < BATCH ? room : BATCH;
        const size_t count = due - load.next < most ? due - load.next : most;
        send_requests(connection, load.next, count);
        load.next += count;
    }
    load.unsent += due - load.next;
    load.next = due;
}

/* Who has had no answer by the deadline leaves. */
static void sweep(const uint64_t now_us)
{
    for (size_t i = 0; i < load.open / SWEEP_TICKS + 1; i++) {
        struct connection *const connection = &load.connections[load.next_swept];
        load.next_swept = (load.next_swept + 1) % load.open;
        if (connection->count == 0 ||
            connection->dues_us[connection->first] + load.deadline_us > now_us)
            continue;
        load_client_leave(&connection->client);
        load.left += clear(connection);
    }
}

/* ---- Answers ---- */

static void count_answer(const struct load_client *const client, const uint64_t latency_us,
                         const bool is_counted)
{
    if (client->status == 503 && load_client_says(client, "\r\nRetry-After: "))
        load.refused++;
    else if (client->status == 503)
        load.silent++;
    else if (client->status != 200)
        load.other++;
    else if (latency_us > load.deadline_us)
        load.late++;
    else if (is_counted)
        load.good++;
    if (client->status == 200 && is_counted)
        load.latencies[load.latency_count++] = (uint32_t)latency_us;
}

static void take(struct load_client *const client)
{
    struct connection *const connection = BH_CONTAINER_OF(client, struct connection, client);
    if (client->status == 0) {
        load.broken += clear(connection);
        return;
    }
    const uint64_t now_us = bh_time_now_us();
    const bool is_counted = now_us >= load.counted_from_us && now_us < load.counted_to_us;
    count_answer(client, now_us - connection->dues_us[connection->first], is_counted);
    connection->first = (uint32_t)((connection->first + 1) % load.depth);
    connection->count--;
    load.waiting--;
    if (connection->count == 0)
        make_idle(connection);
}

/* ---- The run ---- */

static uint64_t left_us(const uint64_t until_us)
{
    const uint64_t now_us = bh_time_now_us();
    return until_us > now_us ? until_us - now_us : 0;
}

/* The answers that come until then, at least those that are there. */
static void read_until(const uint64_t until_us)
{
    bool has_more;
    do {
        has_more = load_host_read(&load.host, until_us);
    } while (has_more || left_us(until_us) > 0);
}

/* Where requests are dense it sleeps through each tick rather than be woken for each answer. */
static void run(const uint64_t seconds)
{
    load.begun_us = bh_time_now_us();
    load.counted_from_us = load.begun_us + seconds * BH_SECOND_US / 3;
    load.counted_to_us = load.counted_from_us + seconds * BH_SECOND_US;
    while (left_us(load.counted_to_us) > 0) {
        send_due();
        const uint64_t now_us = bh_time_now_us(), next_us = due_us(load.next);
        sweep(now_us);
        if (next_us < now_us + TICK_US)
            usleep(TICK_US);
        read_until(next_us < load.counted_to_us ? next_us : load.counted_to_us);
    }
    const uint64_t last_us = load.counted_to_us - 1 - load.begun_us;
    load.unsent += (size_t)((double)last_us / load.interval_us) + 1 -
                   load.next; /* where the last tick came too late */
    const uint64_t end_us = load.counted_to_us + load.deadline_us;
    while (load.waiting > 0 && left_us(end_us) > 0) {
        sweep(bh_time_now_us());
        read_until(bh_time_now_us() + TICK_US);
    }
    load.left += load.waiting;
}

static void read_requests(const char *const name)
{
    FILE *const file = fopen(name, "re");
    char line[1024], text[REQUEST_MAX];
    while (file && load.request_count < PATHS_MAX && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        const int size = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                                  line);
        load.requests[load.request_count++] = (struct request){ strdup(text), (size_t)size };
    }
    if (load.request_count == 0) {
        fprintf(stderr, "open_load: no path in %s\n", name);
        exit(1);
    }
    fclose(file);
}

static void make_connections(void)
{
    load.connections = calloc(load.maximum, sizeof(load.connections[0]));
    load.idle = calloc(load.maximum, sizeof(load.idle[0]));
    uint64_t *const dues_us = calloc(load.maximum * load.depth, sizeof(dues_us[0]));
    bh_assert(load.connections && load.idle && dues_us);
    for (size_t i = 0; i < load.maximum; i++) {
        load_client_init(&load.connections[i].client);
        load.connections[i].dues_us = dues_us + i * load.depth;
    }
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
    if (argc != 8) {
        fputs("usage: open_load PORT RATE SECONDS DEADLINE_MS CONNECTIONS DEPTH FILE\n", stderr);
        return 2;
    }
    const double rate = (double)load_number(bh_str_from(argv[2]));
    const uint64_t seconds = (uint64_t)load_number(bh_str_from(argv[3]));
    load.host.take = take;
    load_host_init(&load.host, (uint16_t)load_number(bh_str_from(argv[1])));
    load.interval_us = 1e6 / rate;
    load.deadline_us = (uint64_t)load_number(bh_str_from(argv[4])) * BH_MS_US;
    load.maximum = (size_t)load_number(bh_str_from(argv[5]));
    load.depth = (size_t)load_number(bh_str_from(argv[6]));
    read_requests(argv[7]);
    make_connections();
    load.latencies = calloc((size_t)(rate * (double)seconds * 2) + 1000, sizeof(uint32_t));
    bh_assert(load.latencies);
    run(seconds);
    qsort(load.latencies, load.latency_count, sizeof(load.latencies[0]), compare);
    printf("{\"goodput\": %.1f, \"sent\": %zu, \"refused\": %zu, \"refused_without_retry\": %zu, "
           "\"late\": %zu, \"left\": %zu, \"other\": %zu, \"broken\": %zu, \"unsent\": %zu, "
           "\"p50\": %.2f, "
           "\"p95\": %.2f, \"p99\": %.2f}\n",
           (double)load.good / (double)seconds, load.sent, load.refused, load.silent, load.late,
           load.left, load.other, load.broken, load.unsent, percentile_ms(0.5), percentile_ms(0.95),
           percentile_ms(0.99));
    return 0;
}
