/*
 * One worker process as its supervisor sees it: started with the listener and a channel, told to
 * leave, watched. The channel carries one short message a packet:
 *
 *     worker → supervisor                      supervisor → worker
 *     R  serving                               S  stop: the service ends
 *     B  every loop has turned since the last  P  passed on: another worker serves the listener
 *     L  leaving by itself                     N  now: close what is left
 *     X  replace me, and why
 *     F  could not start, and why
 *
 * The end of the channel tells either side that the other one is gone. One thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "bulkhead/base/error.h"
#include "bulkhead/runtime/supervisor.h"

#define BH_WORKER_TEXT_MAX 300 /* bytes of a message, its letter and a terminator with it */

enum bh_worker_state {
    BH_WORKER_NONE, /* the slot is free */
    BH_WORKER_STARTING,
    BH_WORKER_SERVING,
    BH_WORKER_LEAVING
};

struct bh_worker {
    enum bh_worker_state state; /* the supervisor's, as the next three */
    uint64_t started_us;
    uint64_t beat_us;                /* of the last sign of life */
    uint64_t deadline_us;            /* to have started, or to have left; BH_NEVER_US: none */
    pid_t pid;                       /* read-only, as the rest */
    int channel;                     /* -1: closed */
    char reason[BH_WORKER_TEXT_MAX]; /* of the last X or F */
};

/* Starts `arguments[0]` (a path) with the listener and the channel at their descriptors and
 * standard input, output and error as they are. Signals are as at a program's start. */
int bh_worker_spawn(struct bh_worker *worker, char *const *arguments, int listener_fd,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* The next message's letter; 0: none is there. 'E': the channel has ended and was closed. */
char bh_worker_receive(struct bh_worker *worker);

/* A worker that does not read its channel is not waited for. */
void bh_worker_tell(const struct bh_worker *worker, char letter);

/* Frees the slot of a worker that was reaped. */
void bh_worker_forget(struct bh_worker *worker);
