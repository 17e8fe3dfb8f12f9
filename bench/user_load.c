/*
 * People at a server: each sends a request, reads the answer, thinks, and sends the next one on the
 * same connection, from an address of their own (X-Forwarded-For). What is asked at the same time
 * goes over a second connection, which is closed when both are answered.
 *
 *     user_load PORT USERS ARRIVALS WARM_SECONDS SECONDS THINK_MS FILE
 *
 * USERS come ARRIVALS a second. Thoughts last THINK_MS on average, half as long to half as long
 * again. A line of FILE is something they do: weight, class (a letter from a), and one or more
 * steps, parted by tabs. A step is a method, a path and perhaps a body, parted by spaces, where {n}
 * is a number that is new each time, and {book} the last book_id that an answer told; each waits
 * for the one before, but one that begins with + is sent together with it. EVENTS is a GET for
 * server-sent events. Lines are drawn by their weights.
 *
 * What begins in the SECONDS after the first WARM_SECONDS is counted, from its first byte to the
 * last one of its last step. Every second, and at the end, it prints a line of JSON.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "load_client.h"

#define CLASSES 26
#define STEPS_MAX 8
#define TOGETHER_MAX 2 /* steps */
#define TOGETHER '+'
#define LINES_MAX 10000
#define LINE_BYTES 65536
#define PATIENCE_US (40 * BH_SECOND_US) /* at the end, and longer than a request's deadline */

struct deed {
    double up_to; /* of all weights, with those before it */
    unsigned class;
    unsigned step_count;
    char *steps[STEPS_MAX];
};

struct connection {
    struct load_client client;
    struct user *user;
    bool says_error;
};

struct user {
    struct connection connections[TOGETHER_MAX];
    uint64_t due_us; /* thinking until; 0: waits for an answer */
    const struct deed *deed;
    unsigned step, waiting; /* the next one; how many have no answer yet */
    uint64_t begun_us;
    bool is_counted, is_good;
    int64_t book; /* the last one told */
};

struct figures {
    uint64_t done, failed;
    uint32_t *latencies_us;
    size_t count, room;
};

static struct {
    struct load_host host;
    struct deed deeds[LINES_MAX];
    size_t deed_count;
    struct user *users;
    size_t user_count, arrived;
    struct user **heap; /* those who think, the first to act on top */
    size_t thinking;
    double think_us;
    uint64_t random;
    int64_t numbers; /* the last one that was new */
    uint64_t counted_from_us, counted_to_us;
    struct figures classes[CLASSES];
    uint64_t hits, misses, refused, silent, statuses, broken; /* of counted requests' steps */
} load;

/* ---- Who thinks ---- */

static void heap_push(struct user *const user)
{
    size_t at = load.thinking++;
    for (; at > 0 && load.heap[(at - 1) / 2]->due_us > user->due_us; at = (at - 1) / 2)
        load.heap[at] = load.heap[(at - 1) / 2];
    load.heap[at] = user;
}

static struct user *heap_pop(void)
{
    struct user *const first = load.heap[0], *const last = load.heap[--load.thinking];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < load.thinking && load.heap[child + 1]->due_us < load.heap[child]->due_us)
            child++;
        if (child >= load.thinking || load.heap[child]->due_us >= last->due_us)
            break;
        load.heap[at] = load.heap[child];
        at = child;
    }
    load.heap[at] = last;
    return first;
}

static double draw(void)
{
    load.random ^= load.random << 13;
    load.random ^= load.random >> 7;
    load.random ^= load.random << 17;
    return (double)(load.random >> 11) / (double)(UINT64_C(1) << 53);
}

static void think(struct user *const user, const uint64_t now_us)
{
    user->deed = NULL;
    user->due_us = now_us + (uint64_t)(load.think_us * (0.5 + draw()));
    heap_push(user);
}

