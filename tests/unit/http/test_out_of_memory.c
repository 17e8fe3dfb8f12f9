/*
 * Every allocation of a fresh server's thread fails once, in each conversation below. The client
 * may see its connection closed or an error; the server must go on, and serve the next client in
 * full.
 */
#include "cmocka_setup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../fail_alloc.h"
#include "bulkhead/base/assert.h"
#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/http/multipart.h"
#include "bulkhead/http/server.h"

/* ---- The server, on the test's own thread ---- */

static int handle_echo(struct bh_request *const request)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 1 << 20);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "body", bh_request_body(request));
    bh_json_kv_string(&json, "fields", bh_request_header(request, "X-A"));
    struct bh_str query = BH_STR_NONE;
    bh_request_query(request, "q", &query);
    bh_json_kv_string(&json, "q", query);
    bh_json_object_end(&json);
    bh_response_header(request, "X-Extra", BH_STR("1"));
    return bh_respond_json_take(request, 200, &buf);
}

static int handle_stream(struct bh_request *const request)
{
    static const char filler[20000];
    int result = bh_stream_begin(request, 200, "text/plain");
    for (int i = 0; i < 50 && result == 0; i++)
        result = bh_stream_write(request, (struct bh_str){ filler, i % 2 ? sizeof(filler) : 10 });
    return result < 0 ? result : bh_stream_end(request);
}

static int handle_form(struct bh_request *const request)
{
    struct bh_multipart *form;
    struct bh_error error;
    int result = bh_multipart_begin(request, &form, &error);
    struct bh_multipart_item item = { .event = BH_MULTIPART_DATA };
    while (result == 0 && item.event != BH_MULTIPART_END)
        result = bh_multipart_next(form, &item, &error);
    if (result < 0)
        return bh_respond_failure(request, &error);
    return bh_respond(request, 200, "text/plain", BH_STR("taken"));
}

static const struct bh_route routes[] = {
    { .method = "POST", .pattern = "/echo", .handler = handle_echo, .body_maximum = 1 << 20 },
    { .method = "GET", .pattern = "/stream", .handler = handle_stream },
    { .method = "POST",
      .pattern = "/form",
      .handler = handle_form,
      .body_maximum = 1 << 20,
      .stream_body = true },
};

static struct bh_loop *loop;
static struct bh_http_server *server;

/* A call made on the server's thread while the client waits. */
struct call {
    struct bh_task task;
    sem_t done;
    unsigned arm; /* 0: disarm */
    bool struck;
};

static void run_call(struct bh_task *const task)
{
    struct call *const call = BH_CONTAINER_OF(task, struct call, task);
    if (call->arm)
        fail_alloc_arm(call->arm);
    else
        call->struck = fail_alloc_disarm();
    sem_post(&call->done);
}

static bool call_server(const unsigned arm)
{
    struct call call = { .task = { .run = run_call }, .arm = arm };
    sem_init(&call.done, 0, 0);
    bh_loop_post(loop, &call.task);
    sem_wait(&call.done);
    sem_destroy(&call.done);
    return call.struck;
}

static void drained(void *const argument)
{
    (void)argument;
    bh_loop_stop(loop);
}

static void drain(struct bh_task *const task)
{
    (void)task;
    bh_http_server_drain(server, loop, bh_time_now_us() + BH_SECOND_US, drained, NULL);
}

/* ---- The client, on a thread of its own ---- */

