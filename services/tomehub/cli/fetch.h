/*
 * Asking a running server on this machine: one GET, one answer. No TLS, no redirects, no chunks:
 * HTTP/1.0, so that the end of the connection is the end of the answer. Blocks the thread.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct tome_fetch_address {
    const char *host;
    unsigned port;
    const char *api_key; /* "": none */
    uint64_t timeout_us; /* for connecting, and for each wait for more of the answer */
};

/* Appends the body of a 200 to `body`. BH_EUNAVAILABLE: nobody listens there, or not in time.
 * BH_ESYNTAX: the answer is not whole, not HTTP, or not a 200. */
int tome_fetch(const struct tome_fetch_address *address, const char *target, struct bh_buf *body,
               struct bh_error *reterr) BH_MUST_CHECK;
