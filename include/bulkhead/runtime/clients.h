/*
 * Who counts as one client: what rate limits and the stream gate charge. It is the authenticated
 * user, else the client's address (of IPv6 its network of 64 bits), which trusted proxies tell.
 */
#pragma once

#include "bulkhead/http/request.h"

struct bh_clients; /* opaque; constant, any thread */

#define BH_CLIENT_KEY_SIZE 80

struct bh_clients_options {
    const char *trusted_proxies; /* "10.0.0.0/8, 127.0.0.1"; "": none */
    bool uses_forwarded;         /* those proxies write Forwarded, not X-Forwarded-For */
};

/* BH_EINVAL: the proxies (the message names TRUSTED_PROXIES). */
int bh_clients_create(const struct bh_clients_options *options, struct bh_clients **ret_clients,
                      struct bh_error *reterr) BH_MUST_CHECK;
/* NULL is fine. */
void bh_clients_destroy(struct bh_clients *clients);

/* "user 7", or an address as below. The text is the request's or in `buffer`. */
struct bh_str bh_clients_key(const struct bh_clients *clients, struct bh_request *request,
                             char buffer[BH_CLIENT_KEY_SIZE]);

/* The same, whoever the user is: "192.0.2.7", "2001:db8:1:2::/64". */
struct bh_str bh_clients_address(const struct bh_clients *clients, struct bh_request *request,
                                 char buffer[BH_CLIENT_KEY_SIZE]);
