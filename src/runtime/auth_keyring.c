/* Open addressing with linear probing. The numbers are random when they are made, so they are their
 * own hash: a stranger may ask for any number but cannot choose one that is stored. */
#include "runtime/auth_keyring.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "runtime/auth_key.h"

#define SLOTS_MINIMUM 64

struct slot {
    uint64_t number;
    int64_t expires_us;
    uint8_t hash[BH_AUTH_HASH_BYTES];
    struct bh_principal principal;
    bool is_used, is_revoked;
};

struct bh_auth_keyring {
    pthread_rwlock_t lock; /* guards what follows */
    struct slot *slots;
    size_t slot_count; /* a power of two, at least twice the count */
    unsigned count, maximum;
};

int bh_auth_keyring_create(const unsigned maximum, struct bh_auth_keyring **const ret_ring)
{
    struct bh_auth_keyring *const ring = calloc(1, sizeof(*ring));
    if (!ring)
        return BH_ENOMEM;
    ring->slots = calloc(SLOTS_MINIMUM, sizeof(*ring->slots));
    if (!ring->slots) {
        free(ring);
        return BH_ENOMEM;
    }
    ring->slot_count = SLOTS_MINIMUM;
    ring->maximum = maximum;
    pthread_rwlock_init(&ring->lock, NULL);
    *ret_ring = ring;
    return 0;
}

void bh_auth_keyring_destroy(struct bh_auth_keyring *const ring)
{
    if (!ring)
        return;
    pthread_rwlock_destroy(&ring->lock);
    free(ring->slots);
    free(ring);
}

/* Where the number stands, or would. */
static struct slot *find(struct slot *const slots, const size_t count, const uint64_t number)
{
    size_t at = (size_t)number & (count - 1);
    while (slots[at].is_used && slots[at].number != number)
        at = (at + 1) & (count - 1);
    return &slots[at];
}

static int grow(struct bh_auth_keyring *const ring)
{
    const size_t count = ring->slot_count * 2;
    struct slot *const slots = calloc(count, sizeof(*slots));
    if (!slots)
        return BH_ENOMEM;
    for (size_t i = 0; i < ring->slot_count; i++)
        if (ring->slots[i].is_used)
            *find(slots, count, ring->slots[i].number) = ring->slots[i];
    free(ring->slots);
    ring->slots = slots;
    ring->slot_count = count;
    return 0;
}

static int put(struct bh_auth_keyring *const ring, const struct slot *const wanted,
               struct bh_error *const reterr)
{
    struct slot *slot = find(ring->slots, ring->slot_count, wanted->number);
    if (!slot->is_used) {
        if (ring->count >= ring->maximum)
            return bh_error_set(reterr, BH_ELIMIT, "there are more than %u API keys",
                                ring->maximum);
        if ((ring->count + 1) * (size_t)2 > ring->slot_count && grow(ring) != 0)
            return bh_error_set(reterr, BH_ENOMEM, "no memory for an API key");
        slot = find(ring->slots, ring->slot_count, wanted->number);
        ring->count++;
    }
    *slot = *wanted;
    return 0;
}

int bh_auth_keyring_put(struct bh_auth_keyring *const ring, const struct bh_auth_key *const key,
                        struct bh_error *const reterr)
{
    struct slot wanted = { .is_used = true,
                           .is_revoked = key->is_revoked,
                           .expires_us = key->expires_us,
                           .principal = { .user = key->user,
                                          .scopes = key->scopes & BH_SCOPES_ALL } };
    if (bh_auth_key_number(key->id, &wanted.number) != 0 || key->hash.size != BH_AUTH_HASH_BYTES ||
        key->user <= 0)
        return bh_error_set(reterr, BH_EINVAL, "the database holds an API key that is none");
    memcpy(wanted.hash, key->hash.data, BH_AUTH_HASH_BYTES);
    bh_auth_tenant(key->user, wanted.principal.tenant);
    pthread_rwlock_wrlock(&ring->lock);
    const int result = put(ring, &wanted, reterr);
    pthread_rwlock_unlock(&ring->lock);
    return result;
}

static enum bh_auth_key_state state_of(const struct slot *const slot,
                                       const uint8_t hash[BH_AUTH_HASH_BYTES], const int64_t now_us)
{
    if (!slot->is_used)
        return BH_AUTH_KEY_UNKNOWN;
    if (CRYPTO_memcmp(slot->hash, hash, BH_AUTH_HASH_BYTES) != 0)
        return BH_AUTH_KEY_WRONG;
    if (slot->is_revoked)
        return BH_AUTH_KEY_REVOKED;
    return slot->expires_us != 0 && now_us >= slot->expires_us ? BH_AUTH_KEY_EXPIRED
                                                               : BH_AUTH_KEY_VALID;
}

enum bh_auth_key_state bh_auth_keyring_check(struct bh_auth_keyring *const ring,
                                             const uint64_t number,
                                             const uint8_t hash[BH_AUTH_HASH_BYTES],
                                             const int64_t now_us,
                                             struct bh_principal *const ret_principal)
{
    pthread_rwlock_rdlock(&ring->lock);
    const struct slot *const slot = find(ring->slots, ring->slot_count, number);
    const enum bh_auth_key_state state = state_of(slot, hash, now_us);
    if (state == BH_AUTH_KEY_VALID)
        *ret_principal = slot->principal;
    pthread_rwlock_unlock(&ring->lock);
    return state;
}

unsigned bh_auth_keyring_count(struct bh_auth_keyring *const ring)
{
    pthread_rwlock_rdlock(&ring->lock);
    const unsigned count = ring->count;
    pthread_rwlock_unlock(&ring->lock);
    return count;
}
