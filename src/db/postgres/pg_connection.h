/*
 * One connection to PostgreSQL on the loop of its shard, in libpq's pipeline mode.
 *
 * A request is one statement, for one or many rows of parameters. A segment is what one sync
 * closes: one request, so that its failure touches no other, or the short reads of a loop turn.
 * When one of those fails, the server skips the ones behind it, and their callers send them again.
 * Requests are answered in the order they were sent; each result goes to the request it belongs to,
 * and if nobody waits for that any more, nowhere. Loop thread, but for opening (pg_config.h).
 */
#pragma once

#include <uv.h>

#include "bulkhead/base/assert.h"
#include "db/pool/pool_loop.h"
#include "db/postgres/pg_config.h"
#include "db/postgres/pg_value.h"
#include "db/trace.h"

/* Predicted work of the reads that share a segment. Answers leave the server when a segment ends: a
 * longer one would keep the first of them back, and this process without work. */
#define BH_PG_SEGMENT_US 200

struct bh_pg_connection;

/* What a caller wants and gets; on its stack. */
struct bh_pg_call {
    const struct bh_statement *statement;
    const struct bh_db_value *parameters;
    size_t parameter_count, row_count;
    const char *before[2];  /* texts to run first, in the same segment; NULL: none */
    bool shares_segment;    /* with others' reads: not if it changes anything */
    struct bh_fiber *fiber; /* woken when `is_done` */

    struct bh_trace_span *span; /* NULL: not timed */
    struct bh_pg_rows rows;
    int64_t changes;
    int code; /* 0, or `error.code` */
    struct bh_error error;
    bool is_done;
    bool is_to_repeat; /* refused for its preparation, or not run: sent again, it may succeed */
};

/* A statement on its way; the sender's memory until `ended` was called. */
struct bh_pg_request {
    struct bh_pg_call *call; /* NULL: nobody wants the result */
    /* The answer was read to its end, or the connection was lost. Frees the request. */
    void (*ended)(struct bh_pg_request *request, struct bh_pg_connection *connection);
    struct bh_pool_lease lease; /* the owner's */
    bool is_leased;             /* the owner's */

    struct bh_list node; /* private: the rest */
    const struct bh_statement *statement;
    struct bh_pg_prepared *slot; /* NULL: unnamed */
    unsigned version;
    size_t before;   /* commands in front of the statement's own */
    bool prepares;   /* the first of those is the preparation */
    bool in_result;  /* the current command has answered */
    size_t commands; /* answered to their end */
    size_t expected; /* of them */
    bool ends_segment;
    bool has_failed;
};

struct bh_pg_prepared {
    unsigned version; /* part of its name; another one is due when the config's differs */
    bool is_prepared;
};

enum bh_pg_state {
    BH_PG_OPENING, /* on a worker thread */
    BH_PG_OPEN,
    BH_PG_CLOSING, /* said goodbye, waits for the server's end of stream */
    BH_PG_LOST,    /* `lost` tells why; waits for its holder */
    BH_PG_GONE     /* destroyed; memory goes as its handle closes */
};

struct bh_pg_connection {
    BH_MAGIC_FIELD;
    struct bh_pool_connection pool;
    enum bh_pg_state state;
    const struct bh_pg_config *config; /* borrowed */
    struct bh_loop *loop;
    PGconn *pg;
    uv_poll_t poll;
    bool has_poll;
    int watched;             /* uv's events */
    struct bh_list requests; /* struct bh_pg_request.node, oldest first */
    struct bh_pg_prepared *prepared;
    struct bh_buf texts;      /* of parameters, while they are sent */
    struct bh_task turn_end;  /* queued: something was sent in this loop turn */
    bool is_corked;           /* TCP holds back what follows until the turn's end */
    bool is_gathering;        /* the last request's segment is open until the turn's end */
    uint64_t gathered_us;     /* predicted work in that segment */
    struct bh_error lost;     /* why, once LOST */
    struct bh_fiber *driver;  /* drives the socket itself (pg_plain.h); NULL: requests do */
    struct bh_pg_job *job;    /* opening or cancelling on a worker thread */
    struct bh_pg_request own; /* ping and reset */
    bool own_is_reset, is_canceling;
};

/* The connection of a granted lease. */
struct bh_pg_connection *bh_pg_connection_of(const struct bh_pool_lease *lease);

/* For the pool; the context is a struct bh_pg_config of the shard's lane. */
extern const struct bh_pool_driver bh_pg_pool_driver;

/* Sends the request for `request->call`. On an error nothing is on its way and `ended` will not be
 * called; a connection that broke is LOST then, which the pool knows. The parameters are copied. */
int bh_pg_connection_send(struct bh_pg_connection *connection, struct bh_pg_request *request,
                          struct bh_error *reterr) BH_MUST_CHECK;

/* What a call on a LOST connection returns. */
int bh_pg_connection_lost_error(const struct bh_pg_connection *connection, const char *what,
                                struct bh_error *reterr);

/* ---- For the files of this module ---- */

/* The connection is not usable any more: every request ends with `error`. The pool is told, unless
 * the error is the holder's own doing: it returns the connection as broken. */
void bh_pg_connection_lose(struct bh_pg_connection *connection, const struct bh_error *error);
/* Watches the socket: for reading always, for writing while there is something to send. */
void bh_pg_connection_watch(struct bh_pg_connection *connection);
/* Takes over an opened connection. BH_ENOMEM. */
int bh_pg_connection_adopt(struct bh_pg_connection *connection, PGconn *pg) BH_MUST_CHECK;
/* One segment of texts without parameters or results, or none: a bare round trip. */
int bh_pg_connection_send_texts(struct bh_pg_connection *connection, struct bh_pg_request *request,
                                const char *const *texts, size_t count) BH_MUST_CHECK;
