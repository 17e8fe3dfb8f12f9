/*
 * All keys of the service in memory: a table by the key's number, filled by one thread at a time,
 * read by all. A key is never taken out, only marked as revoked.
 */
#pragma once

#include "bulkhead/runtime/auth.h"

struct bh_auth_keyring; /* opaque */

int bh_auth_keyring_create(unsigned maximum, struct bh_auth_keyring **ret_ring) BH_MUST_CHECK;
void bh_auth_keyring_destroy(struct bh_auth_keyring *ring);

/* Adds a key, or changes the one with its id. As bh_auth_put_key. Any thread. */
int bh_auth_keyring_put(struct bh_auth_keyring *ring, const struct bh_auth_key *key,
                        struct bh_error *reterr) BH_MUST_CHECK;

enum bh_auth_key_state {
    BH_AUTH_KEY_VALID,
    BH_AUTH_KEY_UNKNOWN, /* no key has this number: it may be new */
    BH_AUTH_KEY_WRONG,   /* not with this secret */
    BH_AUTH_KEY_EXPIRED,
    BH_AUTH_KEY_REVOKED
};

/* Fills *ret_principal when valid. The hash is compared in constant time, and before anything else
 * of the key is told. `now_us`: wall clock. Any thread. */
enum bh_auth_key_state bh_auth_keyring_check(struct bh_auth_keyring *ring, uint64_t number,
                                             const uint8_t hash[BH_AUTH_HASH_BYTES], int64_t now_us,
                                             struct bh_principal *ret_principal);

/* Keys held. Any thread. */
unsigned bh_auth_keyring_count(struct bh_auth_keyring *ring);
