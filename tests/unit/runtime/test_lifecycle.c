#include "cmocka_setup.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/runtime/health.h"
#include "bulkhead/runtime/lifecycle.h"
#include "bulkhead/runtime/memory.h"
#include "bulkhead/runtime/metrics_endpoint.h"

/* A service with one slow route, a background fiber and a switch for its health. */
struct service {
    struct bh_health *health;
    atomic_bool is_failing;
    struct bh_fiber *background;
    bool background_ended;
    unsigned drains, stops;
    int start_result;
    atomic_bool slow_begun;
};

static int slow(struct bh_request *const request)
{
    struct service *const service = bh_request_service(request);
    atomic_store(&service->slow_begun, true);
    const int result = bh_fiber_sleep(200 * BH_MS_US);
    return result ? result : bh_respond(request, 200, "text/plain", BH_STR("slow but whole"));
}

static int full(struct bh_request *const request)
{
    const struct service *const service = bh_request_service(request);
    return bh_health_respond_full(request, service->health);
}

static int ready(struct bh_request *const request)
{
    const struct service *const service = bh_request_service(request);
    return bh_health_respond_ready(request, service->health);
}

static const struct bh_route routes[] = {
    { .method = "GET", .pattern = "/slow", .handler = slow },
    { .method = "GET", .pattern = "/live", .handler = bh_health_respond_live },
    { .method = "GET", .pattern = "/health", .handler = full },
    { .method = "GET", .pattern = "/ready", .handler = ready },
    { .method = "GET", .pattern = "/metrics", .handler = bh_metrics_respond },
};

static enum bh_health_status check_switch(void *const argument, struct bh_json *const figures)
{
    const struct service *const service = argument;
    bh_json_kv_int(figures, "figure", 42);
    return atomic_load(&service->is_failing) ? BH_HEALTH_FAILING : BH_HEALTH_OK;
}

static enum bh_health_status check_hangs(void *const argument, struct bh_json *const figures)
{
    (void)argument;
    (void)figures;
    return bh_fiber_park() == BH_ETIMEDOUT ? BH_HEALTH_DEGRADED : BH_HEALTH_FAILING;
}

static void background(void *const argument)
{
    struct service *const service = argument;
    service->background = bh_fiber_current();
    while (bh_fiber_park() != BH_ECANCELED)
        continue;
    service->background_ended = true;
}

static int on_start(void *const argument, struct bh_error *const reterr)
{
    struct service *const service = argument;
    if (service->start_result)
        return bh_error_set(reterr, service->start_result, "the service will not start");
    return bh_fiber_spawn(bh_loop_current(), background, service);
}

static void on_drain(void *const argument)
{
    struct service *const service = argument;
    service->drains++;
}

static void on_stop(void *const argument)
{
    struct service *const service = argument;
    service->stops++;
    if (service->background)
        bh_fiber_cancel(service->background);
}

/* ---- A client ---- */

