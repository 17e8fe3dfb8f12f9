/*
 * Client of a Redis or Valkey server (RESP2) for fibers: straight-line commands, pipelined on one
 * connection of each loop, and subscriptions.
 *
 * A loop's connection is made by its first command and kept from then on: lost, it is tried again
 * with growing, fully jittered pauses (50 ms to 2 s) whether or not anybody asks. While it is down,
 * commands fail at once: a dead server costs a request nothing. One log line tells of the first
 * connection that is lost and one of the last that is back.
 *
 * Whether a command that failed with BH_EUNAVAILABLE, BH_ETIMEDOUT or BH_ECANCELED has been carried
 * out is not known. Nothing is repeated.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

struct bh_redis;              /* opaque: what all loops share */
struct bh_redis_subscription; /* opaque */

struct bh_redis_gate; /* bulkhead/redis/gate.h */

struct bh_redis_options {
    const char *url; /* redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], percent-coded; rediss://:
                        under TLS, and the server's certificate must be for HOST */
    const char *ca_file; /* authorities to trust with rediss:// (PEM); NULL, "": the system's */
    uint64_t connect_timeout_us;      /* name, TCP, greeting; 0: 1 s */
    uint64_t command_timeout_us;      /* silence that means the connection is lost; 0: 500 ms */
    unsigned pending_maximum;         /* commands under way a loop; 0: 4,096 */
    const struct bh_redis_gate *gate; /* NULL: none; lives as long as the client */
};

/* Reads the URL and the authorities; connects to nothing. The options' strings are copied.
 * BH_EINVAL (message without the password), BH_ENOTFOUND, BH_EACCESS (the authorities' file),
 * BH_ENOMEM. */
int bh_redis_create(const struct bh_redis_options *options, struct bh_redis **ret_redis,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* Once every loop that used it has ended. NULL is fine. */
void bh_redis_destroy(struct bh_redis *redis);

/* Sends one command, `arguments` as they are, and parks until its reply is here, at the latest at
 * `until_us` (monotonic; BH_NEVER_US: the fiber's deadline alone). *ret_reply is the caller's, for
 * freeReplyObject. From a fiber.
 * An error reply is a failure: BH_EACCESS (NOAUTH, WRONGPASS, NOPERM), BH_ENOTFOUND (NOSCRIPT),
 * BH_EUNAVAILABLE (LOADING, BUSY, READONLY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN, OOM), else
 * BH_EINVAL (WRONGTYPE, ERR …).
 * BH_EUNAVAILABLE: down, at once; or lost meanwhile. BH_ETIMEDOUT, BH_ECANCELED: no reply in time,
 * it will be thrown away. BH_ELIMIT: pending_maximum, or more than 64 MiB wait to be sent.
 * BH_ESHUTDOWN: the loop is ending. BH_ENOMEM. */
int bh_redis_command(struct bh_redis *redis, const struct bh_str *arguments, size_t count,
                     uint64_t until_us, redisReply **ret_reply,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Whether a command would be refused now because the server cannot be reached. Loop thread. */
bool bh_redis_is_down(struct bh_redis *redis);

/* "host:port/database", for logs and health pages. */
const char *bh_redis_name(const struct bh_redis *redis);

/* For BH_CLEANUP. */
static inline void bh_redis_reply_cleanup(redisReply **const reply)
{
    if (*reply)
        freeReplyObject(*reply);
}

/* ---- Subscriptions ---- */

/* Called on the loop's thread, outside of any fiber; they must not wait. All may be NULL. */
struct bh_redis_listener {
    /* From here on no message is missed. What was published before may have been. */
    void (*subscribed)(void *argument);
    void (*message)(void *argument, struct bh_str payload); /* borrowed for the call */
    /* The connection broke (after `subscribed`); it is being made again. */
    void (*lost)(void *argument);
    void *argument;
};

/* Subscribes the current loop to `channel` (copied), on a connection of its own, which is pinged
 * so that a silent loss is noticed within twice the command time-out. Lasts until it is ended or
 * the loop ends. Loop thread. BH_ENOMEM, BH_ESHUTDOWN. */
int bh_redis_subscribe(struct bh_redis *redis, struct bh_str channel,
                       const struct bh_redis_listener *listener,
                       struct bh_redis_subscription **ret_subscription) BH_MUST_CHECK;

/* No call comes after this one has returned. Loop thread; not after that loop's end, which ends
 * subscriptions by itself. NULL is fine. */
void bh_redis_unsubscribe(struct bh_redis_subscription *subscription);