static void end_deed(struct user *const user)
{
    const uint64_t now_us = bh_time_now_us();
    const bool is_good = user->is_good;
    for (unsigned i = 1; i < TOGETHER_MAX; i++)
        load_client_leave(&user->connections[i].client);
    if (user->is_counted) {
        struct figures *const figures = &load.classes[user->deed->class];
        figures->done++;
        figures->failed += !is_good;
        if (is_good) {
            if (figures->count == figures->room) {
                figures->room = 2 * figures->room + 1024;
                figures->latencies_us = realloc(figures->latencies_us,
                                                figures->room * sizeof(uint32_t));
                bh_assert(figures->latencies_us);
            }
            figures->latencies_us[figures->count++] = (uint32_t)(now_us - user->begun_us);
        }
    }
    think(user, now_us);
}

/* ---- Requests ---- */

/* A step with its numbers filled in. */
static void fill_in(const struct user *const user, const char *at, char *const text,
                    const size_t size)
{
    size_t used = 0;
    while (*at != '\0' && used + 32 < size) {
        const bool is_number = strncmp(at, "{n}", 3) == 0;
        if (is_number || strncmp(at, "{book}", 6) == 0) {
            used += (size_t)snprintf(text + used, size - used, "%lld",
                                     (long long)(is_number ? load.numbers : user->book));
            at += is_number ? 3 : 6;
        } else {
            text[used++] = *at++;
        }
    }
    text[used] = '\0';
}

/* False: it could not be sent. */
static bool send_step(struct connection *const connection, const char *const text)
{
    static char step[LINE_BYTES], request[LINE_BYTES + 1024];
    const struct user *const user = connection->user;
    load.numbers++;
    fill_in(user, text, step, sizeof(step));
    char *const path = strchr(step, ' '), *body = path ? strchr(path + 1, ' ') : NULL;
    bh_assert(path);
    *path = '\0';
    if (body)
        *body++ = '\0';
    const bool wants_events = strcmp(step, "EVENTS") == 0;
    const size_t number = (size_t)(user - load.users);
    char length[64] = "";
    if (body)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
    const int size = snprintf(
        request, sizeof(request),
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "X-Forwarded-For: 10.%zu.%zu.%zu\r\n%s%s%s\r\n%s",
        wants_events ? "GET" : step, path + 1, number >> 16, number >> 8 & 255, number & 255,
        wants_events ? "Accept: text/event-stream\r\n" : "",
        body ? "Content-Type: application/json\r\n" : "", length, body ? body : "");
    connection->says_error = false;
    return load_client_send(&connection->client, &load.host, request, (size_t)size, 1);
}

static bool is_together(const struct user *const user)
{
    return user->step < user->deed->step_count && user->deed->steps[user->step][0] == TOGETHER;
}

/* The next step, with those that go together with it. */
static void send_steps(struct user *const user)
{
    unsigned sent = 0, failed = 0;
    do {
        bh_assert(sent < TOGETHER_MAX);
        const char *const text = user->deed->steps[user->step++];
        failed += !send_step(&user->connections[sent++], text + (text[0] == TOGETHER));
    } while (is_together(user));
    load.broken += user->is_counted ? failed : 0;
    user->is_good = failed == 0;
    user->waiting = sent - failed;
    if (user->waiting == 0)
        end_deed(user);
}

static void begin_deed(struct user *const user)
{
    const double at = draw() * load.deeds[load.deed_count - 1].up_to;
    size_t low = 0, high = load.deed_count - 1;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (load.deeds[middle].up_to < at)
            low = middle + 1;
        else
            high = middle;
    }
    user->deed = &load.deeds[low];
    user->step = 0;
    user->due_us = 0;
    user->begun_us = bh_time_now_us();
    user->is_counted = user->begun_us >= load.counted_from_us &&
                       user->begun_us < load.counted_to_us;
    send_steps(user);
}

/* ---- Answers ---- */