static int connect_to_server(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = { .tv_sec = 10 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)bh_http_server_port(server)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bh_assert(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

/* Sends the request, which says Connection: close, and reads to the end. The status, or 0. */
static int converse(const char *const request)
{
    static char answer[1 << 20];
    const int fd = connect_to_server();
    size_t size = 0;
    /* Two segments, so that part of a request waits for the rest. */
    const size_t half = strlen(request) / 2;
    if (send(fd, request, half, MSG_NOSIGNAL) > 0) {
        usleep(500);
        send(fd, request + half, strlen(request) - half, MSG_NOSIGNAL);
    }
    ssize_t count;
    while ((count = recv(fd, answer + size, sizeof(answer) - 1 - size, 0)) > 0)
        size += (size_t)count;
    bh_assert(count == 0 || errno != EAGAIN); /* the server always ends the connection */
    close(fd);
    answer[size] = '\0';
    return size > 12 ? (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10) : 0;
}

static const char *const requests[] = {
    "POST /echo?q=a+b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n"
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /form HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 68\r\n"
    "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nsome content\r\n--x--\r\n",
    "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
};
static const int statuses[] = { 200, 200, 200, 404 };

/* One conversation during which the n-th allocation fails, and one after it. */
struct trial {
    const char *request;
    int status; /* expected */
    unsigned n;
    bool struck;
};

static void *run_client(void *const argument)
{
    static struct bh_task drain_task = { .run = drain };
    struct trial *const trial = argument;
    call_server(trial->n);
    const int status = converse(trial->request);
    trial->struck = call_server(0);
    bh_assert(status == trial->status || (trial->struck && (status == 0 || status >= 413)));
    bh_assert(converse(trial->request) == trial->status);
    bh_loop_post(loop, &drain_task);
    return NULL;
}

/* libuv stops the process when its table of descriptors cannot grow: let it grow before. */
static void no_event(uv_poll_t *const handle, const int status, const int events)
{
    (void)handle;
    (void)status;
    (void)events;
}

static void grow_descriptor_table(void)
{
    static uv_poll_t handle;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int high = fcntl(ends[0], F_DUPFD_CLOEXEC, 100);
    assert_true(high >= 100);
    assert_int_equal(uv_poll_init(bh_loop_uv(loop), &handle, high), 0);
    assert_int_equal(uv_poll_start(&handle, UV_READABLE, no_event), 0);
    uv_close((uv_handle_t *)&handle, NULL);
    close(high);
    close(ends[0]);
    close(ends[1]);
}

/* On a server of its own, so that nothing was pooled by earlier ones. */
static void run_trial(const struct bh_router *const router, struct trial *const trial)
{
    struct bh_http_options options;
    bh_http_options_default(&options);
    assert_int_equal(bh_http_server_create(&options, "127.0.0.1", 0, router, NULL, &server, NULL),
                     0);
    assert_int_equal(bh_loop_create(NULL, &loop), 0);
    assert_int_equal(bh_http_server_attach(server, loop), 0);
    grow_descriptor_table();
    pthread_t client;
    assert_int_equal(pthread_create(&client, NULL, run_client, trial), 0);
    bh_loop_run(loop);
    pthread_join(client, NULL);
    bh_loop_destroy(loop);
    bh_http_server_destroy(server);
}

static void test_out_of_memory_costs_one_connection_at_most(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    struct bh_router *router;
    assert_int_equal(bh_router_create(&router), 0);
    assert_int_equal(bh_router_add(router, routes, BH_COUNT_OF(routes), NULL), 0);
    for (size_t i = 0; i < BH_COUNT_OF(requests); i++) {
        struct trial trial = { .request = requests[i], .status = statuses[i], .struck = true };
        while (trial.struck) {
            trial.n++;
            run_trial(router, &trial);
        }
        assert_in_range(trial.n, 5, 500);
    }
    bh_router_destroy(router);
}

static void test_a_server_without_memory_is_refused(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    struct bh_http_options options;
    bh_http_options_default(&options);
    struct bh_router *router;
    for (unsigned n = 1;; n++) {
        fail_alloc_arm(n);
        int result = bh_router_create(&router);
        if (result == 0) {
            result = bh_router_add(router, routes, BH_COUNT_OF(routes), NULL);
            if (result == 0)
                result = bh_http_server_create(&options, "127.0.0.1", 0, router, NULL, &server,
                                               NULL);
            const bool struck = fail_alloc_disarm();
            if (result == 0)
                bh_http_server_destroy(server);
            bh_router_destroy(router);
            if (!struck)
                break;
        }
        fail_alloc_disarm();
        assert_int_equal(result, BH_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_memory_costs_one_connection_at_most),
        cmocka_unit_test(test_a_server_without_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
