/*
 * Asking a running server on this machine: one GET, one answer, no redirects. Under TLS the server
 * is known by its certificate's key, whatever name it was made for. Blocks the thread.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct tome_fetch_address {
    const char *host;
    unsigned port;
    const char *api_key;       /* "": none */
    const char *tls_cert_file; /* "": plain */
    uint64_t timeout_us;       /* until the answer is there */
};

/* Appends the body of a 200 to `body`. BH_EUNAVAILABLE: nobody listens there, or not in time.
 * BH_EACCESS: it has another certificate. BH_ESYNTAX: the answer is not whole, not HTTP, or not a
 * 200. BH_ELIMIT: it is longer than `body` may be. */
int tome_fetch(const struct tome_fetch_address *address, const char *target, struct bh_buf *body,
               struct bh_error *reterr) BH_MUST_CHECK;
