/*
 * The parent of a serving process: owns the listening socket, starts the worker that serves it, and
 * replaces the worker without losing a connection.
 *
 * The worker is this program started anew with bh_lifecycle_options.supervisor_fd set, so a new
 * binary is taken up by a restart. A new worker serves before the old one is told to leave; both
 * accept from one queue. A worker that ends unasked is started again (restart_damper.h) while
 * connections wait in that queue. A worker whose loops stand still is ended and started again.
 *
 * SIGTERM, SIGINT: the worker leaves gracefully, then this process; a second one closes what is
 * left at once, a third kills. SIGHUP: `reload`, then a new worker. Runs on one thread, without
 * libuv. The protocol with systemd (Type=notify, watchdog) is spoken here, and here alone.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

/* Where a worker finds its listener and the channel to its supervisor. */
#define BH_SUPERVISOR_LISTENER_FD 3
#define BH_SUPERVISOR_CHANNEL_FD 4

/* Exit status after too many ends in a row. */
#define BH_SUPERVISOR_GAVE_UP 3

struct bh_supervisor_settings {
    const char *host;
    unsigned port; /* 0: any free one */
    uint64_t start_timeout_us;
    uint64_t hang_timeout_us;  /* without progress of every loop; 0: not watched */
    uint64_t leave_timeout_us; /* from being told to leave until it is killed */
    unsigned restart_limit;    /* ends in a row until it is given up */
};

struct bh_supervisor_options {
    const char *program;      /* a path; "/proc/self/exe" would miss a new binary */
    const char *command;      /* the worker's first argument; --generation N --crashes N follow */
    const char *control_path; /* of the socket for bh_control_ask */
    struct bh_supervisor_settings settings;

    /* Reads the settings anew; their strings live until the next call. On failure the worker stays
     * as it is, and the reason is logged. */
    int (*reload)(void *argument, struct bh_supervisor_settings *ret_settings,
                  struct bh_error *reterr);
    void *argument;
};

/* Runs until told to leave. 0: *ret_status is the exit status for this process: the last worker's,
 * 128 + its signal, or BH_SUPERVISOR_GAVE_UP. Errors: the socket cannot be opened or the first
 * worker cannot be started. From the main thread, while there is no other. */
int bh_supervisor_run(const struct bh_supervisor_options *options, int *ret_status,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* In a worker: whether a supervisor has started it; and why it ends without having served. */
bool bh_supervisor_is_parent(void);
void bh_supervisor_tell_failure(const char *message);

/* In a worker: the two numbers its supervisor gave it, as metrics. */
void bh_supervisor_register_metrics(unsigned generation, unsigned crashes);
