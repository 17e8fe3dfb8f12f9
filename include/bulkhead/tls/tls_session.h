/*
 * One TLS session as a filter between bytes and bytes: it knows of no socket, and it never waits.
 * What came from the peer is given to each step as `input`, of which it takes what it needs; what
 * is to go to the peer is appended to `output`. Between the steps a session holds at most one
 * record of input (17 KB), and nothing of output.
 *
 * After a failure only bh_tls_session_destroy may follow; `output` may then hold the alert that
 * tells the peer. One thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct bh_tls;
struct bh_tls_session; /* opaque */

#define BH_TLS_RECORD_BYTES 16384 /* the most plaintext in one record */

struct bh_tls_io {
    struct bh_str input;   /* advanced over what was taken */
    struct bh_buf *output; /* its maximum bounds what one step may say */
};

/* `host`: a client's: whom it wants to talk to, name or address; "" and a server's: nobody in
 * particular. BH_ENOMEM. */
int bh_tls_session_create(struct bh_tls *tls, const char *host,
                          struct bh_tls_session **ret_session) BH_MUST_CHECK;
void bh_tls_session_destroy(struct bh_tls_session *session); /* NULL is fine */

/* 1: done. 0: more input is needed. BH_ESYNTAX: the peer speaks no TLS, or none that both know.
 * BH_EACCESS: a certificate was not accepted, by us or by the peer. The message says why. */
int bh_tls_session_handshake(struct bh_tls_session *session, struct bh_tls_io *io,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* After the handshake: whether it took up an earlier session. */
bool bh_tls_session_is_resumed(const struct bh_tls_session *session);

/* 1: there is plaintext to read. 0: more input is needed. BH_ECLOSED: the peer has said that
 * nothing more comes. BH_ESYNTAX: what came is not what it sent. */
int bh_tls_session_look(struct bh_tls_session *session, struct bh_tls_io *io) BH_MUST_CHECK;

/* Once bh_tls_session_look has said 1: how many bytes were read, at least one, at most `size`. */
size_t bh_tls_session_read(struct bh_tls_session *session, struct bh_tls_io *io, char *to,
                           size_t size) BH_MUST_CHECK;

/* Whether something that was taken lies inside, read or not: a look may find plaintext without more
 * input. */
bool bh_tls_session_has_more(const struct bh_tls_session *session);

/* Encrypts all of `data`, which is not empty. BH_ENOMEM, BH_ELIMIT, BH_EIO. */
int bh_tls_session_write(struct bh_tls_session *session, struct bh_tls_io *io,
                         struct bh_str data) BH_MUST_CHECK;

/* Says that nothing more comes. */
void bh_tls_session_finish(struct bh_tls_session *session, struct bh_tls_io *io);
