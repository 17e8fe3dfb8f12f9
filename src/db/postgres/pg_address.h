/*
 * The addresses that a host's name stands for. libpq would go on from one that refuses, but neither
 * from one that is silent nor from one that hangs up: so each is an attempt of its own.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"

#define BH_PG_ADDRESSES_MAX 8 /* of one name; further ones are not asked */
#define BH_PG_ADDRESS_SIZE 64

struct bh_pg_addresses {
    unsigned count;
    /* As numbers. An empty one: whatever libpq makes of the host (a socket's folder, say). */
    char texts[BH_PG_ADDRESSES_MAX + 1][BH_PG_ADDRESS_SIZE];
};

/* Resolves `name` (NULL or a folder: one empty address). Blocks for as long as the resolver does.
 * BH_EUNAVAILABLE: nobody knows the name. Worker thread. */
int bh_pg_addresses_resolve(const char *name, struct bh_pg_addresses *ret_addresses,
                            struct bh_error *reterr) BH_MUST_CHECK;

bool bh_pg_addresses_have(const struct bh_pg_addresses *addresses, const char *text);

/* Puts `text` in front; where it is not among them, only if `is_kept`. */
void bh_pg_addresses_begin_with(struct bh_pg_addresses *addresses, const char *text, bool is_kept);
