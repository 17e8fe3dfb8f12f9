/*
 * What the connections of one loop share: options, pools, deadlines, clock texts, metrics. Also
 * the loop's part of the server: its listener and its drain (server_loop.c). Loop thread.
 */
#pragma once

#include <uv.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/http/server.h"
#include "http/deadline.h"
#include "http/head.h"
#include "http/http_metrics.h"
#include "http/transport_tls.h"

#define BH_HTTP_SCRATCH_BYTES 65536
#define BH_HTTP_DATE_BYTES 37 /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
#define BH_HTTP_LOOP_MAGIC 0x484c4f4fu

/* Freed objects kept for reuse, last in first out (the warmest first). */
struct bh_http_pool {
    void *first; /* each holds the next one's address at its start */
    unsigned count;
    unsigned maximum;
};

#define BH_DEFER_LINES 8

/* Connections that wait for room at one refuser (defer.c). */
struct bh_defer_line {
    const void *refuser; /* NULL: the line is free */
    struct bh_list connections;
};

struct bh_http_loop {
    BH_MAGIC_FIELD;
    struct bh_http_server *server;
    const struct bh_http_options *options;
    struct bh_head_limits limits;
    const struct bh_router *router;
    void *service;
    struct bh_loop *loop;
    struct bh_http_metrics metrics;
    struct bh_deadlines deadlines;

    struct bh_list connections; /* all, in the order of acceptance */
    unsigned connection_count;
    size_t held;              /* bytes of memory of answers not yet sent */
    struct bh_list unflushed; /* connections whose stream has gathered data in this turn */
    uv_idle_t flush;          /* active while `unflushed` is not empty */

    struct bh_transport_tls *tls; /* NULL: connections are plain */
    uint64_t handshake_log_us;    /* when the next failure may be logged */
    unsigned handshakes_unlogged;

    size_t buffer_bytes; /* of a connection's buffer: the longest head and some room for a body */
    struct bh_http_pool buffers;
    struct bh_http_pool requests;
    struct bh_buf head;                  /* where an answer's head is put together */
    char scratch[BH_HTTP_SCRATCH_BYTES]; /* for what is thrown away or used up at once */

    char date[BH_HTTP_DATE_BYTES + 1];
    uint64_t date_until_us;
    uint64_t random_state; /* of request ids and samples */

    /* server_loop.c */
    uv_poll_t listener;
    uv_timer_t timer; /* of a pause in accepting, then of the drain */
    uv_timer_t defer; /* active while connections are deferred (defer.h) */
    struct bh_defer_line defer_lines[BH_DEFER_LINES];
    int listener_fd;
    bool has_let_others; /* take what has come, for a moment */
    bool is_draining;
    bool is_overdue;       /* the drain's time is over: what begins now gets none */
    unsigned handles_open; /* until the drain has closed them */
    void (*drained)(void *argument);
    void *drained_argument;
};

/* ---- http_loop.c ---- */

/* A buffer of `buffer_bytes`; NULL: out of memory. */
char *bh_http_buffer_take(struct bh_http_loop *http) BH_MUST_CHECK;
void bh_http_buffer_give_back(struct bh_http_loop *http, char *buffer);

/* A clean request with an empty arena; NULL: out of memory. */
struct bh_request *bh_http_request_take(struct bh_http_loop *http) BH_MUST_CHECK;
void bh_http_request_give_back(struct bh_http_loop *http, struct bh_request *request);

/* The Date field with its line end; valid until the next call. */
struct bh_str bh_http_date(struct bh_http_loop *http);

/* The next number of the loop's own; not for secrets. */
uint64_t bh_http_random(struct bh_http_loop *http);

/* 16 characters that no other request of this process has. */
#define BH_HTTP_ID_BYTES 16
void bh_http_id(struct bh_http_loop *http, char id[BH_HTTP_ID_BYTES]);

/* Sends what streams have gathered, once this loop turn's work is done. */
void bh_http_flush_soon(struct bh_http_loop *http);

/* Zeroed, with server, options, router, service, loop and tls set. */
void bh_http_loop_init(struct bh_http_loop *http, uint64_t id_seed);
void bh_http_loop_fini(struct bh_http_loop *http);

/* ---- server_loop.c, called by connections ---- */

/* A connection was made; one is gone: the drain may be over. */
void bh_http_connection_came(struct bh_http_loop *http);
void bh_http_connection_gone(struct bh_http_loop *http);

/* A connection's part of `held` has changed. */
void bh_http_hold(struct bh_http_loop *http, size_t before, size_t after);

/* What this loop may hold of the memory that unsent answers may take. */
size_t bh_http_unsent_share(const struct bh_http_loop *http);

/* Whether answers must carry Connection: close. */
bool bh_http_is_draining(const struct bh_http_loop *http);
bool bh_http_is_replaced(const struct bh_http_loop *http);