static unsigned free_port(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    assert_true(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    assert_true(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int connect_to(const unsigned port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (int tries = 0; tries < 2000; tries++) {
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        usleep(1000);
    }
    bh_assert(!"the server does not listen");
}

/* The whole answer to one request, terminated. */
static void get(const unsigned port, const char *const path, char *const answer, const size_t room)
{
    const int fd = connect_to(port);
    char request[256];
    const int size = snprintf(request, sizeof(request),
                              "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
    bh_assert(write(fd, request, (size_t)size) == size);
    size_t used = 0;
    for (ssize_t got; (got = read(fd, answer + used, room - 1 - used)) > 0;)
        used += (size_t)got;
    answer[used] = '\0';
    close(fd);
}

struct client {
    struct service *service;
    unsigned port;
    char slow_answer[4096];
};

static void *get_slow(void *const argument)
{
    struct client *const client = argument;
    get(client->port, "/slow", client->slow_answer, sizeof(client->slow_answer));
    return NULL;
}

/* Looks at a running server from outside, then ends it in the middle of a slow request. */
static void *visit(void *const argument)
{
    struct client *const client = argument;
    static char answer[1 << 20];

    get(client->port, "/live", answer, sizeof(answer));
    bh_assert(strstr(answer, "HTTP/1.1 200") == answer && strstr(answer, "{\"status\":\"ok\"}"));
    get(client->port, "/ready", answer, sizeof(answer));
    bh_assert(strstr(answer, "HTTP/1.1 200") == answer && !strstr(answer, "hangs"));
    get(client->port, "/health", answer, sizeof(answer));
    bh_assert(strstr(answer, "HTTP/1.1 200") == answer);
    bh_assert(strstr(answer, "\"figure\":42,\"status\":\"ok\""));
    bh_assert(strstr(answer, "\"hangs\":{\"status\":\"degraded\"}"));
    bh_assert(strstr(answer, "\"disk_space\"") && strstr(answer, "\"process_rss_mb\""));

    atomic_store(&client->service->is_failing, true);
    get(client->port, "/ready", answer, sizeof(answer));
    bh_assert(strstr(answer, "HTTP/1.1 503") == answer && strstr(answer, "Retry-After"));
    atomic_store(&client->service->is_failing, false);

    get(client->port, "/metrics", answer, sizeof(answer));
    bh_assert(strstr(answer, "text/plain; version=0.0.4") && strstr(answer, "# TYPE loop_fibers"));

    pthread_t thread;
    bh_assert(bh_thread_start(get_slow, client, &thread) == 0);
    while (!atomic_load(&client->service->slow_begun))
        usleep(500);
    kill(getpid(), SIGTERM);
    pthread_join(thread, NULL);
    return NULL;
}

static void options_init(struct bh_lifecycle_options *const options,
                         const struct bh_router *const router, struct service *const service)
{
    *options = (struct bh_lifecycle_options){ .host = "127.0.0.1",
                                              .port = free_port(),
                                              .loops = 2,
                                              .shutdown_timeout_us = 5 * BH_SECOND_US,
                                              .router = router,
                                              .service = service,
                                              .on_start = on_start,
                                              .on_drain = on_drain,
                                              .on_stop = on_stop };
    bh_http_options_default(&options->http);
    options->http.access_log = false;
}

static struct bh_router *router_create(void)
{
    struct bh_router *router;
    struct bh_error error;
    assert_int_equal(bh_router_create(&router), 0);
    assert_int_equal(bh_router_add(router, routes, BH_COUNT_OF(routes), &error), 0);
    return router;
}

static void test_serves_and_leaves_without_losing_a_request(void **const state)
{
    (void)state;
    struct service service = { 0 };
    assert_int_equal(bh_health_create(&service.health), 0);
    bh_health_add(service.health, "switch", true, check_switch, &service);
    bh_health_add(service.health, "hangs", false, check_hangs, NULL);
    bh_health_add_disk_space(service.health, "/tmp");
    struct bh_memory *memory = NULL;
    struct bh_error error = { 0 };
    const struct bh_memory_options memory_options = {
        .warning_percent = 75, .critical_percent = 85, .interval_us = BH_MS_US, .root = ""
    };
    assert_int_equal(bh_memory_create(&memory_options, &memory, &error), 0);
    assert_int_equal(bh_memory_start(memory, &error), 0);
    bh_memory_add_check(memory, service.health);
    struct bh_router *const router = router_create();
    struct bh_lifecycle_options options;
    options_init(&options, router, &service);

    static struct client client;
    client = (struct client){ .service = &service, .port = options.port };
    pthread_t thread;
    assert_int_equal(bh_thread_start(visit, &client, &thread), 0);
    assert_int_equal(bh_lifecycle_run(&options, &error), 0);
    pthread_join(thread, NULL);

    assert_non_null(strstr(client.slow_answer, "slow but whole"));
    assert_true(bh_lifecycle_is_leaving());
    assert_int_equal(service.drains, 1);
    assert_int_equal(service.stops, 1);
    assert_true(service.background_ended);
    bh_router_destroy(router);
    bh_health_destroy(service.health);
    bh_memory_destroy(memory);
}

static void test_service_that_cannot_start_ends_the_process(void **const state)
{
    (void)state;
    struct service service = { .start_result = BH_EUNAVAILABLE };
    struct bh_router *const router = router_create();
    struct bh_lifecycle_options options;
    options_init(&options, router, &service);
    struct bh_error error = { 0 };
    assert_int_equal(bh_lifecycle_run(&options, &error), BH_EUNAVAILABLE);
    assert_string_equal(error.message, "the service will not start");
    bh_router_destroy(router);
}

static void test_port_in_use_is_told(void **const state)
{
    (void)state;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    assert_true(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    assert_true(listen(fd, 1) == 0);
    assert_true(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    struct service service = { 0 };
    struct bh_router *const router = router_create();
    struct bh_lifecycle_options options;
    options_init(&options, router, &service);
    options.port = ntohs(address.sin_port);
    struct bh_error error = { 0 };
    assert_int_equal(bh_lifecycle_run(&options, &error), BH_EEXISTS);
    assert_non_null(strstr(error.message, "in use"));
    close(fd);
    bh_router_destroy(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_that_cannot_start_ends_the_process),
        cmocka_unit_test(test_port_in_use_is_told),
        cmocka_unit_test(test_serves_and_leaves_without_losing_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
