/* The client's face: which connection is the calling loop's, waiting for a reply, and what an error
 * reply means. */
#include "bulkhead/redis/redis.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "redis/redis_connection.h"

#define REDIS_MAGIC 0x52454453u
#define CONNECT_TIMEOUT_US BH_SECOND_US
#define COMMAND_TIMEOUT_US (500 * BH_MS_US)
#define PENDING_MAXIMUM 4096

/* A client's part on one loop. */
struct shard {
    struct bh_redis *redis;
    struct bh_loop *loop;
    struct bh_redis_connection connection;
    struct bh_loop_hook hook;
    bool is_stopping;
    struct bh_list node; /* under redis->shared.mutex */
};

/* Which shard is the current loop's is kept by its thread, so that a command takes no lock. */
static _Thread_local struct {
    uint64_t id;
    struct bh_loop *loop;
    struct shard *shard;
} last;

/* ---- Life ---- */

int bh_redis_create(const struct bh_redis_options *const options, struct bh_redis **const ret_redis,
                    struct bh_error *const reterr)
{
    static atomic_uint_least64_t next_id = 1;
    struct bh_redis *const redis = calloc(1, sizeof(*redis));
    if (!redis)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the Redis client");
    int result = bh_redis_url_parse(options->url, &redis->address, reterr);
    if (result == 0 && redis->address.is_tls)
        result = bh_tls_client_create(options->ca_file, &redis->tls, reterr);
    if (result) {
        free(redis);
        return result;
    }
    redis->magic = REDIS_MAGIC;
    redis->id = atomic_fetch_add(&next_id, 1);
    redis->connect_timeout_us = options->connect_timeout_us ? options->connect_timeout_us
                                                            : CONNECT_TIMEOUT_US;
    redis->command_timeout_us = options->command_timeout_us ? options->command_timeout_us
                                                            : COMMAND_TIMEOUT_US;
    redis->pending_maximum = options->pending_maximum ? options->pending_maximum : PENDING_MAXIMUM;
    redis->gate = options->gate;
    bh_redis_metrics_init(&redis->metrics);
    pthread_mutex_init(&redis->shared.mutex, NULL);
    bh_list_init(&redis->shared.list);
    *ret_redis = redis;
    return 0;
}

void bh_redis_destroy(struct bh_redis *const redis)
{
    if (!redis)
        return;
    bh_magic_check(redis, REDIS_MAGIC);
    bh_assert(bh_list_is_empty(&redis->shared.list));
    redis->magic = 0;
    pthread_mutex_destroy(&redis->shared.mutex);
    bh_tls_destroy(redis->tls);
    explicit_bzero(&redis->address, sizeof(redis->address));
    free(redis);
}

const char *bh_redis_name(const struct bh_redis *const redis)
{
    return redis->address.name;
}

/* ---- Shards ---- */

static void shard_closed(void *const argument)
{
    struct shard *const shard = argument;
    struct bh_redis *const redis = shard->redis;
    pthread_mutex_lock(&redis->shared.mutex);
    bh_list_unlink(&shard->node);
    pthread_mutex_unlock(&redis->shared.mutex);
    bh_loop_remove_hook(shard->loop, &shard->hook);
    free(shard);
}

static void loop_stopping(struct bh_loop_hook *const hook)
{
    struct shard *const shard = BH_CONTAINER_OF(hook, struct shard, hook);
    shard->is_stopping = true;
    last.id = 0;
    last.shard = NULL;
    bh_redis_connection_close(&shard->connection, shard_closed, shard);
}

static struct shard *make_shard(struct bh_redis *const redis)
{
    struct shard *const shard = calloc(1, sizeof(*shard));
    if (!shard)
        return NULL;
    shard->redis = redis;
    shard->loop = bh_loop_current();
    shard->hook.stopping = loop_stopping;
    bh_list_init(&shard->hook.node);
    if (bh_redis_connection_open(&shard->connection, redis, NULL) != 0) {
        free(shard);
        return NULL;
    }
    bh_loop_add_hook(shard->loop, &shard->hook);
    pthread_mutex_lock(&redis->shared.mutex);
    bh_list_append(&redis->shared.list, &shard->node);
    pthread_mutex_unlock(&redis->shared.mutex);
    return shard;
}

static struct shard *find_shard(struct bh_redis *const redis)
{
    struct bh_loop *const loop = bh_loop_current();
    struct shard *found = NULL;
    if (last.id == redis->id && last.loop == loop)
        return last.shard;
    pthread_mutex_lock(&redis->shared.mutex);
    BH_LIST_FOREACH(node, &redis->shared.list) {
        struct shard *const shard = BH_LIST_ENTRY(node, struct shard, node);
        if (shard->loop == loop)
            found = shard;
    }
    pthread_mutex_unlock(&redis->shared.mutex);
    if (!found)
        found = make_shard(redis);
    if (found && !found->is_stopping) {
        last.id = redis->id;
        last.loop = loop;
        last.shard = found;
    }
    return found;
}

bool bh_redis_is_down(struct bh_redis *const redis)
{
    bh_magic_check(redis, REDIS_MAGIC);
    const struct shard *const shard = find_shard(redis);
    return !shard || (shard->connection.state != BH_REDIS_READY && shard->connection.failures > 0);
}

/* ---- Commands ---- */

