/*
 * HTTP(S) client on the loops: waiting calls over libcurl, whose sockets and timers are libuv's.
 *
 * Each loop has connections of its own, kept for the next request. The answer's body comes in
 * pieces as it arrives; while nobody reads, at most BH_TRANSFER_WAITING_MAX bytes are kept and the
 * peer is held back. HTTP/1.1, no redirects, no cookies, no decompression; certificates are always
 * verified; proxies of the environment are ignored. All waits end at the fiber's deadline or when
 * it is cancelled, besides at their own `until_us`; the caller then closes the transfer, which
 * breaks it off at once.
 *
 *     int result = bh_client_open(client, &request, until_us, &transfer, reterr);
 *     while (result == 0 && (result = bh_transfer_read(transfer, until_us, &piece, reterr)) == 0)
 *         if (piece.size == 0) break; // the end
 *     bh_transfer_close(transfer);
 */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"
#include "bulkhead/loop/fiber.h"

struct bh_client;   /* opaque: shared by all loops */
struct bh_transfer; /* opaque: one request and its answer, of one fiber */

#define BH_TRANSFER_WAITING_MAX ((size_t)128 * 1024)

struct bh_client_options {
    unsigned connections_maximum; /* of each loop; transfers past it wait for one; 16 */
    unsigned
        transfers_maximum; /* of each loop, those that wait among them; past it BH_EBUSY; 256 */
    uint64_t connect_timeout_us; /* name, TCP and TLS together; 5 s */
    const char *proxy;           /* "http://HOST:PORT"; NULL or "": none */
    const char *ca_file;         /* PEM, in place of the system's certificates; NULL or "": those */
};

void bh_client_options_default(struct bh_client_options *ret_options);

/* The options' strings are borrowed for the client's life. The process must ignore SIGPIPE.
 * BH_ENOMEM. */
int bh_client_create(const struct bh_client_options *options,
                     struct bh_client **ret_client) BH_MUST_CHECK;
/* All loops it was used on have ended. NULL is fine. */
void bh_client_destroy(struct bh_client *client);

struct bh_client_request {
    const char *method;         /* "GET", "POST" */
    const char *url;            /* http: or https: */
    const char *const *headers; /* "Name: value", NULL behind the last; NULL: none. Copied */
    struct bh_str body;         /* with POST; borrowed until the transfer is closed */
};

/* Sends the request and waits for the head of the answer, whatever its status, until `until_us`
 * (monotonic; BH_NEVER_US: the fiber's deadline). BH_EUNAVAILABLE: no connection, or it broke.
 * BH_EACCESS: the certificate is not to be trusted. BH_ETIMEDOUT. BH_ECANCELED. BH_EBUSY: too many
 * transfers. BH_EINVAL: the URL. BH_ESYNTAX: this is not HTTP. Messages name the host, and never
 * the headers. On failure there is nothing to close. */
int bh_client_open(struct bh_client *client, const struct bh_client_request *request,
                   uint64_t until_us, struct bh_transfer **ret_transfer,
                   struct bh_error *reterr) BH_MUST_CHECK;

int bh_transfer_status(const struct bh_transfer *transfer);

/* A header field's value (name without case; the last of that name), or {NULL, 0}. Lives until the
 * next call for this transfer. */
struct bh_str bh_transfer_header(const struct bh_transfer *transfer, const char *name);

/* The next piece of the body; size 0 at its end. The piece lives until the next call. Errors as
 * above; BH_EUNAVAILABLE also when the body ends before its declared end. */
int bh_transfer_read(struct bh_transfer *transfer, uint64_t until_us, struct bh_str *ret_piece,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Ends it, at whatever state; a connection whose answer was read to its end is kept. NULL is
 * fine. */
void bh_transfer_close(struct bh_transfer *transfer);
