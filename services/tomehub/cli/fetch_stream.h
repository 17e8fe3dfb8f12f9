/*
 * A blocking stream over a connected socket, plain or under TLS: what fetch.c sends and reads.
 * The socket's time-outs bound each wait. One thread.
 */
#pragma once

#include <sys/types.h>

#include "bulkhead/tls/tls.h"
#include "bulkhead/tls/tls_session.h"

#define TOME_FETCH_INPUT_BYTES 16384

struct tome_fetch_stream {
    int fd;             /* owned; -1: none */
    struct bh_tls *tls; /* private, as all below; NULL: plain */
    struct bh_tls_session *session;
    struct bh_buf output;
    struct bh_str unread; /* in `input` */
    char input[TOME_FETCH_INPUT_BYTES];
};

void tome_fetch_stream_init(struct tome_fetch_stream *stream, int fd);
void tome_fetch_stream_fini(struct tome_fetch_stream *stream);

/* The handshake. The peer must show the certificate of `certificate_file`. BH_EUNAVAILABLE: see
 * errno; others with a message. */
int tome_fetch_stream_secure(struct tome_fetch_stream *stream, const char *certificate_file,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* 0; -1: errno says why. */
int tome_fetch_stream_send(struct tome_fetch_stream *stream, struct bh_str data) BH_MUST_CHECK;

/* Bytes read; 0: the end; -1: errno says why. */
ssize_t tome_fetch_stream_receive(struct tome_fetch_stream *stream, char *to,
                                  size_t size) BH_MUST_CHECK;
