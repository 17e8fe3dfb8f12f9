/* The Redis client on a real server: replies in order, errors by name, and every way to lose it. */
#include "bulkhead/redis/redis.h"

#include <pthread.h>
#include <stdlib.h>

#include "bulkhead/base/time.h"
#include "cmocka_setup.h"
#include "in_fiber.h"
#include "redis_server.h"

#define PATIENCE_US (20 * BH_SECOND_US)

static struct redis_server server;

static struct bh_redis *client_of(const struct bh_redis_options options)
{
    struct bh_redis *redis = NULL;
    struct bh_error error = { 0 };
    const int result = bh_redis_create(&options, &redis, &error);
    if (result)
        print_error("%s\n", error.message);
    assert_int_equal(result, 0);
    return redis;
}

static struct bh_redis *client(void)
{
    return client_of(
        (struct bh_redis_options){ .url = server.url, .command_timeout_us = PATIENCE_US });
}

/* Words parted by blanks. */
static int command(struct bh_redis *const redis, const char *const words, const uint64_t until_us,
                   redisReply **const ret_reply, struct bh_error *const reterr)
{
    struct bh_str arguments[16], rest = bh_str_from(words);
    size_t count = 0;
    while (rest.size > 0)
        arguments[count++] = bh_str_split(&rest, ' ');
    return bh_redis_command(redis, arguments, count, until_us, ret_reply, reterr);
}

static int code_of(struct bh_redis *const redis, const char *const words)
{
    redisReply *reply BH_CLEANUP(bh_redis_reply_cleanup) = NULL;
    return command(redis, words, BH_NEVER_US, &reply, NULL);
}

static int64_t integer_of(struct bh_redis *const redis, const char *const words)
{
    redisReply *reply BH_CLEANUP(bh_redis_reply_cleanup) = NULL;
    struct bh_error error = { 0 };
    if (command(redis, words, BH_NEVER_US, &reply, &error) != 0)
        print_error("%s\n", error.message);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    return reply->integer;
}

static void wait_until_back(struct bh_redis *const redis)
{
    const uint64_t deadline_us = bh_time_now_us() + PATIENCE_US;
    while (code_of(redis, "PING") != 0) {
        assert_true(bh_time_now_us() < deadline_us);
        assert_int_equal(bh_fiber_sleep(2000), 0);
    }
}

static void run(bh_fiber_function *const body, struct bh_redis *const redis)
{
    in_fiber_run(body, redis);
    bh_redis_destroy(redis);
}

/* ---- Commands ---- */

static void values(void *const argument)
{
    struct bh_redis *const redis = argument;
    const struct bh_str set[] = { BH_STR("SET"), BH_STR("k\r\n\0"), BH_STR("a\0b\r\n$3") };
    const struct bh_str get[] = { BH_STR("GET"), set[1] };
    redisReply *reply = NULL;
    assert_int_equal(bh_redis_command(redis, set, 3, BH_NEVER_US, &reply, NULL), 0);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    assert_int_equal(bh_redis_command(redis, get, 2, BH_NEVER_US, &reply, NULL), 0);
    assert_int_equal(reply->len, set[2].size);
    assert_memory_equal(reply->str, set[2].data, set[2].size);
    freeReplyObject(reply);
    assert_int_equal(command(redis, "GET missing", BH_NEVER_US, &reply, NULL), 0);
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    assert_false(bh_redis_is_down(redis));
}

static void carries_any_bytes(void **const state)
{
    (void)state;
    run(values, client());
}

static void large_values(void *const argument)
{
    struct bh_redis *const redis = argument;
    const size_t size = 8 << 20;
    char *const bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    const struct bh_str set[] = { BH_STR("SET"), BH_STR("large"), { bytes, size } };
    redisReply *reply = NULL;
    assert_int_equal(bh_redis_command(redis, set, 3, BH_NEVER_US, &reply, NULL), 0);
    freeReplyObject(reply);
    assert_int_equal(command(redis, "GET large", BH_NEVER_US, &reply, NULL), 0);
    assert_int_equal(reply->len, size);
    assert_memory_equal(reply->str, bytes, size);
    freeReplyObject(reply);
    const struct bh_str huge[] = { BH_STR("SET"), BH_STR("large"), { bytes, SIZE_MAX / 2 } };
    assert_int_equal(bh_redis_command(redis, huge, 3, BH_NEVER_US, &reply, NULL), BH_ELIMIT);
    assert_int_equal(code_of(redis, "DEL large"), 0);
    free(bytes);
}

