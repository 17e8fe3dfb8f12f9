#include "db/postgres/pg_address.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bulkhead/base/assert.h"

static unsigned place_of(const struct bh_pg_addresses *const addresses, const char *const text)
{
    unsigned place = 0;
    while (place < addresses->count && strcmp(addresses->texts[place], text) != 0)
        place++;
    return place;
}

bool bh_pg_addresses_have(const struct bh_pg_addresses *const addresses, const char *const text)
{
    return place_of(addresses, text) < addresses->count;
}

/* Each once: a name may be there twice in /etc/hosts. */
static void add(struct bh_pg_addresses *const addresses, const struct addrinfo *const found)
{
    char text[BH_PG_ADDRESS_SIZE];
    if (addresses->count < BH_PG_ADDRESSES_MAX &&
        getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0,
                    NI_NUMERICHOST) == 0 &&
        !bh_pg_addresses_have(addresses, text))
        memcpy(addresses->texts[addresses->count++], text, sizeof(text));
}

int bh_pg_addresses_resolve(const char *const name, struct bh_pg_addresses *const ret_addresses,
                            struct bh_error *const reterr)
{
    struct bh_pg_addresses addresses = { .count = 0 };
    if (!name || name[0] == '\0' || name[0] == '/' || name[0] == '@') {
        addresses.count = 1;
        *ret_addresses = addresses;
        return 0;
    }
    const struct addrinfo wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    const int failed = getaddrinfo(name, NULL, &wanted, &found);
    for (const struct addrinfo *one = found; !failed && one; one = one->ai_next)
        add(&addresses, one);
    if (!failed)
        freeaddrinfo(found);
    if (addresses.count == 0) {
        bh_error_set(reterr, BH_EUNAVAILABLE,
                     "could not translate host name \"%s\" to address: %s; check the host's name",
                     name, failed ? gai_strerror(failed) : "it has none");
        if (reterr)
            memcpy(reterr->sqlstate, "08001", sizeof("08001"));
        return BH_EUNAVAILABLE;
    }
    *ret_addresses = addresses;
    return 0;
}

void bh_pg_addresses_begin_with(struct bh_pg_addresses *const addresses, const char *const text,
                                const bool is_kept)
{
    bh_assert(strlen(text) < BH_PG_ADDRESS_SIZE);
    const unsigned place = place_of(addresses, text);
    if (place == addresses->count) {
        if (!is_kept)
            return;
        bh_assert(addresses->count < BH_COUNT_OF(addresses->texts));
        addresses->count++;
    }
    memmove(addresses->texts[1], addresses->texts[0], place * sizeof(addresses->texts[0]));
    snprintf(addresses->texts[0], sizeof(addresses->texts[0]), "%s", text);
}
