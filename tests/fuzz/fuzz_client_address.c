/* Hops of proxies: what is found is the peer, or an address that stands in the list; a peer that is
 * not trusted is always itself; networks that were read hold their own address. */
#include <stdint.h>

#include "bulkhead/base/assert.h"
#include "runtime/client_address.h"

static void check_hops(const struct bh_networks *const trusted, const struct bh_address *const peer,
                       const struct bh_str hops)
{
    for (int kind = BH_FORWARDED_FOR; kind <= BH_FORWARDED_RFC7239; kind++) {
        char text[BH_ADDRESS_TEXT_SIZE];
        const struct bh_address client = bh_client_address(trusted, (enum bh_forwarded)kind, peer,
                                                           hops);
        const bool is_peer = memcmp(&client, peer, sizeof(client)) == 0;
        bh_assert(is_peer || bh_networks_have(trusted, peer));
        const struct bh_str shown = bh_address_client(&client, text);
        bh_assert(shown.size > 0 && shown.size < sizeof(text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *const bytes, const size_t count)
{
    const struct bh_str text = { (const char *)bytes, count };
    struct bh_networks trusted = { 0 }, read;
    struct bh_address proxy, stranger;
    bh_assert(bh_networks_parse("X", BH_STR("10.0.0.0/8, fd00::/7"), &trusted, NULL) == 0);
    bh_assert(bh_address_parse(BH_STR("10.1.2.3"), &proxy));
    bh_assert(bh_address_parse(BH_STR("192.0.2.1"), &stranger));
    check_hops(&trusted, &proxy, text);
    check_hops(&trusted, &stranger, text);
    if (bh_networks_parse("X", text, &read, NULL) == 0)
        for (unsigned i = 0; i < read.count; i++)
            bh_assert(bh_networks_have(&read, &read.list[i].address));
    return 0;
}