static struct connection *connection_of(struct load_client *const client)
{
    return BH_CONTAINER_OF(client, struct connection, client);
}

/* A body that tells a number is small, and comes in one piece. */
static void take_body(struct load_client *const client, const char *const data, const size_t size)
{
    static const char error[] = "\"status\":\"error\"", book[] = "\"book_id\":";
    struct connection *const connection = connection_of(client);
    if (client->is_chunked) {
        connection->says_error |= memmem(data, size, error, sizeof(error) - 1) != NULL;
        return;
    }
    const char *const at = memmem(data, size, book, sizeof(book) - 1);
    if (at)
        connection->user->book = strtoll(at + sizeof(book) - 1, NULL, 10);
}

static void count_answer(const struct load_client *const client, const bool is_good)
{
    load.hits += load_client_says(client, "\r\nX-Cache: hit\r\n");
    load.misses += load_client_says(client, "\r\nX-Cache: miss\r\n");
    if (is_good)
        return;
    const bool is_refusal = client->status == 503 || client->status == 429;
    const bool says_when = load_client_says(client, "\r\nRetry-After: ");
    load.refused += is_refusal && says_when;
    load.silent += is_refusal && !says_when;
    load.statuses += !is_refusal;
}

static void take(struct load_client *const client)
{
    const struct connection *const connection = connection_of(client);
    struct user *const user = connection->user;
    const bool is_broken = client->status == 0;
    const bool is_good = client->status >= 200 && client->status < 300 && !connection->says_error;
    if (user->is_counted && is_broken)
        load.broken++;
    else if (user->is_counted)
        count_answer(client, is_good);
    user->is_good &= is_good;
    if (--user->waiting > 0)
        return;
    if (!user->is_good || user->step == user->deed->step_count)
        end_deed(user);
    else
        send_steps(user);
}

/* ---- The run ---- */

static uint64_t all(const bool are_failed)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < CLASSES; i++)
        sum += are_failed ? load.classes[i].failed : load.classes[i].done;
    return sum;
}

static size_t in_hand(void)
{
    return load.arrived - load.thinking;
}

static void tell(void)
{
    printf("{\"users\": %zu, \"in_hand\": %zu, \"done\": %llu, \"failed\": %llu}\n", load.arrived,
           in_hand(), (unsigned long long)all(false), (unsigned long long)all(true));
    fflush(stdout);
}

static uint64_t earlier(const uint64_t a, const uint64_t b)
{
    return a < b ? a : b;
}

static void run(const double arrivals)
{
    const uint64_t begun_us = bh_time_now_us();
    uint64_t told_us = begun_us;
    for (;;) {
        const uint64_t now_us = bh_time_now_us();
        const bool is_over = now_us >= load.counted_to_us;
        if (is_over && (in_hand() == 0 || now_us >= load.counted_to_us + PATIENCE_US))
            return;
        if (now_us - told_us >= BH_SECOND_US) {
            told_us += BH_SECOND_US;
            tell();
        }
        uint64_t next_us = told_us + BH_SECOND_US;
        if (!is_over && load.arrived < load.user_count) {
            const uint64_t due_us = begun_us + (uint64_t)((double)load.arrived * 1e6 / arrivals);
            if (due_us <= now_us)
                begin_deed(&load.users[load.arrived++]);
            next_us = earlier(due_us, next_us);
        }
        if (!is_over && load.thinking > 0) {
            if (load.heap[0]->due_us <= now_us)
                begin_deed(heap_pop());
            next_us = load.thinking > 0 ? earlier(load.heap[0]->due_us, next_us) : next_us;
        }
        load_host_read(&load.host, next_us);
    }
}

