/*
 * A transport under TLS: what transport.c calls where `secure` is set, and what the transports of
 * one loop share. Loop thread.
 */
#pragma once

#include "bulkhead/base/list.h"
#include "bulkhead/tls/tls.h"
#include "bulkhead/tls/tls_session.h"
#include "http/transport.h"

#define BH_TRANSPORT_INPUT_BYTES 65536

struct bh_transport_tls {
    struct bh_tls *context;
    struct bh_buf output; /* ciphertext of one step, empty between them */
    struct bh_list ready; /* transports that have to go on though nothing arrives */
    uv_idle_t go_on;      /* active while `ready` is not empty */
    char input[BH_TRANSPORT_INPUT_BYTES];
    char joined[BH_TLS_RECORD_BYTES]; /* small pieces that share a record */
};

/* `context` is borrowed. NULL: out of memory. */
struct bh_transport_tls *bh_transport_tls_create(struct bh_tls *context) BH_MUST_CHECK;

/* Before the first transport; close must follow. */
void bh_transport_tls_start(struct bh_transport_tls *tls, uv_loop_t *uv);

/* Once its transports have closed; `closed` is called with a handle whose `data` is `owner`. */
void bh_transport_tls_close(struct bh_transport_tls *tls, uv_close_cb closed, void *owner);

/* After `closed`, or when it was not started. NULL is fine. */
void bh_transport_tls_destroy(struct bh_transport_tls *tls);

/* ---- Of transport.c ---- */

/* Bytes whose turn has not come. */
struct bh_transport_waiting {
    union {
        uv_write_t write;
        struct bh_list node; /* plaintext under TLS */
    };
    struct bh_str pieces[2]; /* what was copied; what is not */
    size_t held;
    struct bh_buf taken;
    char copied[];
};

/* Keeps the pieces, the last as told; NULL: out of memory. bh_transport_drop must follow. */
struct bh_transport_waiting *bh_transport_keep(struct bh_transport *transport,
                                               const struct bh_str *pieces, unsigned count,
                                               enum bh_transport_hold hold,
                                               struct bh_buf *taken) BH_MUST_CHECK;
void bh_transport_drop(struct bh_transport *transport, struct bh_transport_waiting *waiting);

/* As bh_transport_write, but to the socket itself, and `taken` may keep its content. */
int bh_transport_send(struct bh_transport *transport, const struct bh_str *pieces, unsigned count,
                      enum bh_transport_hold hold, struct bh_buf *taken) BH_MUST_CHECK;

/* ---- For transport.c ---- */

int bh_secure_open(struct bh_transport *transport, struct bh_transport_tls *tls) BH_MUST_CHECK;
void bh_secure_read_start(struct bh_transport *transport);
void bh_secure_read_stop(struct bh_transport *transport);
bool bh_secure_has_unread(const struct bh_transport *transport);
int bh_secure_write(struct bh_transport *transport, const struct bh_str *pieces, unsigned count,
                    enum bh_transport_hold hold, struct bh_buf *taken) BH_MUST_CHECK;
/* The socket has taken what was encrypted. */
int bh_secure_go_on(struct bh_transport *transport) BH_MUST_CHECK;
size_t bh_secure_waiting(const struct bh_transport *transport);
uint64_t bh_secure_overhead(const struct bh_transport *transport);
bool bh_secure_is_shaking(const struct bh_transport *transport);

/* Tells the peer, if it can be told at once, that nothing more comes. */
void bh_secure_finish(struct bh_transport *transport);

/* The transport is being closed / has closed. */
void bh_secure_leave(struct bh_transport *transport);
void bh_secure_destroy(struct bh_transport *transport);
