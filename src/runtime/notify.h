/*
 * What a service tells systemd (sd_notify(3)): a datagram of NAME=value lines to the socket that
 * $NOTIFY_SOCKET names. Without one nothing is sent. One thread.
 */
#pragma once

#include "bulkhead/base/macro.h"

struct bh_notify {
    int fd;               /* private; -1: nobody listens */
    uint64_t watchdog_us; /* read-only: within this systemd wants a sign of life; 0: it does not */
};

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, which are for this process alone: its
 * children are started without them. */
void bh_notify_init(struct bh_notify *notify);
void bh_notify_fini(struct bh_notify *notify);

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…". Lost when systemd's queue is full. */
void bh_notify_send(const struct bh_notify *notify, const char *format, ...) BH_PRINTF(2, 3);

/* RELOADING=1 with the time that goes with it; READY=1 ends it. */
void bh_notify_reloading(const struct bh_notify *notify);