static void read_deeds(const char *const name)
{
    static char line[LINE_BYTES];
    double sum = 0;
    FILE *const file = fopen(name, "re");
    while (file && load.deed_count < LINES_MAX && fgets(line, sizeof(line), file)) {
        struct deed *const deed = &load.deeds[load.deed_count++];
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        deed->up_to = sum += strtod(strsep(&rest, "\t"), NULL);
        const char *const class = strsep(&rest, "\t");
        bh_assert(class && *class >= 'a' && *class <= 'z');
        deed->class = (unsigned)(*class - 'a');
        while (rest && deed->step_count < STEPS_MAX)
            deed->steps[deed->step_count++] = strdup(strsep(&rest, "\t"));
        bh_assert(deed->step_count > 0);
    }
    if (load.deed_count == 0) {
        fprintf(stderr, "user_load: no line in %s\n", name);
        exit(1);
    }
    fclose(file);
}

static int compare(const void *const a, const void *const b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static double percentile_ms(const struct figures *const figures, const double share)
{
    if (figures->count == 0)
        return 0;
    return figures->latencies_us[(size_t)(share * (double)(figures->count - 1))] / 1000.0;
}

static void print_result(void)
{
    for (size_t i = load.arrived; i-- > 0;)
        if (load.users[i].deed && load.users[i].is_counted) { /* still no answer */
            load.classes[load.users[i].deed->class].done++;
            load.classes[load.users[i].deed->class].failed++;
            load.broken++;
        }
    printf("{\"hits\": %llu, \"misses\": %llu, \"refused\": %llu, \"refused_without_retry\": %llu, "
           "\"other\": %llu, \"broken\": %llu, \"classes\": {",
           (unsigned long long)load.hits, (unsigned long long)load.misses,
           (unsigned long long)load.refused, (unsigned long long)load.silent,
           (unsigned long long)load.statuses, (unsigned long long)load.broken);
    const char *comma = "";
    for (unsigned i = 0; i < CLASSES; i++) {
        const struct figures *const figures = &load.classes[i];
        if (figures->done == 0)
            continue;
        if (figures->count > 0)
            qsort(figures->latencies_us, figures->count, sizeof(uint32_t), compare);
        printf("%s\"%c\": {\"done\": %llu, \"failed\": %llu, \"p50\": %.2f, \"p95\": %.2f, "
               "\"p99\": %.2f}",
               comma, 'a' + (int)i, (unsigned long long)figures->done,
               (unsigned long long)figures->failed, percentile_ms(figures, 0.5),
               percentile_ms(figures, 0.95), percentile_ms(figures, 0.99));
        comma = ", ";
    }
    puts("}}");
}

int main(const int argc, char **const argv)
{
    if (argc != 8) {
        fputs("usage: user_load PORT USERS ARRIVALS WARM_SECONDS SECONDS THINK_MS FILE\n", stderr);
        return 2;
    }
    load.host.take = take;
    load.host.take_body = take_body;
    load_host_init(&load.host, (uint16_t)load_number(bh_str_from(argv[1])));
    load.user_count = (size_t)load_number(bh_str_from(argv[2]));
    const double arrivals = (double)load_number(bh_str_from(argv[3]));
    load.think_us = (double)load_number(bh_str_from(argv[6])) * 1000;
    load.random = UINT64_C(0x2545F4914F6CDD1D);
    read_deeds(argv[7]);
    load.users = calloc(load.user_count, sizeof(load.users[0]));
    load.heap = calloc(load.user_count, sizeof(struct user *));
    bh_assert(load.users && load.heap && arrivals > 0);
    for (size_t i = 0; i < load.user_count; i++)
        for (unsigned j = 0; j < TOGETHER_MAX; j++) {
            load_client_init(&load.users[i].connections[j].client);
            load.users[i].connections[j].user = &load.users[i];
        }
    load.counted_from_us = bh_time_now_us() +
                           (uint64_t)load_number(bh_str_from(argv[4])) * BH_SECOND_US;
    load.counted_to_us = load.counted_from_us +
                         (uint64_t)load_number(bh_str_from(argv[5])) * BH_SECOND_US;
    run(arrivals);
    print_result();
    return 0;
}