static void carries_large_values(void **const state)
{
    (void)state;
    run(large_values, client());
}

#define FIBERS 500

struct counting {
    struct bh_redis *redis;
    struct bh_fiber *waiting;
    unsigned done;
    bool seen[FIBERS + 1];
};

static void count_one(void *const argument)
{
    struct counting *const counting = argument;
    const int64_t value = integer_of(counting->redis, "INCR counter");
    assert_true(value >= 1 && value <= FIBERS && !counting->seen[value]);
    counting->seen[value] = true;
    if (++counting->done == FIBERS)
        bh_fiber_wake(counting->waiting);
}

static void pipelined(void *const argument)
{
    struct counting counting = { .redis = argument, .waiting = bh_fiber_current() };
    assert_int_equal(code_of(argument, "DEL counter"), 0);
    for (unsigned i = 0; i < FIBERS; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), count_one, &counting), 0);
    while (counting.done < FIBERS)
        bh_fiber_park_uncancelable();
}

static void gives_each_fiber_its_own_reply(void **const state)
{
    (void)state;
    run(pipelined, client());
}

static void error_replies(void *const argument)
{
    struct bh_redis *const redis = argument;
    struct bh_error error = { 0 };
    redisReply *reply = NULL;
    assert_int_equal(code_of(redis, "SET text word"), 0);
    assert_int_equal(command(redis, "LPUSH text 1", BH_NEVER_US, &reply, &error), BH_EINVAL);
    assert_non_null(strstr(error.message, "LPUSH"));
    assert_non_null(strstr(error.message, "WRONGTYPE"));
    assert_int_equal(code_of(redis, "EVALSHA 0123456789012345678901234567890123456789 0"),
                     BH_ENOTFOUND);
    assert_int_equal(code_of(redis, "NOSUCHCOMMAND"), BH_EINVAL);
    assert_int_equal(code_of(redis, "REPLICAOF 127.0.0.1 1"), 0);
    assert_int_equal(code_of(redis, "SET text word"), BH_EUNAVAILABLE); /* READONLY */
    assert_int_equal(code_of(redis, "REPLICAOF NO ONE"), 0);
    assert_int_equal(code_of(redis, "GET text"), 0);
}

static void tells_what_an_error_reply_means(void **const state)
{
    (void)state;
    run(error_replies, client());
}

/* ---- Giving up ---- */

static void late_replies(void *const argument)
{
    struct bh_redis *const redis = argument;
    redisReply *reply = NULL;
    struct bh_error error = { 0 };
    assert_int_equal(code_of(redis, "DEL late"), 0);
    assert_int_equal(code_of(redis, "CLIENT PAUSE 150 ALL"), 0);
    const uint64_t until_us = bh_time_now_us() + 10 * BH_MS_US;
    assert_int_equal(command(redis, "INCR late", until_us, &reply, &error), BH_ETIMEDOUT);
    assert_null(reply);
    bh_fiber_set_deadline(bh_time_now_us() + 10 * BH_MS_US);
    assert_int_equal(command(redis, "INCR late", BH_NEVER_US, &reply, &error), BH_ETIMEDOUT);
    bh_fiber_set_deadline(BH_NEVER_US);
    assert_int_equal(integer_of(redis, "INCR late"), 3); /* its own reply, not an earlier one's */
}

static void throws_late_replies_away(void **const state)
{
    (void)state;
    run(late_replies, client_of((struct bh_redis_options){ .url = server.url,
                                                           .command_timeout_us = PATIENCE_US }));
}

struct crowd {
    struct bh_redis *redis;
    unsigned refused, served;
    struct bh_fiber *waiting;
};

static void one_of_crowd(void *const argument)
{
    struct crowd *const crowd = argument;
    const int code = code_of(crowd->redis, "PING");
    assert_true(code == 0 || code == BH_ELIMIT);
    crowd->refused += code != 0;
    crowd->served += code == 0;
    if (crowd->refused + crowd->served == 9)
        bh_fiber_wake(crowd->waiting);
}

