/*
 * A connection that is kept: made, greeted, watched, and made again after pauses. Loop thread.
 *
 * Its states and what moves it stand in the README.
 */
#pragma once

#include "bulkhead/loop/fiber.h"
#include "redis/redis_internal.h"
#include "redis/redis_link.h"

enum bh_redis_state {
    BH_REDIS_CONNECTING,
    BH_REDIS_GREETING, /* AUTH, SELECT, and PING or SUBSCRIBE */
    BH_REDIS_READY,
    BH_REDIS_PAUSING, /* until the next attempt */
    BH_REDIS_CLOSED
};

/* One command; on the stack of the fiber that waits for it. */
struct bh_redis_call {
    struct bh_fiber *fiber;
    redisReply *reply; /* NULL: failed, see error */
    struct bh_error error;
    bool is_done;
    unsigned number; /* private */
};

/* Whose connection it is, if it listens instead of sending commands. */
struct bh_redis_listening {
    struct bh_str channel;
    void (*ready)(void *owner);
    void (*lost)(void *owner);
    void (*pushed)(void *owner, const redisReply *reply);
    void *owner;
};

struct bh_redis_pending {
    struct bh_redis_call *call; /* NULL: its caller has left */
    uint64_t sent_us;
};

/* Embedded. The fields are private but for `state` and `down`. */
struct bh_redis_connection {
    struct bh_redis *redis;
    struct bh_loop *loop;
    const struct bh_redis_listening *listening; /* NULL: it takes commands */
    enum bh_redis_state state;
    struct bh_redis_link *link;
    uv_timer_t timer; /* whatever the state waits for */
    struct bh_buf out;
    struct bh_task turn_end;
    struct bh_redis_pending *pending; /* a ring */
    unsigned first, next;             /* numbers of the oldest and of the next command */
    unsigned greetings;               /* replies to come before it is ready */
    unsigned failures;                /* since it was ready last */
    bool awaits_pong;
    uint64_t random;
    struct bh_error down; /* why it is not ready; code 0: nothing has failed yet */
    void (*closed)(void *argument);
    void *closed_argument;
};

/* Begins to connect on the current loop. BH_ENOMEM. `listening` is borrowed for its life. */
int bh_redis_connection_open(struct bh_redis_connection *connection, struct bh_redis *redis,
                             const struct bh_redis_listening *listening) BH_MUST_CHECK;

/* Calls `closed` once nothing of it is left. No fiber may be waiting. */
void bh_redis_connection_close(struct bh_redis_connection *connection,
                               void (*closed)(void *argument), void *argument);

/* Queues a command; it is sent at the end of this loop turn, or when the connection is made for the
 * first time. BH_EUNAVAILABLE, BH_ELIMIT, BH_ENOMEM: `call` was not taken. */
int bh_redis_connection_send(struct bh_redis_connection *connection, struct bh_redis_call *call,
                             const struct bh_str *arguments, size_t count,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* The caller does not wait any more. */
void bh_redis_connection_forget(struct bh_redis_connection *connection,
                                const struct bh_redis_call *call);