static int code_of(const struct bh_str text)
{
    static const struct {
        const char *prefix;
        int code;
    } codes[] = {
        { "NOAUTH", BH_EACCESS },           { "WRONGPASS", BH_EACCESS },
        { "NOPERM", BH_EACCESS },           { "NOSCRIPT", BH_ENOTFOUND },
        { "LOADING", BH_EUNAVAILABLE },     { "BUSY", BH_EUNAVAILABLE },
        { "READONLY", BH_EUNAVAILABLE },    { "MASTERDOWN", BH_EUNAVAILABLE },
        { "CLUSTERDOWN", BH_EUNAVAILABLE }, { "TRYAGAIN", BH_EUNAVAILABLE },
        { "OOM", BH_EUNAVAILABLE },
    };
    for (size_t i = 0; i < BH_COUNT_OF(codes); i++)
        if (bh_str_starts_with(text, bh_str_from(codes[i].prefix)))
            return codes[i].code;
    return BH_EINVAL;
}

static void count_outcome(const struct bh_redis *const redis, const enum bh_redis_outcome outcome)
{
    bh_metrics_add(redis->metrics.commands[outcome], 1);
}

static int take_reply(const struct bh_redis *const redis, const struct bh_redis_call *const call,
                      const struct bh_str command, redisReply **const ret_reply,
                      struct bh_error *const reterr)
{
    if (!call->reply) {
        count_outcome(redis, BH_REDIS_UNAVAILABLE);
        if (reterr)
            *reterr = call->error;
        return call->error.code;
    }
    if (call->reply->type != REDIS_REPLY_ERROR) {
        count_outcome(redis, BH_REDIS_OK);
        *ret_reply = call->reply;
        return 0;
    }
    const struct bh_str text = { call->reply->str, (size_t)call->reply->len };
    count_outcome(redis, BH_REDIS_ERROR_REPLY);
    const int code = bh_error_set(reterr, code_of(text), "Redis at %s refused %.*s: %.*s",
                                  redis->address.name, BH_STR_ARGS(command), BH_STR_ARGS(text));
    freeReplyObject(call->reply);
    return code;
}

/* What it says of the server; an error reply of the command's own is an answer. */
static enum bh_redis_worked worked_of(const int result, const bool was_sent)
{
    if (result == BH_ECANCELED || result == BH_ESHUTDOWN)
        return BH_REDIS_UNTOLD;
    if (!was_sent)
        return result == BH_EUNAVAILABLE ? BH_REDIS_AWAY : BH_REDIS_UNTOLD;
    return result == BH_ETIMEDOUT || result == BH_EUNAVAILABLE ? BH_REDIS_FAILED : BH_REDIS_WORKED;
}

static int run(struct bh_redis *const redis, const struct bh_str *const arguments,
               const size_t count, const uint64_t begun_us, const uint64_t until_us,
               bool *const ret_was_sent, redisReply **const ret_reply,
               struct bh_error *const reterr)
{
    struct shard *const shard = find_shard(redis);
    if (!shard)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a connection to Redis");
    if (shard->is_stopping)
        return bh_error_set(reterr, BH_ESHUTDOWN, "the loop is ending");
    struct bh_redis_connection *const connection = &shard->connection;
    struct bh_redis_call call = { .fiber = bh_fiber_current() };
    const int refused = bh_redis_connection_send(connection, &call, arguments, count, reterr);
    if (refused) {
        count_outcome(redis, refused == BH_EUNAVAILABLE ? BH_REDIS_UNAVAILABLE : BH_REDIS_REFUSED);
        return refused;
    }
    *ret_was_sent = true;
    while (!call.is_done) {
        const int broken_off = until_us == BH_NEVER_US ? bh_fiber_park()
                                                       : bh_fiber_park_until(until_us);
        if (!broken_off || call.is_done)
            continue;
        bh_redis_connection_forget(connection, &call);
        count_outcome(redis, broken_off == BH_ETIMEDOUT ? BH_REDIS_TIMED_OUT : BH_REDIS_REFUSED);
        return bh_error_set(reterr, broken_off, "gave up waiting for Redis at %s: %s",
                            redis->address.name, bh_error_text(broken_off));
    }
    if (call.reply)
        bh_metrics_observe_us(redis->metrics.duration, bh_time_now_us() - begun_us);
    return take_reply(redis, &call, arguments[0], ret_reply, reterr);
}

int bh_redis_command(struct bh_redis *const redis, const struct bh_str *const arguments,
                     const size_t count, const uint64_t until_us, redisReply **const ret_reply,
                     struct bh_error *const reterr)
{
    bh_magic_check(redis, REDIS_MAGIC);
    bh_assert(count > 0 && bh_fiber_current());
    const struct bh_redis_gate *const gate = redis->gate;
    const uint64_t begun_us = bh_time_now_us();
    uint64_t permit = 0;
    bool was_sent = false;
    const int refused = gate ? gate->enter(gate->argument, begun_us, &permit, reterr) : 0;
    if (refused) {
        count_outcome(redis, BH_REDIS_REFUSED);
        return refused;
    }
    const int result = run(redis, arguments, count, begun_us, until_us, &was_sent, ret_reply,
                           reterr);
    if (gate) {
        const uint64_t now_us = bh_time_now_us();
        gate->leave(gate->argument, permit, worked_of(result, was_sent), now_us - begun_us, now_us);
    }
    return result;
}