static void crowded(void *const argument)
{
    struct crowd crowd = { .redis = argument, .waiting = bh_fiber_current() };
    assert_int_equal(code_of(argument, "PING"), 0);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), one_of_crowd, &crowd), 0);
    while (crowd.refused + crowd.served < 9)
        bh_fiber_park_uncancelable();
    assert_int_equal(crowd.refused, 5);
}

static void refuses_more_than_it_may_have_under_way(void **const state)
{
    (void)state;
    run(crowded, client_of((struct bh_redis_options){ .url = server.url, .pending_maximum = 4 }));
}

/* ---- Losing the server ---- */

/* Down, a command is refused without being waited for: no turn of the loop passes. */
static void assert_refused_at_once(struct bh_redis *const redis)
{
    assert_true(bh_redis_is_down(redis));
    redisReply *reply = NULL;
    struct bh_error error = { 0 };
    const uint64_t now_us = bh_loop_now_us(bh_loop_current());
    assert_int_equal(command(redis, "PING", BH_NEVER_US, &reply, &error), BH_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "127.0.0.1"));
    assert_int_equal(bh_loop_now_us(bh_loop_current()), now_us);
}

static void killed(void *const argument)
{
    struct bh_redis *const redis = argument;
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(code_of(redis, "SET key value"), 0);
        redis_server_kill(&server);
        while (!bh_redis_is_down(redis)) {
            const int code = code_of(redis, "PING");
            assert_true(code == 0 || code == BH_EUNAVAILABLE);
        }
        assert_refused_at_once(redis);
        redis_server_start(&server);
        wait_until_back(redis);
    }
}

static void comes_back_with_a_killed_server(void **const state)
{
    (void)state;
    run(killed, client());
}

static void stopped(void *const argument)
{
    struct bh_redis *const redis = argument;
    assert_int_equal(code_of(redis, "PING"), 0);
    kill(server.pid, SIGSTOP);
    assert_int_equal(code_of(redis, "PING"), BH_EUNAVAILABLE);
    assert_refused_at_once(redis);
    kill(server.pid, SIGCONT);
    wait_until_back(redis);
}

/* Half-open: the system answers for the server, the server does not. */
static void leaves_a_silent_server(void **const state)
{
    (void)state;
    run(stopped, client_of((struct bh_redis_options){ .url = server.url,
                                                      .connect_timeout_us = 50 * BH_MS_US,
                                                      .command_timeout_us = 50 * BH_MS_US }));
}

static void nobody_there(void *const argument)
{
    assert_int_equal(code_of(argument, "PING"), BH_EUNAVAILABLE);
    assert_refused_at_once(argument);
}

static void does_without_a_server(void **const state)
{
    (void)state;
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", redis_server_free_port());
    run(nobody_there, client_of((struct bh_redis_options){ .url = url }));
    run(nobody_there, client_of((struct bh_redis_options){ .url = "redis://127.0.0.1.invalid:6379",
                                                           .connect_timeout_us = PATIENCE_US }));
}

static void first_address_refuses(void *const argument)
{
    assert_int_equal(code_of(argument, "PING"), 0);
}

/* "localhost" may be ::1 first, where nobody listens. */
static void tries_every_address_of_a_name(void **const state)
{
    (void)state;
    char url[64];
    snprintf(url, sizeof(url), "redis://localhost:%u/3", server.port);
    run(first_address_refuses, client_of((struct bh_redis_options){ .url = url }));
}

/* ---- Not Redis ---- */

struct impostor {
    int listener;
    const char *answer;
};

static void *impostor_main(void *const argument)
{
    const struct impostor *const impostor = argument;
    for (;;) {
        const int peer = accept(impostor->listener, NULL, NULL);
        if (peer < 0)
            return NULL;
        const ssize_t sent = write(peer, impostor->answer, strlen(impostor->answer));
        bh_assert(sent >= 0);
        shutdown(peer, SHUT_WR);
        char bytes[256];
        while (read(peer, bytes, sizeof(bytes)) > 0)
            continue;
        close(peer);
    }
}

