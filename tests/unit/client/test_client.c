#include "cmocka_setup.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/client/client.h"
#include "bulkhead/http/server.h"
#include "in_fiber.h"

#define LARGE_BYTES ((size_t)8 << 20)

/* A server on the same loop as the client. */
struct fixture {
    struct bh_router *router;
    struct bh_http_server *server;
    struct bh_client *client;
    struct bh_client_options options;
    void (*test)(struct fixture *fixture);
    struct bh_fiber *tester;
    bool is_drained;
    bool hang_left; /* the handler of /hang was told that its client has gone */
};

/* ---- The server ---- */

static int handle_echo(struct bh_request *const request)
{
    const struct bh_str given = bh_request_header(request, "x-given");
    bh_response_header(request, "X-Given", given);
    return bh_respond(request, 429, "text/plain", bh_request_body(request));
}

static int handle_large(struct bh_request *const request)
{
    char piece[4096];
    int result = bh_stream_begin(request, 200, "text/plain");
    for (size_t i = 0; result == 0 && i < LARGE_BYTES / sizeof(piece); i++) {
        memset(piece, 'a' + (int)(i % 26), sizeof(piece));
        result = bh_stream_write(request, (struct bh_str){ piece, sizeof(piece) });
    }
    return result == 0 ? bh_stream_end(request) : result;
}

static int handle_cut(struct bh_request *const request)
{
    int result = bh_stream_begin(request, 200, "text/plain");
    if (result == 0)
        result = bh_stream_write(request, BH_STR("half"));
    if (result == 0)
        result = bh_fiber_sleep(20 * BH_MS_US); /* so that the half is sent */
    bh_stream_abort(request);
    return result;
}

static int handle_hang(struct bh_request *const request)
{
    struct fixture *const fixture = bh_request_service(request);
    const int result = bh_fiber_sleep(BH_SECOND_US * 60);
    fixture->hang_left = result == BH_ECANCELED;
    bh_fiber_wake(fixture->tester);
    return result;
}

static const struct bh_route routes[] = {
    { .method = "POST", .pattern = "/echo", .handler = handle_echo, .body_maximum = 1 << 20 },
    { .method = "GET", .pattern = "/large", .handler = handle_large },
    { .method = "GET", .pattern = "/cut", .handler = handle_cut },
    { .method = "GET", .pattern = "/hang", .handler = handle_hang },
};

static void drained(void *const argument)
{
    struct fixture *const fixture = argument;
    fixture->is_drained = true;
    bh_fiber_wake(fixture->tester);
}

static void with_server(void *const argument)
{
    struct fixture *const fixture = argument;
    struct bh_http_options options;
    struct bh_error error;
    bh_http_options_default(&options);
    options.access_log = false;
    fixture->tester = bh_fiber_current();
    assert_int_equal(bh_http_server_create(&options, "127.0.0.1", 0, fixture->router, fixture,
                                           &fixture->server, &error),
                     0);
    assert_int_equal(bh_http_server_attach(fixture->server, bh_loop_current()), 0);
    fixture->test(fixture);
    bh_http_server_drain(fixture->server, bh_loop_current(), bh_time_now_us(), drained, fixture);
    while (!fixture->is_drained)
        bh_fiber_park_uncancelable();
}

static void run(void (*const test)(struct fixture *), const struct bh_client_options *const options)
{
    struct fixture fixture = { .test = test };
    struct bh_error error;
    bh_client_options_default(&fixture.options);
    if (options != NULL)
        fixture.options = *options;
    assert_int_equal(bh_client_create(&fixture.options, &fixture.client), 0);
    assert_int_equal(bh_router_create(&fixture.router), 0);
    assert_int_equal(bh_router_add(fixture.router, routes, BH_COUNT_OF(routes), &error), 0);
    in_fiber_run(with_server, &fixture);
    bh_http_server_destroy(fixture.server);
    bh_router_destroy(fixture.router);
    bh_client_destroy(fixture.client);
}

/* ---- Asking ---- */

static int open_path(struct fixture *const fixture, const char *const path,
                     const struct bh_str body, const uint64_t until_us,
                     struct bh_transfer **const ret_transfer, struct bh_error *const reterr)
{
    static const char *const headers[] = { "X-Given: value", NULL };
    char url[100];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", bh_http_server_port(fixture->server), path);
    const struct bh_client_request request = {
        .method = body.data != NULL ? "POST" : "GET", .url = url, .headers = headers, .body = body
    };
    return bh_client_open(fixture->client, &request, until_us, ret_transfer, reterr);
}

