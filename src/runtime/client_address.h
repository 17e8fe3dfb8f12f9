/*
 * Which address a request comes from, behind proxies that one trusts. Pure; any thread.
 *
 * Only what a trusted proxy has written counts: the list of hops is read from its right end, and
 * the first address that is no trusted proxy is the client. What stands left of it the client may
 * have written itself.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

#define BH_NETWORKS_MAX 64
#define BH_HOPS_MAX 32 /* proxies in a row that are followed */
#define BH_ADDRESS_TEXT_SIZE 64

struct bh_address {
    uint8_t bytes[16]; /* IPv4 mapped into IPv6 */
};

struct bh_networks {
    unsigned count;
    struct bh_network {
        struct bh_address address;
        unsigned bits;
    } list[BH_NETWORKS_MAX];
};

/* An address as text, without port, brackets or zone. */
bool bh_address_parse(struct bh_str text, struct bh_address *ret_address);

/* Who counts as one client: "192.0.2.7", or of IPv6 the network of 64 bits, "2001:db8:1:2::/64",
 * since one household has all of it. */
struct bh_str bh_address_client(const struct bh_address *address,
                                char buffer[BH_ADDRESS_TEXT_SIZE]);

/* Reads "10.0.0.0/8, 192.0.2.1, fd00::/8"; an empty text is none. BH_EINVAL names `variable`. */
int bh_networks_parse(const char *variable, struct bh_str text, struct bh_networks *ret_networks,
                      struct bh_error *reterr) BH_MUST_CHECK;
bool bh_networks_have(const struct bh_networks *networks, const struct bh_address *address);

enum bh_forwarded {
    BH_FORWARDED_FOR,    /* X-Forwarded-For: 192.0.2.7, 10.0.0.1 */
    BH_FORWARDED_RFC7239 /* Forwarded: for=192.0.2.7;proto=https, for="[2001:db8::1]:4711" */
};

/* The client of a request that `peer` sent with `hops` in the header field. A hop that cannot be
 * read ("unknown", garbage) ends the search: the proxy that reported it stands for whoever is
 * behind it. */
struct bh_address bh_client_address(const struct bh_networks *trusted, enum bh_forwarded kind,
                                    const struct bh_address *peer, struct bh_str hops);