static void distrusts_what_is_not_redis(void **const state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "",
        "*99999999999999999999\r\n",
        "$-7\r\n",
        "+OK\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    };
    for (size_t i = 0; i < BH_COUNT_OF(answers); i++) {
        struct impostor impostor = { .answer = answers[i] };
        pthread_t thread;
        struct sockaddr_in address = redis_server_address(0);
        socklen_t size = sizeof(address);
        impostor.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(impostor.listener, (struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(impostor.listener, 16), 0);
        getsockname(impostor.listener, (struct sockaddr *)&address, &size);
        assert_int_equal(pthread_create(&thread, NULL, impostor_main, &impostor), 0);
        char url[64];
        snprintf(url, sizeof(url), "redis://127.0.0.1:%u", ntohs(address.sin_port));
        run(nobody_there, client_of((struct bh_redis_options){ .url = url }));
        shutdown(impostor.listener, SHUT_RDWR);
        pthread_join(thread, NULL);
        close(impostor.listener);
    }
}

/* ---- Passwords ---- */

static void expects_refusal(void *const argument)
{
    redisReply *reply = NULL;
    struct bh_error error = { 0 };
    assert_int_equal(command(argument, "GET a", BH_NEVER_US, &reply, &error), BH_EUNAVAILABLE);
    assert_true(strstr(error.message, "NOAUTH") || strstr(error.message, "WRONGPASS"));
    assert_null(strstr(error.message, "wrong"));
}

static void greets_with_a_password(void **const state)
{
    (void)state;
    struct redis_server guarded;
    char url[128];
    redis_server_create(&guarded, "se:cr@t");
    const unsigned port = guarded.port;
    snprintf(url, sizeof(url), "redis://:se%%3acr%%40t@127.0.0.1:%u/2", port);
    run(first_address_refuses, client_of((struct bh_redis_options){ .url = url }));
    snprintf(url, sizeof(url), "redis://default:se%%3Acr@t@127.0.0.1:%u", port);
    run(first_address_refuses, client_of((struct bh_redis_options){ .url = url }));
    snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%u/2", port);
    run(expects_refusal, client_of((struct bh_redis_options){ .url = url }));
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u/2", port);
    run(expects_refusal, client_of((struct bh_redis_options){ .url = url }));
    redis_server_kill(&guarded);
}

static void refuses_malformed_urls(void **const state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "redis://",
        "http://pass@host",
        "redis:///1",
        "redis://:pass@",
        "redis://pass@host",
        "redis://:@host",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:port",
        "redis://host/x",
        "redis://host/-1",
        "redis://host/1/2",
        "redis://[::1",
        "redis://[::1]6379",
        "redis://:pa%ss@host",
        "redis://:pass%00@host",
        "redis://:pass%2@host",
        "redisss://:pass@host",
    };
    for (size_t i = 0; i < BH_COUNT_OF(urls); i++) {
        struct bh_redis *redis = NULL;
        struct bh_error error = { 0 };
        const int code = bh_redis_create(&(struct bh_redis_options){ .url = urls[i] }, &redis,
                                         &error);
        if (code == 0)
            print_error("taken: %s\n", urls[i]);
        assert_int_equal(code, BH_EINVAL);
        assert_null(redis);
        assert_null(strstr(error.message, "pass@"));
    }
    struct bh_redis *redis = client_of(
        (struct bh_redis_options){ .url = "redis://:x@[::1]:7000/12" });
    assert_string_equal(bh_redis_name(redis), "::1:7000/12");
    bh_redis_destroy(redis);
    redis = client_of((struct bh_redis_options){ .url = "redis://host/" });
    assert_string_equal(bh_redis_name(redis), "host:6379/0");
    bh_redis_destroy(redis);
}

/* ---- Subscriptions ---- */

struct heard {
    unsigned subscribed, lost, messages;
    char last[32];
    struct bh_fiber *waiting;
};

static void heard_subscribed(void *const argument)
{
    struct heard *const heard = argument;
    heard->subscribed++;
    bh_fiber_wake(heard->waiting);
}

static void heard_lost(void *const argument)
{
    struct heard *const heard = argument;
    heard->lost++;
    bh_fiber_wake(heard->waiting);
}

static void heard_message(void *const argument, const struct bh_str payload)
{
    struct heard *const heard = argument;
    heard->messages++;
    snprintf(heard->last, sizeof(heard->last), "%.*s", BH_STR_ARGS(payload));
    bh_fiber_wake(heard->waiting);
}