static size_t read_all(struct bh_transfer *const transfer, char *const first)
{
    struct bh_str piece;
    size_t total = 0;
    for (;;) {
        assert_int_equal(bh_transfer_read(transfer, BH_NEVER_US, &piece, NULL), 0);
        if (piece.size == 0)
            return total;
        assert_true(piece.size <= BH_TRANSFER_WAITING_MAX);
        if (total == 0)
            *first = piece.data[0];
        total += piece.size;
        bh_fiber_yield(); /* a reader slower than the server */
    }
}

/* ---- Tests ---- */

static void echo(struct fixture *const fixture)
{
    struct bh_transfer *transfer = NULL;
    struct bh_str piece;
    for (int i = 0; i < 3; i++) { /* the second time on a connection that was kept */
        assert_int_equal(open_path(fixture, "/echo", BH_STR("hello"), BH_NEVER_US, &transfer, NULL),
                         0);
        assert_int_equal(bh_transfer_status(transfer), 429);
        assert_true(bh_str_equal(bh_transfer_header(transfer, "x-given"), BH_STR("value")));
        assert_null(bh_transfer_header(transfer, "retry-after").data);
        assert_int_equal(bh_transfer_read(transfer, BH_NEVER_US, &piece, NULL), 0);
        assert_true(bh_str_equal(piece, BH_STR("hello")));
        assert_int_equal(bh_transfer_read(transfer, BH_NEVER_US, &piece, NULL), 0);
        assert_int_equal(piece.size, 0);
        bh_transfer_close(transfer);
    }
}

static void test_a_request_gets_its_answer(void **state)
{
    (void)state;
    run(echo, NULL);
}

static void large(struct fixture *const fixture)
{
    struct bh_transfer *transfer = NULL;
    char first = 0;
    assert_int_equal(open_path(fixture, "/large", BH_STR_NONE, BH_NEVER_US, &transfer, NULL), 0);
    assert_int_equal(read_all(transfer, &first), LARGE_BYTES);
    assert_int_equal(first, 'a');
    bh_transfer_close(transfer);
}

static void test_a_long_body_comes_in_bounded_pieces(void **state)
{
    (void)state;
    run(large, NULL);
}

static void leave_early(struct fixture *const fixture)
{
    struct bh_transfer *transfer = NULL;
    struct bh_str piece;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(open_path(fixture, "/large", BH_STR_NONE, BH_NEVER_US, &transfer, NULL),
                         0);
        assert_int_equal(bh_transfer_read(transfer, BH_NEVER_US, &piece, NULL), 0);
        bh_transfer_close(transfer);
    }
    echo(fixture);
}

static void test_a_transfer_may_be_closed_at_any_time(void **state)
{
    (void)state;
    run(leave_early, NULL);
}

static void cut(struct fixture *const fixture)
{
    struct bh_transfer *transfer = NULL;
    struct bh_error error;
    struct bh_str piece;
    assert_int_equal(open_path(fixture, "/cut", BH_STR_NONE, BH_NEVER_US, &transfer, &error), 0);
    int result = bh_transfer_read(transfer, BH_NEVER_US, &piece, &error);
    if (result == 0) {
        assert_true(bh_str_equal(piece, BH_STR("half")));
        result = bh_transfer_read(transfer, BH_NEVER_US, &piece, &error);
    }
    assert_int_equal(result, BH_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "127.0.0.1"));
    bh_transfer_close(transfer);
}

static void test_a_body_cut_short_is_an_error(void **state)
{
    (void)state;
    run(cut, NULL);
}

static void hang(struct fixture *const fixture)
{
    struct bh_transfer *transfer = NULL;
    struct bh_error error;
    assert_int_equal(open_path(fixture, "/hang", BH_STR_NONE, bh_time_now_us() + 50 * BH_MS_US,
                               &transfer, &error),
                     BH_ETIMEDOUT);
    assert_string_equal(error.message, "127.0.0.1 did not answer in time");
    assert_null(transfer);
    while (!fixture->hang_left)
        assert_int_equal(bh_fiber_park(), 0);
    bh_fiber_set_deadline(bh_time_now_us() + 50 * BH_MS_US);
    assert_int_equal(open_path(fixture, "/hang", BH_STR_NONE, BH_NEVER_US, &transfer, &error),
                     BH_ETIMEDOUT);
    bh_fiber_set_deadline(BH_NEVER_US);
}

