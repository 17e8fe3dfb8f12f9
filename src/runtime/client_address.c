#include "runtime/client_address.h"

#include <arpa/inet.h>
#include <stdio.h>

#define MAPPED_BITS 96 /* in front of an IPv4 address */

static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };

static bool is_v4(const struct bh_address *const address)
{
    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

bool bh_address_parse(const struct bh_str text, struct bh_address *const ret_address)
{
    char terminated[INET6_ADDRSTRLEN];
    struct bh_address address;
    if (text.size == 0 || text.size >= sizeof(terminated) || memchr(text.data, '\0', text.size))
        return false;
    memcpy(terminated, text.data, text.size);
    terminated[text.size] = '\0';
    if (inet_pton(AF_INET, terminated, address.bytes + sizeof(mapped)) == 1)
        memcpy(address.bytes, mapped, sizeof(mapped));
    else if (inet_pton(AF_INET6, terminated, address.bytes) != 1)
        return false;
    *ret_address = address;
    return true;
}

struct bh_str bh_address_client(const struct bh_address *const address,
                                char buffer[BH_ADDRESS_TEXT_SIZE])
{
    if (is_v4(address)) {
        inet_ntop(AF_INET, address->bytes + sizeof(mapped), buffer, BH_ADDRESS_TEXT_SIZE);
        return bh_str_from(buffer);
    }
    struct bh_address network = *address;
    memset(network.bytes + 8, 0, 8);
    inet_ntop(AF_INET6, network.bytes, buffer, BH_ADDRESS_TEXT_SIZE - 4);
    const size_t size = strlen(buffer);
    memcpy(buffer + size, "/64", 4);
    return (struct bh_str){ buffer, size + 3 };
}

/* ---- Networks ---- */

static bool parse_network(struct bh_str text, struct bh_network *const ret_network)
{
    const bool has_bits = memchr(text.data, '/', text.size);
    const struct bh_str address = bh_str_split(&text, '/');
    if (!bh_address_parse(address, &ret_network->address))
        return false;
    const bool is_short = !memchr(address.data, ':', address.size); /* 10.0.0.0/8 */
    int64_t bits = is_short ? 32 : 128;
    if (has_bits && bh_str_to_int64(text, 0, bits, &bits) != 0)
        return false;
    ret_network->bits = (unsigned)bits + (is_short ? MAPPED_BITS : 0);
    return true;
}

static bool matches(const struct bh_network *const network, const struct bh_address *const address)
{
    const unsigned whole = network->bits / 8, rest = network->bits % 8;
    const uint8_t mask = (uint8_t)(0xFF00 >> rest);
    return memcmp(network->address.bytes, address->bytes, whole) == 0 &&
           (rest == 0 || ((network->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0);
}

bool bh_networks_have(const struct bh_networks *const networks,
                      const struct bh_address *const address)
{
    for (unsigned i = 0; i < networks->count; i++)
        if (matches(&networks->list[i], address))
            return true;
    return false;
}

int bh_networks_parse(const char *const variable, const struct bh_str text,
                      struct bh_networks *const ret_networks, struct bh_error *const reterr)
{
    struct bh_networks networks = { .count = 0 };
    struct bh_str rest = bh_str_trim(text);
    while (rest.size > 0) {
        const struct bh_str item = bh_str_trim(bh_str_split(&rest, ','));
        if (networks.count == BH_NETWORKS_MAX)
            return bh_error_set(reterr, BH_EINVAL, "%s names more than %d networks: join some",
                                variable, BH_NETWORKS_MAX);
        if (item.size == 0 || !parse_network(item, &networks.list[networks.count++]))
            return bh_error_set(reterr, BH_EINVAL,
                                "%s=%.*s: takes addresses and networks, parted by commas: "
                                "127.0.0.1, 10.0.0.0/8, fd00::/8",
                                variable, (int)(item.size < 60 ? item.size : 60), item.data);
    }
    *ret_networks = networks;
    return 0;
}

/* ---- Hops ---- */

/* Of a hop as proxies write it: an address, with or without port, IPv6 in brackets or bare. */
static bool parse_hop(struct bh_str text, struct bh_address *const ret_address)
{
    if (text.size > 0 && text.data[0] == '[') {
        text = (struct bh_str){ text.data + 1, text.size - 1 };
        if (!memchr(text.data, ']', text.size))
            return false;
        const struct bh_str address = bh_str_split(&text, ']');
        return (text.size == 0 || text.data[0] == ':') && bh_address_parse(address, ret_address);
    }
    const char *const first = text.size ? memchr(text.data, ':', text.size) : NULL;
    const char *const last = text.size ? memrchr(text.data, ':', text.size) : NULL;
    if (first && first == last) /* 192.0.2.7:4711 */
        text.size = (size_t)(first - text.data);
    return bh_address_parse(text, ret_address);
}

/* Cuts *rest at the first `separator` outside of quotes. */
static struct bh_str split_quoted(struct bh_str *const rest, const char separator)
{
    bool is_quoted = false;
    const struct bh_str all = *rest;
    for (size_t i = 0; i < all.size; i++) {
        if (is_quoted && all.data[i] == '\\')
            i++;
        else if (all.data[i] == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && all.data[i] == separator) {
            *rest = (struct bh_str){ all.data + i + 1, all.size - i - 1 };
            return (struct bh_str){ all.data, i };
        }
    }
    *rest = BH_STR_NONE;
    return all;
}

/* The hop's text of an element such as `for="[2001:db8::1]:4711";proto=https`; empty without. */
static struct bh_str hop_of_element(struct bh_str element)
{
    while (element.size > 0) {
        struct bh_str value = bh_str_trim(split_quoted(&element, ';'));
        const struct bh_str name = bh_str_trim(bh_str_split(&value, '='));
        if (!bh_str_equal_nocase(name, BH_STR("for")))
            continue;
        value = bh_str_trim(value);
        if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
            value = (struct bh_str){ value.data + 1, value.size - 2 };
        return value;
    }
    return BH_STR_NONE;
}

struct bh_address bh_client_address(const struct bh_networks *const trusted,
                                    const enum bh_forwarded kind,
                                    const struct bh_address *const peer, struct bh_str hops)
{
    struct bh_str last[BH_HOPS_MAX]; /* a ring */
    unsigned count = 0;
    struct bh_address client = *peer;
    if (!bh_networks_have(trusted, peer))
        return client;
    while (hops.size > 0)
        last[count++ % BH_HOPS_MAX] = kind == BH_FORWARDED_FOR ? bh_str_split(&hops, ',')
                                                               : split_quoted(&hops, ',');
    const unsigned followed = count < BH_HOPS_MAX ? count : BH_HOPS_MAX;
    for (unsigned i = 1; i <= followed; i++) {
        struct bh_str hop = last[(count - i) % BH_HOPS_MAX];
        if (kind == BH_FORWARDED_RFC7239)
            hop = hop_of_element(hop);
        struct bh_address address;
        if (!parse_hop(bh_str_trim(hop), &address))
            break;
        client = address;
        if (!bh_networks_have(trusted, &address))
            break;
    }
    return client;
}
