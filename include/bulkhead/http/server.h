/*
 * HTTP/1.1 server (RFC 9110, RFC 9112) over one shared listener and any number of loops.
 *
 * Each loop accepts a few connections a turn from the shared listener, so an idle loop takes more.
 * Idle keep-alive connections hold neither buffer nor fiber. Deadlines are absolute.
 */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/loop/loop.h"

struct bh_http_server; /* opaque: what all loops share */
struct bh_tls;         /* bulkhead/tls/tls.h */

/* Stands around every handler, in its fiber and within the route's deadline: either answers by
 * itself or calls bh_request_handle, and does what is to be done afterwards. Returns as a handler
 * does. Any loop. */
typedef int bh_http_guard(struct bh_request *request, void *argument);

/* How many more requests what refused some would take now; asked every few milliseconds while there
 * are connections it has refused. Any loop. */
typedef unsigned bh_http_room(void *refused_by);

struct bh_http_options {
    uint64_t head_timeout_us;       /* first byte to end of head; 10 s */
    uint64_t idle_timeout_us;       /* keep-alive without a request; 75 s */
    uint64_t request_timeout_us;    /* a handler's default deadline; 30 s */
    uint64_t write_timeout_us;      /* of a client that takes less of its answer than: */
    uint64_t sent_bytes_per_second; /* 240; the time is 30 s */
    uint64_t heartbeat_us;          /* of a stream's silence until its heartbeat; 10 s */
    uint64_t body_bytes_per_second; /* minimum rate of a body while it is waited for; 1,024 */
    uint64_t body_grace_us;         /* of waiting that the rate does not count; 5 s */
    size_t head_maximum;            /* bytes; 16 KiB */
    unsigned headers_maximum;       /* fields; 100 */
    unsigned connections_maximum;   /* over all loops; 20,000; past it the one that waits longest
                                       for a request closes, or the new one gets 503 */
    size_t unsent_maximum;          /* bytes of answers that wait for their clients, in equal parts
                                       of all loops; past it the slowest are broken; 256 MiB */
    size_t arena_maximum;           /* bytes a request may take; 64 MiB */
    int listener_fd;                /* a listening socket to take over; 0: opens one of its own */
    struct bh_tls *tls;             /* a server's, borrowed; NULL: connections are plain */
    bool access_log;
    unsigned access_log_percent; /* of answers below 400 given within a second; the others are
                                    logged always; 100 */
    bh_http_guard *guard;        /* NULL: none */
    void *guard_argument;        /* borrowed */
    bh_http_room *room;          /* see bh_request_defer_next; NULL: never any */
    uint64_t defer_us;           /* the longest that a deferred connection is not read from; 1 s */
};

void bh_http_options_default(struct bh_http_options *ret_options);

/* Opens a listening socket, which several processes may serve. `host` an address or "localhost";
 * `port` 0: any free one. BH_EEXISTS: the address is in use (message names it and the cure). */
int bh_http_listen(const char *host, unsigned port, int *ret_fd,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* Opens the listener, as bh_http_listen does, or takes over `options->listener_fd`. `router` and
 * `service` are borrowed. */
int bh_http_server_create(const struct bh_http_options *options, const char *host, unsigned port,
                          const struct bh_router *router, void *service,
                          struct bh_http_server **ret_server,
                          struct bh_error *reterr) BH_MUST_CHECK;
void bh_http_server_destroy(struct bh_http_server *server);

unsigned bh_http_server_port(const struct bh_http_server *server);

/* Starts serving on `loop`. On that loop's thread, once for each loop, before it runs. */
int bh_http_server_attach(struct bh_http_server *server, struct bh_loop *loop) BH_MUST_CHECK;

/* Graceful end on the current loop: what already waits in the accept queue is still served,
 * in-flight requests finish and carry `Connection: close`, idle connections close now. At
 * `deadline_us` the deadlines of those left have passed: their handlers have a second to say so
 * (503, or a stream's last line), then the rest is closed hard. `done` is called on the loop when
 * no connection is left. */
void bh_http_server_drain(struct bh_http_server *server, struct bh_loop *loop, uint64_t deadline_us,
                          void (*done)(void *argument), void *argument);

/* Whether any loop is draining (for readiness). Any thread. */
bool bh_http_server_is_draining(const struct bh_http_server *server);
/* Not ready, still serving: from now on each answer closes its connection. Any thread. */
void bh_http_server_mark_draining(struct bh_http_server *server);

/* Before the drain: another process serves the same listener. Nothing more is accepted, and idle
 * connections get three seconds in which their next request is still answered. Any thread. */
void bh_http_server_mark_replaced(struct bh_http_server *server);
