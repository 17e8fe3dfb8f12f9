/*
 * A gate before a client's commands, for who keeps callers from a server that is ill (a circuit
 * breaker): it is asked before each command and told what came of it.
 *
 * The functions are called from the loops' threads and must not wait; `server` with a lock of the
 * client's held, so it must not call into the client.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

enum bh_redis_worked {
    BH_REDIS_WORKED, /* it answered, be it with an error of the command's own */
    BH_REDIS_FAILED, /* no answer in the time the caller had, lost meanwhile, or it cannot serve */
    BH_REDIS_UNTOLD, /* nothing is known: the caller left, too many are under way */
    BH_REDIS_AWAY,   /* refused at once, because the server cannot be reached */
};

struct bh_redis_gate {
    void *argument;

    /* 0, or the error with which the command fails at once. `ret_permit` comes back in `leave`. */
    int (*enter)(void *argument, uint64_t now_us, uint64_t *ret_permit, struct bh_error *reterr);
    void (*leave)(void *argument, uint64_t permit, enum bh_redis_worked worked,
                  uint64_t duration_us, uint64_t now_us);

    /* The first connection that is lost, or the last that is back. */
    void (*server)(void *argument, bool is_down);
};
