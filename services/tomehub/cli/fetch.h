/*
 * Asking a running server on this machine: one GET, one answer. No redirects, no chunks: HTTP/1.0,
 * so that the end of the connection is the end of the answer. Under TLS the server is known by its
 * certificate, whatever name it was made for. Blocks the thread.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct tome_fetch_address {
    const char *host;
    unsigned port;
    const char *api_key;       /* "": none */
    const char *tls_cert_file; /* "": plain */
    uint64_t timeout_us;       /* for connecting, and for each wait for more of the answer */
};

/* Appends the body of a 200 to `body`. BH_EUNAVAILABLE: nobody listens there, or not in time.
 * BH_EACCESS: it
 * has another certificate. BH_ESYNTAX: the answer is not whole, not HTTP, or not a 200. */
int tome_fetch(const struct tome_fetch_address *address, const char *target, struct bh_buf *body,
               struct bh_error *reterr) BH_MUST_CHECK;
