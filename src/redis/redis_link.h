/*
 * One connection to a Redis server, plain or under TLS, from the name's resolution to its end:
 * bytes out, replies in. Knows nothing of commands. A link that was closed frees itself once libuv
 * is done with it. Loop thread.
 */
#pragma once

#include <hiredis/hiredis.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"
#include "bulkhead/loop/loop.h"
#include "redis/redis_url.h"

#define BH_REDIS_BYTES_MAX (64u << 20) /* waiting to be sent, or of one reply */

struct bh_redis_link; /* opaque */
struct bh_tls;

/* Any of them may close the link. None is called after that. */
struct bh_redis_link_hooks {
    void (*connected)(void *owner);
    void (*reply)(void *owner, redisReply *reply); /* takes it */
    void (*drained)(void *owner);                  /* all that was given has been sent */
    void (*broken)(void *owner, const char *why);  /* the owner must close the link */
};

/* BH_ENOMEM or BH_EIO. `address`, `tls` (NULL: plain) and `hooks` are borrowed until it is closed.
 * Under TLS `connected` comes when the server has shown a certificate for the address's host. */
int bh_redis_link_open(struct bh_loop *loop, const struct bh_redis_address *address,
                       struct bh_tls *tls, const struct bh_redis_link_hooks *hooks, void *owner,
                       struct bh_redis_link **ret_link) BH_MUST_CHECK;

/* NULL is fine. */
void bh_redis_link_close(struct bh_redis_link *link);

/* Sends the buffer's content and leaves it empty; does nothing while earlier content is on its way:
 * `drained` will tell. May call `broken`. */
void bh_redis_link_send(struct bh_redis_link *link, struct bh_buf *buf);
