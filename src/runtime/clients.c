#include "bulkhead/runtime/clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/client_address.h"

struct bh_clients {
    struct bh_networks trusted;
    enum bh_forwarded forwarded;
};

int bh_clients_create(const struct bh_clients_options *const options,
                      struct bh_clients **const ret_clients, struct bh_error *const reterr)
{
    struct bh_clients *const clients = calloc(1, sizeof(*clients));
    if (!clients)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the trusted proxies");
    clients->forwarded = options->uses_forwarded ? BH_FORWARDED_RFC7239 : BH_FORWARDED_FOR;
    const int result = bh_networks_parse("TRUSTED_PROXIES", bh_str_from(options->trusted_proxies),
                                         &clients->trusted, reterr);
    if (result) {
        free(clients);
        return result;
    }
    *ret_clients = clients;
    return 0;
}

void bh_clients_destroy(struct bh_clients *const clients)
{
    free(clients);
}

struct bh_str bh_clients_address(const struct bh_clients *const clients,
                                 struct bh_request *const request, char buffer[BH_CLIENT_KEY_SIZE])
{
    const struct bh_str peer_text = bh_request_peer(request);
    struct bh_address peer;
    const bool is_v4 = peer_text.size > 0 && !memchr(peer_text.data, ':', peer_text.size);
    if ((clients->trusted.count == 0 && is_v4) || !bh_address_parse(peer_text, &peer))
        return peer_text;
    const char *const field = clients->forwarded == BH_FORWARDED_FOR ? "X-Forwarded-For"
                                                                     : "Forwarded";
    struct bh_str hops = BH_STR_NONE;
    if (clients->trusted.count > 0)
        hops = bh_request_header(request, field);
    const struct bh_address client = bh_client_address(&clients->trusted, clients->forwarded, &peer,
                                                       hops);
    return bh_address_client(&client, buffer);
}

struct bh_str bh_clients_key(const struct bh_clients *const clients,
                             struct bh_request *const request, char buffer[BH_CLIENT_KEY_SIZE])
{
    const struct bh_principal *const principal = bh_request_principal(request);
    if (!principal->tenant[0]) /* nobody in particular */
        return bh_clients_address(clients, request, buffer);
    const int size = snprintf(buffer, BH_CLIENT_KEY_SIZE, "user %lld", (long long)principal->user);
    return (struct bh_str){ buffer, (size_t)size };
}
