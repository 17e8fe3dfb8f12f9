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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "load_client.h"

#define PATHS_MAX 10000
#define TICK_US BH_MS_US

struct connection {
    struct load_client client;
    uint64_t due_us;
};

static struct {
    struct load_host host;
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
    load.busy--;
    load.idle[load.idle_count++] = (size_t)(connection - load.connections);
}

static void send_request(const uint64_t due_us)
{
    struct connection *const connection = take_connection();
    load.busy++;
    connection->due_us = due_us;
    char request[2048];
    const int size = snprintf(request, sizeof(request),
                              "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                              load.paths[load.next_path]);
    load.next_path = (load.next_path + 1) % load.path_count;
    load.sent++;
    if (load_client_send(&connection->client, &load.host, request, (size_t)size))
        return;
    load.broken++;
    give_back(connection);
}

/* ---- Answers ---- */

static void count_answer(const struct connection *const connection)
{
    const int status = connection->client.status;
    const uint64_t now_us = bh_time_now_us();
    const uint64_t latency_us = now_us - connection->due_us;
    const bool is_counted = now_us >= load.counted_from_us && now_us < load.counted_to_us;
    if (status == 503 && load_client_says(&connection->client, "\r\nRetry-After: "))
        load.refused++;
    else if (status == 503)
        load.silent++;
    else if (status == 0)
        load.broken++;
    else if (status != 200)
        load.other++;
    else if (latency_us > load.deadline_us)
        load.late++;
    else if (is_counted)
        load.good++;
    if (status == 200 && is_counted)
        load.latencies[load.latency_count++] = (uint32_t)latency_us;
}

static void take(struct load_client *const client)
{
    struct connection *const connection = BH_CONTAINER_OF(client, struct connection, client);
    count_answer(connection);
    give_back(connection);
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
    const double rate = (double)load_number(bh_str_from(argv[2]));
    const uint64_t seconds = (uint64_t)load_number(bh_str_from(argv[3]));
    load.host.take = take;
    load_host_init(&load.host, (uint16_t)load_number(bh_str_from(argv[1])));
    load.deadline_us = (uint64_t)load_number(bh_str_from(argv[4])) * BH_MS_US;
    load.maximum = (size_t)load_number(bh_str_from(argv[5]));
    read_paths(argv[6]);
    load.connections = calloc(load.maximum, sizeof(load.connections[0]));
    load.idle = calloc(load.maximum, sizeof(load.idle[0]));
    load.latencies = calloc((size_t)(rate * (double)seconds * 2) + 1000, sizeof(uint32_t));
    bh_assert(load.connections && load.idle && load.latencies);
    for (size_t i = 0; i < load.maximum; i++)
        load_client_init(&load.connections[i].client);
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
