/* A subscription: a connection of its own, whose pushed replies become messages. */
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "redis/redis_connection.h"

#define SUBSCRIPTION_MAGIC 0x52535542u

struct bh_redis_subscription {
    BH_MAGIC_FIELD;
    struct bh_redis_listener listener;
    struct bh_redis_listening listening;
    struct bh_redis_connection connection;
    struct bh_loop *loop;
    struct bh_loop_hook hook;
    bool has_ended;
    char channel[];
};

static void ready(void *const owner)
{
    const struct bh_redis_subscription *const subscription = owner;
    if (subscription->listener.subscribed)
        subscription->listener.subscribed(subscription->listener.argument);
}

static void lost(void *const owner)
{
    const struct bh_redis_subscription *const subscription = owner;
    if (subscription->listener.lost)
        subscription->listener.lost(subscription->listener.argument);
}

/* ["message", channel, payload]; pongs and the like are none. */
static void pushed(void *const owner, const redisReply *const reply)
{
    const struct bh_redis_subscription *const subscription = owner;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    const redisReply *const kind = reply->element[0], *const payload = reply->element[2];
    if (kind->type != REDIS_REPLY_STRING || payload->type != REDIS_REPLY_STRING ||
        !bh_str_equal((struct bh_str){ kind->str, (size_t)kind->len }, BH_STR("message")))
        return;
    if (subscription->listener.message)
        subscription->listener.message(subscription->listener.argument,
                                       (struct bh_str){ payload->str, (size_t)payload->len });
}

static void closed(void *const argument)
{
    struct bh_redis_subscription *const subscription = argument;
    bh_loop_remove_hook(subscription->loop, &subscription->hook);
    subscription->magic = 0;
    free(subscription);
}

static void end(struct bh_redis_subscription *const subscription)
{
    if (subscription->has_ended)
        return;
    subscription->has_ended = true;
    bh_redis_connection_close(&subscription->connection, closed, subscription);
}

static void loop_stopping(struct bh_loop_hook *const hook)
{
    end(BH_CONTAINER_OF(hook, struct bh_redis_subscription, hook));
}

int bh_redis_subscribe(struct bh_redis *const redis, const struct bh_str channel,
                       const struct bh_redis_listener *const listener,
                       struct bh_redis_subscription **const ret_subscription)
{
    struct bh_redis_subscription *const subscription = calloc(1, sizeof(*subscription) +
                                                                     channel.size + 1);
    if (!subscription)
        return BH_ENOMEM;
    subscription->magic = SUBSCRIPTION_MAGIC;
    subscription->listener = *listener;
    memcpy(subscription->channel, channel.data, channel.size);
    subscription->listening = (struct bh_redis_listening){
        .channel = { subscription->channel, channel.size },
        .ready = ready,
        .lost = lost,
        .pushed = pushed,
        .owner = subscription,
    };
    subscription->loop = bh_loop_current();
    subscription->hook.stopping = loop_stopping;
    bh_list_init(&subscription->hook.node);
    const int result = bh_redis_connection_open(&subscription->connection, redis,
                                                &subscription->listening);
    if (result) {
        free(subscription);
        return result;
    }
    bh_loop_add_hook(subscription->loop, &subscription->hook);
    *ret_subscription = subscription;
    return 0;
}

void bh_redis_unsubscribe(struct bh_redis_subscription *const subscription)
{
    if (!subscription)
        return;
    bh_magic_check(subscription, SUBSCRIPTION_MAGIC);
    end(subscription);
}
