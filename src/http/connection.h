/*
 * One client connection: reads heads, hands requests over one at a time and in order, sends
 * answers, and ends. README.md has the diagram of its states.
 *
 * While it is idle it holds neither buffer nor request. While a handler runs it goes on reading, up
 * to the end of its buffer, so that a client that leaves is noticed. Loop thread.
 */
#pragma once

#include <sys/socket.h>

#include "http/request_internal.h"
#include "http/transport.h"

#define BH_CONNECTION_MAGIC 0x434f4e4eu

enum bh_connection_state {
    BH_CONNECTION_IDLE,      /* no byte of the next request is here */
    BH_CONNECTION_HEAD,      /* part of a head is here */
    BH_CONNECTION_BODY,      /* a body is gathered, its handler has not begun */
    BH_CONNECTION_HANDLING,  /* a handler runs */
    BH_CONNECTION_ANSWERED,  /* no handler runs, its answer is being sent */
    BH_CONNECTION_DEFERRED,  /* was refused: its next request is left unread for a while */
    BH_CONNECTION_LINGERING, /* the last answer was sent; what still comes is thrown away */
    BH_CONNECTION_CLOSED     /* waits for its transport, and a handler that was cancelled, to end */
};

struct bh_connection {
    BH_MAGIC_FIELD;
    enum bh_connection_state state;
    struct bh_http_loop *http;
    struct bh_transport transport;
    struct bh_list node;         /* http->connections */
    struct bh_deadline deadline; /* of what is read */
    struct bh_deadline write_deadline;
    struct bh_list unflushed;   /* node in http->unflushed */
    struct bh_request *request; /* being read or handled, or NULL */
    char *buffer;               /* NULL: none is needed now */
    uint32_t begin;             /* of the request in hand, in the buffer */
    uint32_t body_at;           /* where its body goes on, and then the next request begins */
    uint32_t end;               /* of what was read */
    bool has_finished_sending;  /* the peer has: its FIN was read */
    bool has_served;            /* a request was answered */
    bool close_after;           /* the answer in hand is the last */
    bool is_deferred;           /* the answer in hand is a refusal: see bh_request_defer_next */
    void *refused_by;           /* what refused it */
    struct bh_list deferred;    /* node in a line of defer.c */
    bool is_advancing;          /* bh_connection_advance is at work */
    bool has_closed_transport;
    bool is_writer_waiting; /* the handler is parked until less waits to be sent */
    bool is_input_unclean;  /* bytes of a request that was not read whole may follow */
    uint64_t idle_since_us; /* accepted, or last answered */
    uint64_t handed_over;   /* bytes given to the transport */
    uint64_t progress_seen; /* how many of them the peer had taken at the last progress */
    uint64_t progress_us;   /* when that was */
    uint64_t lingered;      /* bytes thrown away */
    size_t held;            /* memory of its unsent answers, as the server's sum has it */
    struct {
        sa_family_t family;
        uint8_t address[16];
    } peer;
};

/* Takes the connected socket over. BH_ENOMEM, BH_EIO: it was closed. */
int bh_connection_open(struct bh_http_loop *http, int fd,
                       const struct sockaddr *peer) BH_MUST_CHECK;

/* The same at the limit of connections: answers 503 and ends. */
void bh_connection_turn_away(struct bh_http_loop *http, int fd, const struct sockaddr *peer);

/* Closes the loop's connection that has waited longest for a request or the rest of one's head, if
 * that is a second or more. Whether there was one. */
bool bh_connection_give_way(struct bh_http_loop *http) BH_MUST_CHECK;

/* The peer speaks plain HTTP where TLS is due: answers 400 and ends. */
void bh_connection_spoke_plain(struct bh_connection *connection);

/* Goes on as far as it can: parses, dispatches, ends. */
void bh_connection_advance(struct bh_connection *connection);

/* The request's handler has ended, or it had none: its answer is with the transport. Frees the
 * request. */
void bh_connection_answered(struct bh_connection *connection);

/* A head is complete and its body is to be gathered first / its handler begins. */
void bh_connection_body_begins(struct bh_connection *connection);
void bh_connection_handler_begins(struct bh_connection *connection);

/* Gives bytes to the transport. BH_ECANCELED: the client has gone. */
int bh_connection_send(struct bh_connection *connection, const struct bh_str *pieces,
                       unsigned count, enum bh_transport_hold hold,
                       struct bh_buf *taken) BH_MUST_CHECK;

/* Starts or stops reading, as there is room and use for bytes. */
void bh_connection_update_reading(struct bh_connection *connection);

/* Ends it at once and cancels its handler. `reset`: the peer is to see that it was broken. */
void bh_connection_close(struct bh_connection *connection, bool reset);

/* The drain's time is over: its handler runs out of time, and may say so; without one it ends at
 * once. */
void bh_connection_end_soon(struct bh_connection *connection);

/* Its next request is read and handled again. In state DEFERRED. */
void bh_connection_resume(struct bh_connection *connection);

/* The drain has begun: closes it if it waits for nothing. */
void bh_connection_drain(struct bh_connection *connection);

/* The peer's address as text. */
void bh_connection_peer(const struct bh_connection *connection, char text[INET6_ADDRSTRLEN]);

/* Asserts what must hold whenever bh_connection_advance is not at work. */
void bh_connection_check(const struct bh_connection *connection);

/* Moves the request in hand to the buffer's start. */
void bh_connection_compact(struct bh_connection *connection);

/* ---- response.c ---- */

/* Sends a whole answer whose body is held as told. 0, or BH_ECANCELED: the client has gone. */
int bh_respond_held(struct bh_request *request, int status, const char *content_type,
                    struct bh_str body, enum bh_transport_hold hold, struct bh_buf *taken);

/* ---- connection_events.c: what the transport and the deadlines call ---- */

extern const struct bh_transport_events bh_connection_transport_events;
void bh_connection_deadline_expired(struct bh_deadline *deadline);
void bh_connection_write_deadline_expired(struct bh_deadline *deadline);

/* ---- connection.c, for connection_events.c ---- */

void bh_connection_transport_closed(struct bh_connection *connection);