static void test_waits_end_at_their_time_and_the_deadline(void **state)
{
    (void)state;
    run(hang, NULL);
}

struct canceled {
    struct fixture *fixture;
    struct bh_fiber *fiber;
    int result;
};

static void be_canceled(void *const argument)
{
    struct canceled *const canceled = argument;
    struct bh_transfer *transfer = NULL;
    canceled->fiber = bh_fiber_current();
    canceled->result = open_path(canceled->fixture, "/hang", BH_STR_NONE, BH_NEVER_US, &transfer,
                                 NULL);
    bh_fiber_wake(canceled->fixture->tester);
}

static void cancel(struct fixture *const fixture)
{
    struct canceled canceled = { .fixture = fixture, .result = 1 };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), be_canceled, &canceled), 0);
    assert_int_equal(bh_fiber_sleep(20 * BH_MS_US), 0);
    bh_fiber_cancel(canceled.fiber);
    while (canceled.result == 1)
        assert_int_equal(bh_fiber_park(), 0);
    assert_int_equal(canceled.result, BH_ECANCELED);
}

static void test_a_cancelled_fiber_leaves_at_once(void **state)
{
    (void)state;
    run(cancel, NULL);
}

static void too_many(struct fixture *const fixture)
{
    struct bh_transfer *transfer = NULL, *other = NULL;
    assert_int_equal(open_path(fixture, "/large", BH_STR_NONE, BH_NEVER_US, &transfer, NULL), 0);
    assert_int_equal(open_path(fixture, "/large", BH_STR_NONE, BH_NEVER_US, &other, NULL),
                     BH_EBUSY);
    bh_transfer_close(transfer);
    assert_int_equal(open_path(fixture, "/large", BH_STR_NONE, BH_NEVER_US, &other, NULL), 0);
    bh_transfer_close(other);
}

static void test_transfers_have_a_limit(void **state)
{
    (void)state;
    struct bh_client_options options;
    bh_client_options_default(&options);
    options.transfers_maximum = 1;
    run(too_many, &options);
}

static int open_url(struct fixture *const fixture, const char *const url,
                    struct bh_error *const reterr)
{
    const struct bh_client_request request = { .method = "GET", .url = url };
    struct bh_transfer *transfer = NULL;
    return bh_client_open(fixture->client, &request, BH_NEVER_US, &transfer, reterr);
}

/* A port on which nobody listens: bound, so that nobody else takes it meanwhile. */
static int bound_port(unsigned *const ret_port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void bad_urls(struct fixture *const fixture)
{
    struct bh_error error;
    unsigned port = 0;
    char url[100];
    const int fd = bound_port(&port);
    snprintf(url, sizeof(url), "http://me:secret@127.0.0.1:%u/path?key=secret", port);
    assert_int_equal(open_url(fixture, url, &error), BH_EUNAVAILABLE);
    assert_null(strstr(error.message, "secret"));
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", bh_http_server_port(fixture->server));
    assert_int_equal(open_url(fixture, url, &error), BH_EUNAVAILABLE); /* it speaks no TLS */
    assert_int_equal(open_url(fixture, "ftp://127.0.0.1/", &error), BH_EINVAL);
    assert_int_equal(open_url(fixture, "file:///etc/passwd", &error), BH_EINVAL);
    assert_int_equal(open_url(fixture, "http://", &error), BH_EINVAL);
    close(fd);
}

static void test_what_cannot_be_reached(void **state)
{
    (void)state;
    run(bad_urls, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_gets_its_answer),
        cmocka_unit_test(test_a_long_body_comes_in_bounded_pieces),
        cmocka_unit_test(test_a_transfer_may_be_closed_at_any_time),
        cmocka_unit_test(test_a_body_cut_short_is_an_error),
        cmocka_unit_test(test_waits_end_at_their_time_and_the_deadline),
        cmocka_unit_test(test_a_cancelled_fiber_leaves_at_once),
        cmocka_unit_test(test_transfers_have_a_limit),
        cmocka_unit_test(test_what_cannot_be_reached),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
