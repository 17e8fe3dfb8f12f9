/*
 * One peer's byte stream: what a connection knows of the network. TCP over libuv, plain or under
 * TLS (transport_tls.c): all that is read, written and counted here is what the peers mean.
 *
 * Writing tries the socket at once and keeps only what it does not take, so a small answer costs
 * one system call and no memory. Under TLS it is encrypted 32 KiB at a time, as the socket takes
 * it. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct bh_transport;
struct bh_transport_secure; /* opaque: a connection's part of TLS */
struct bh_transport_tls;    /* what those of one loop share: transport_tls.h */

/* How a handshake ended; the last two are for the owner to say. */
enum bh_handshake {
    BH_HANDSHAKE_FULL,
    BH_HANDSHAKE_RESUMED,
    BH_HANDSHAKE_REFUSED,   /* by us or by the peer */
    BH_HANDSHAKE_ABANDONED, /* the peer has gone */
    BH_HANDSHAKE_PLAIN,     /* spoke_plain */
    BH_HANDSHAKE_TOO_SLOW,
    BH_HANDSHAKES
};

/* What the owner is told; never from within its own call of a function below. */
struct bh_transport_events {
    /* Where to read to; size 0: nowhere just now (reading must then be stopped). */
    uv_buf_t (*room)(struct bh_transport *transport);
    /* `count` bytes were read; 0: the peer has finished sending; BH_ECLOSED: the peer has gone. */
    void (*received)(struct bh_transport *transport, int64_t count);
    /* Some waiting bytes were sent: 0, or BH_ECLOSED when they never will be. */
    void (*sent)(struct bh_transport *transport, int result);
    /* After bh_transport_close: nothing refers to it any more. */
    void (*closed)(struct bh_transport *transport);
    /* TLS only: the handshake is over. Refused or abandoned: `received` tells BH_ECLOSED next. */
    void (*shaken)(struct bh_transport *transport, enum bh_handshake how,
                   const struct bh_error *error);
    /* TLS was due and the peer speaks plain HTTP. From here on the transport is plain, and not
     * reading; what was read is lost. */
    void (*spoke_plain)(struct bh_transport *transport);
};

/* Embedded in the owner. */
struct bh_transport {
    const struct bh_transport_events *events; /* private */
    struct bh_transport_secure *secure;       /* private; NULL: plain */
    uv_tcp_t tcp;                             /* private */
    bool is_reading;                          /* read-only: the owner wants to */
    size_t held;                              /* read-only: memory of what waits to be sent */
};

/* Takes the connected, non-blocking socket `fd` over. `tls` NULL: plain; else the peer's handshake
 * comes first, and until it is over nothing is received and what is written waits. On failure
 * (BH_EIO, BH_ENOMEM) `fd` is closed, but the transport must still be closed. */
int bh_transport_open(struct bh_transport *transport, uv_loop_t *uv, int fd,
                      const struct bh_transport_events *events,
                      struct bh_transport_tls *tls) BH_MUST_CHECK;

/* Whether a handshake has yet to end. */
bool bh_transport_is_shaking(const struct bh_transport *transport);

void bh_transport_read_start(struct bh_transport *transport);
void bh_transport_read_stop(struct bh_transport *transport);

/* Whether bytes have arrived that were not read yet. */
bool bh_transport_has_unread(const struct bh_transport *transport);

/* For while reading is stopped: what the system knows of the peer. Costs a system call. */
enum bh_transport_peer { BH_PEER_THERE, BH_PEER_FINISHED, BH_PEER_GONE };
enum bh_transport_peer bh_transport_peer(const struct bh_transport *transport);

/* How the last piece's memory is held if it must wait; the others are copied. */
enum bh_transport_hold {
    BH_TRANSPORT_COPY,
    BH_TRANSPORT_CONSTANT, /* outlives the transport */
    BH_TRANSPORT_TAKE      /* it is the content of `taken`, which is emptied in any case */
};

#define BH_TRANSPORT_PIECES_MAX 4

/* Sends the pieces in order, as one write. BH_ECLOSED: the peer has gone. BH_ENOMEM: part of it may
 * have been sent, the rest is lost: close. */
int bh_transport_write(struct bh_transport *transport, const struct bh_str *pieces, unsigned count,
                       enum bh_transport_hold hold, struct bh_buf *taken) BH_MUST_CHECK;

/* Bytes waiting to be given to the system; under TLS partly as ciphertext. */
size_t bh_transport_waiting(const struct bh_transport *transport);

/* How much more than what was written has gone out or waits, so far: 0 without TLS. */
uint64_t bh_transport_overhead(const struct bh_transport *transport);

/* Bytes given to the system that the peer's has not acknowledged. Costs a system call. */
size_t bh_transport_unacknowledged(const struct bh_transport *transport);

/* Tells the peer that nothing more comes. Nothing may be waiting. */
void bh_transport_finish(struct bh_transport *transport);

/* Drops what waits; the peer sees the end of the stream, or, with `reset`, that it was broken. */
void bh_transport_close(struct bh_transport *transport, bool reset);