static struct bh_redis_listener listener_of(struct heard *const heard)
{
    heard->waiting = bh_fiber_current();
    return (struct bh_redis_listener){ .subscribed = heard_subscribed,
                                       .message = heard_message,
                                       .lost = heard_lost,
                                       .argument = heard };
}

static void await(const unsigned *const count, const unsigned wanted)
{
    while (*count < wanted)
        assert_int_equal(bh_fiber_park_until(bh_time_now_us() + PATIENCE_US), 0);
    assert_int_equal(*count, wanted);
}

static void listens(void *const argument)
{
    struct bh_redis *const redis = argument;
    struct heard heard = { 0 };
    struct bh_redis_listener listener = listener_of(&heard);
    struct bh_redis_subscription *subscription = NULL;
    assert_int_equal(bh_redis_subscribe(redis, BH_STR("news"), &listener, &subscription), 0);
    await(&heard.subscribed, 1);
    assert_int_equal(integer_of(redis, "PUBLISH news first"), 1);
    await(&heard.messages, 1);
    assert_string_equal(heard.last, "first");
    assert_int_equal(integer_of(redis, "PUBLISH other second"), 0);

    redis_server_kill(&server);
    await(&heard.lost, 1);
    redis_server_start(&server);
    await(&heard.subscribed, 2);
    wait_until_back(redis);
    assert_int_equal(integer_of(redis, "PUBLISH news third"), 1);
    await(&heard.messages, 2);
    assert_string_equal(heard.last, "third");

    kill(server.pid, SIGSTOP); /* nobody says anything: its pings find out */
    await(&heard.lost, 2);
    kill(server.pid, SIGCONT);
    await(&heard.subscribed, 3);

    bh_redis_unsubscribe(subscription);
    wait_until_back(redis);
    /* The server notices the end by itself. */
    while (integer_of(redis, "PUBLISH news fourth") != 0)
        assert_int_equal(bh_fiber_sleep(1000), 0);
    assert_int_equal(heard.messages, 2);
    assert_int_equal(bh_redis_subscribe(redis, BH_STR("news"), &listener, &subscription), 0);
    await(&heard.subscribed, 4); /* ends with its loop */
}

static void hears_what_is_published(void **const state)
{
    (void)state;
    run(listens, client_of((struct bh_redis_options){ .url = server.url,
                                                      .connect_timeout_us = 100 * BH_MS_US,
                                                      .command_timeout_us = 100 * BH_MS_US }));
}

/* ---- Several loops ---- */

#define THREADS 3

static void count_many(void *const argument)
{
    for (unsigned i = 0; i < 100; i++)
        integer_of(argument, "INCR shared");
}

static void *loop_main(void *const argument)
{
    in_fiber_run(count_many, argument);
    return NULL;
}

static void check_count(void *const argument)
{
    assert_int_equal(integer_of(argument, "INCRBY shared 0"), THREADS * 100);
}

static void serves_several_loops(void **const state)
{
    (void)state;
    struct bh_redis *const redis = client();
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, loop_main, redis), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    run(check_count, redis);
}

/* ---- */

static int start_server(void **const state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    redis_server_create(&server, NULL);
    return 0;
}

static int stop_server(void **const state)
{
    (void)state;
    redis_server_kill(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_any_bytes),
        cmocka_unit_test(carries_large_values),
        cmocka_unit_test(gives_each_fiber_its_own_reply),
        cmocka_unit_test(tells_what_an_error_reply_means),
        cmocka_unit_test(throws_late_replies_away),
        cmocka_unit_test(refuses_more_than_it_may_have_under_way),
        cmocka_unit_test(does_without_a_server),
        cmocka_unit_test(tries_every_address_of_a_name),
        cmocka_unit_test(distrusts_what_is_not_redis),
        cmocka_unit_test(greets_with_a_password),
        cmocka_unit_test(refuses_malformed_urls),
        cmocka_unit_test(serves_several_loops),
        cmocka_unit_test(comes_back_with_a_killed_server),
        cmocka_unit_test(leaves_a_silent_server),
        cmocka_unit_test(hears_what_is_published),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
