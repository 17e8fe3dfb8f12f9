/*
 * The life of a serving process: listen, start the loops, serve, and on SIGTERM or SIGINT leave
 * gracefully.
 *
 * Leaving: not ready at once; after `shutdown_delay_us` (so that a load balancer has looked) no new
 * connections, idle ones close, in-flight requests finish and carry `Connection: close`; what is
 * left at `shutdown_timeout_us` has a second to say so to its client, then it is closed hard. A
 * second signal makes that time come at once.
 *
 * Under a supervisor (supervisor.h) the listener is inherited and the supervisor says when to
 * leave; SIGTERM does as well, SIGINT and SIGHUP are the supervisor's. While every loop turns it is
 * told so twice a second. When the supervisor dies, this process leaves.
 */
#pragma once

#include "bulkhead/http/server.h"

struct bh_lifecycle_options {
    const char *host;
    unsigned port;  /* 0: any free one */
    unsigned loops; /* event loops, a thread each; 0: one for each core this process may use */
    struct bh_http_options http;
    uint64_t shutdown_delay_us;
    uint64_t shutdown_timeout_us;
    int supervisor_fd; /* the channel to the supervisor, http.listener_fd being its listener;
                          0: none */
    const struct bh_router *router; /* borrowed */
    void *service;                  /* borrowed; handlers get it by bh_request_service */

    /* All may be NULL; all are called on the first loop's thread. */

    /* In a fiber, when the listener is open and before any request is taken: starts the service's
     * background fibers. An error ends the start. */
    int (*on_start)(void *service, struct bh_error *reterr);
    /* Leaving has begun: take up no new background work. */
    void (*on_drain)(void *service);
    /* No request is left, or the time is up: background fibers must end now. */
    void (*on_stop)(void *service);
};

/* Serves until told to leave. Returns 0 after a graceful end. Call from the main thread, before
 * other threads handle signals. Errors: those of bh_http_server_create and on_start. */
int bh_lifecycle_run(const struct bh_lifecycle_options *options,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Whether this process is leaving. Any thread. */
bool bh_lifecycle_is_leaving(void);

/* Asks the supervisor for a new worker in place of this one. False: there is none. Any thread. */
bool bh_lifecycle_request_replacement(const char *reason);

/* Monotonic µs at which bh_lifecycle_run began to serve; 0 before. Any thread. */
uint64_t bh_lifecycle_started_us(void);
