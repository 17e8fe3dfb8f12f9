/*
 * A request from the inside: what connection.c, dispatch.c, body.c, respond.c and stream.c share.
 * Loop thread.
 */
#pragma once

#include <netinet/in.h>

#include "bulkhead/http/request.h"
#include "bulkhead/loop/fiber.h"
#include "http/chunked.h"
#include "http/http_loop.h"

#define BH_REQUEST_MAGIC 0x52455153u
#define BH_REQUEST_ID_MAX 64

struct bh_connection;

enum bh_body_framing { BH_BODY_NONE, BH_BODY_LENGTH, BH_BODY_CHUNKED };

enum bh_answer_state {
    BH_ANSWER_NONE,
    BH_ANSWER_STREAMING, /* the head is out */
    BH_ANSWER_DONE       /* all of it was given to the transport */
};

struct bh_request {
    struct bh_request *next_free; /* http_loop.c; first, see bh_http_pool */
    BH_MAGIC_FIELD;
    struct bh_http_loop *http;
    struct bh_connection *connection;
    struct bh_fiber *fiber; /* runs the handler; NULL before and after */
    bool is_answering;      /* from the handler's start on: who ends it gives it back */
    struct bh_arena *arena;
    uint64_t started_us; /* head complete */
    const char *data;    /* the head's first byte; stays put from dispatch on */
    struct bh_str method;
    struct bh_str path;
    struct bh_str query;
    struct bh_log_context log_context;
    struct bh_principal principal;

    struct {
        enum bh_body_framing framing;
        bool is_complete;          /* all of it was taken from the buffer */
        bool continue_is_due;      /* the client waits for 100 Continue */
        bool reader_is_waiting;    /* the fiber is parked for more */
        uint64_t left;             /* LENGTH: bytes still to come */
        uint64_t received;         /* bytes of content so far */
        uint64_t waited_us;        /* for the client, before `waiting_since_us` */
        uint64_t waiting_since_us; /* 0: not waiting */
        struct bh_chunked chunked;
        struct bh_buf gathered; /* a whole body that came in pieces */
        struct bh_str whole;
    } body;

    struct {
        enum bh_answer_state state;
        int status;
        bool close;          /* Connection: close was said */
        bool is_length_less; /* HTTP/1.0 stream: ends with the connection */
        uint64_t at_us;      /* when its head was made */
        uint64_t sent;
        struct bh_buf fields; /* of the handler's own, as they go out */
        struct bh_buf stream; /* gathered data of a stream */
        struct bh_str heartbeat;
        struct bh_deadline silence; /* runs while the stream has a heartbeat */
    } answer;

    /* From here on not cleared between requests: http_loop.c sets what must be. */
    struct bh_route_match match;
    char id[BH_REQUEST_ID_MAX];
    char peer[INET6_ADDRSTRLEN]; /* empty until asked for */
    struct bh_head head;
};

/* ---- dispatch.c ---- */

/* Routes a request whose head is complete: starts its handler, answers it, or leaves it to wait
 * for its body. */
void bh_request_dispatch(struct bh_request *request);

/* Runs the route's handler in a fiber; the body, if wanted whole, is there. */
void bh_request_start(struct bh_request *request);

/* Answers with an error outside of a handler and ends the request. */
void bh_request_refuse(struct bh_request *request, int status, const char *detail);

/* ---- body.c ---- */

void bh_body_init(struct bh_request *request);

enum bh_body_result { BH_BODY_MORE, BH_BODY_DONE, BH_BODY_TOO_LARGE, BH_BODY_MALFORMED };

/* Gathers the whole body from what is buffered. */
enum bh_body_result bh_body_gather(struct bh_request *request);

/* Throws away what is buffered of the body; whether that was all of it. */
bool bh_body_discard(struct bh_request *request);

/* The client is being waited for, or no longer. */
void bh_body_wait_begin(struct bh_request *request);
void bh_body_wait_end(struct bh_request *request);

/* Whether the client, being waited for, has been slower than the minimum rate. */
bool bh_body_is_too_slow(const struct bh_request *request);

/* ---- response.c ---- */

/* Puts the head of an answer together in http->head. `length` < 0: a stream. */
int bh_response_head(struct bh_request *request, int status, const char *content_type,
                     int64_t length) BH_MUST_CHECK;
/* ---- stream.c ---- */

/* Sends what the stream has gathered. */
int bh_stream_flush(struct bh_request *request) BH_MUST_CHECK;

/* Nothing was sent for so long that a heartbeat is. */
void bh_stream_silence_expired(struct bh_deadline *deadline);
