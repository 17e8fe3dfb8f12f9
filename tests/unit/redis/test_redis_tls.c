/* The Redis client under TLS (rediss://), on a real server that speaks nothing else. */
#include "bulkhead/redis/redis.h"

#include "bulkhead/base/time.h"
#include "certificates.h"
#include "cmocka_setup.h"
#include "in_fiber.h"
#include "redis_server.h"

#define PATIENCE_US (20 * BH_SECOND_US)

static struct redis_server server;

static int start(void **const state)
{
    const int result = certificates_make(state);
    if (result != 0)
        return result;
    server = (struct redis_server){ .port = redis_server_free_port(),
                                    .password = "secret",
                                    .certificate = certificates.cert,
                                    .key = certificates.key };
    redis_server_start(&server);
    return 0;
}

static int stop(void **const state)
{
    redis_server_kill(&server);
    return certificates_remove(state);
}

static struct bh_redis *client(const char *const scheme, const char *const host,
                               const char *const ca_file)
{
    char url[128];
    struct bh_redis *redis = NULL;
    struct bh_error error = { 0 };
    snprintf(url, sizeof(url), "%s://:secret@%s:%u/0", scheme, host, server.port);
    const struct bh_redis_options options = { .url = url,
                                              .ca_file = ca_file,
                                              .connect_timeout_us = 10 * BH_SECOND_US,
                                              .command_timeout_us = 10 * BH_SECOND_US };
    if (bh_redis_create(&options, &redis, &error) != 0)
        print_error("%s\n", error.message);
    assert_non_null(redis);
    return redis;
}

static int ask(struct bh_redis *const redis, const struct bh_str *const words, const size_t count,
               redisReply **const ret_reply, struct bh_error *const reterr)
{
    return bh_redis_command(redis, words, count, BH_NEVER_US, ret_reply, reterr);
}

static void run(bh_fiber_function *const body, struct bh_redis *const redis)
{
    in_fiber_run(body, redis);
    bh_redis_destroy(redis);
}

/* More than a record, and more than the system takes at once. */
static void values(void *const argument)
{
    struct bh_redis *const redis = argument;
    const size_t size = 8 << 20;
    char *const bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 >> 3);
    const struct bh_str set[] = { BH_STR("SET"), BH_STR("large"), { bytes, size } };
    const struct bh_str get[] = { BH_STR("GET"), BH_STR("large") };
    const struct bh_str increment[] = { BH_STR("INCR"), BH_STR("counter") };
    redisReply *reply = NULL;
    struct bh_error error = { 0 };
    assert_int_equal(ask(redis, set, 3, &reply, &error), 0);
    freeReplyObject(reply);
    assert_int_equal(ask(redis, get, 2, &reply, &error), 0);
    assert_int_equal(reply->len, size);
    assert_memory_equal(reply->str, bytes, size);
    freeReplyObject(reply);
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(ask(redis, increment, 2, &reply, &error), 0);
        assert_int_equal(reply->integer, i);
        freeReplyObject(reply);
    }
    free(bytes);
}

static void carries_values(void **const state)
{
    (void)state;
    run(values, client("rediss", "127.0.0.1", certificates.ca));
}

static void comes_back(void *const argument)
{
    struct bh_redis *const redis = argument;
    const struct bh_str ping = BH_STR("PING");
    const uint64_t deadline_us = bh_time_now_us() + PATIENCE_US;
    redisReply *reply = NULL;
    assert_int_equal(ask(redis, &ping, 1, &reply, NULL), 0);
    freeReplyObject(reply);
    redis_server_kill(&server);
    redis_server_start(&server);
    while (ask(redis, &ping, 1, &reply, NULL) != 0) {
        assert_true(bh_time_now_us() < deadline_us);
        assert_int_equal(bh_fiber_sleep(2000), 0);
    }
    freeReplyObject(reply);
}

static void is_made_again(void **const state)
{
    (void)state;
    run(comes_back, client("rediss", "127.0.0.1", certificates.ca));
}

/* ---- Whom it does not talk to ---- */

static const char *why;

static void refused(void *const argument)
{
    const struct bh_str ping = BH_STR("PING");
    redisReply *reply = NULL;
    struct bh_error error = { 0 };
    assert_int_equal(ask(argument, &ping, 1, &reply, &error), BH_EUNAVAILABLE);
    if (!strstr(error.message, why))
        print_error("%s\n", error.message);
    assert_non_null(strstr(error.message, why));
    assert_null(strstr(error.message, "secret"));
}

static void refuses_strangers(void **const state)
{
    (void)state;
    why = "mismatch";
    run(refused, client("rediss", "localhost", certificates.ca));
    why = "not accepted";
    run(refused, client("rediss", "127.0.0.1", ""));
    why = "Redis at"; /* closed, or reset */
    run(refused, client("redis", "127.0.0.1", ""));
}

static void wants_authorities_that_are_there(void **const state)
{
    (void)state;
    struct bh_redis *redis = NULL;
    struct bh_error error = { 0 };
    const struct bh_redis_options options = { .url = "rediss://host", .ca_file = "/nowhere" };
    assert_int_equal(bh_redis_create(&options, &redis, &error), BH_ENOTFOUND);
    assert_non_null(strstr(error.message, "/nowhere"));
    assert_null(redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_values),
        cmocka_unit_test(is_made_again),
        cmocka_unit_test(refuses_strangers),
        cmocka_unit_test(wants_authorities_that_are_there),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
