#include "runtime/auth_tokens.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SETS 1024
#define WAYS 4
#define LOCKS 64

struct entry {
    uint8_t hash[BH_AUTH_HASH_BYTES];
    int64_t expires_s; /* 0: free */
    struct bh_principal principal;
};

struct bh_auth_tokens {
    pthread_mutex_t locks[LOCKS]; /* lock n guards the sets with number % LOCKS = n */
    uint64_t epoch;               /* changed with all locks held, read with any */
    struct entry sets[SETS][WAYS];
};

int bh_auth_tokens_create(struct bh_auth_tokens **const ret_tokens)
{
    struct bh_auth_tokens *const tokens = calloc(1, sizeof(*tokens));
    if (!tokens)
        return BH_ENOMEM;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&tokens->locks[i], NULL);
    *ret_tokens = tokens;
    return 0;
}

void bh_auth_tokens_destroy(struct bh_auth_tokens *const tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&tokens->locks[i]);
    free(tokens);
}

static size_t set_of(const uint8_t hash[BH_AUTH_HASH_BYTES])
{
    return ((size_t)hash[0] << 8 | hash[1]) % SETS;
}

bool bh_auth_tokens_find(struct bh_auth_tokens *const tokens,
                         const uint8_t hash[BH_AUTH_HASH_BYTES], const int64_t now_s,
                         struct bh_principal *const ret_principal)
{
    const size_t set = set_of(hash);
    bool found = false;
    pthread_mutex_lock(&tokens->locks[set % LOCKS]);
    for (size_t i = 0; i < WAYS && !found; i++) {
        const struct entry *const entry = &tokens->sets[set][i];
        found = entry->expires_s > now_s &&
                CRYPTO_memcmp(entry->hash, hash, BH_AUTH_HASH_BYTES) == 0;
        if (found)
            *ret_principal = entry->principal;
    }
    pthread_mutex_unlock(&tokens->locks[set % LOCKS]);
    return found;
}

void bh_auth_tokens_put(struct bh_auth_tokens *const tokens, const uint8_t hash[BH_AUTH_HASH_BYTES],
                        const int64_t expires_s, const uint64_t epoch,
                        const struct bh_principal *const principal)
{
    const size_t set = set_of(hash);
    pthread_mutex_lock(&tokens->locks[set % LOCKS]);
    struct entry *place = &tokens->sets[set][0];
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *const entry = &tokens->sets[set][i];
        if (entry->expires_s > 0 && CRYPTO_memcmp(entry->hash, hash, BH_AUTH_HASH_BYTES) == 0) {
            place = entry;
            break;
        }
        if (entry->expires_s < place->expires_s)
            place = entry;
    }
    if (epoch == tokens->epoch) {
        memcpy(place->hash, hash, BH_AUTH_HASH_BYTES);
        place->expires_s = expires_s;
        place->principal = *principal;
    }
    pthread_mutex_unlock(&tokens->locks[set % LOCKS]);
}

uint64_t bh_auth_tokens_epoch(struct bh_auth_tokens *const tokens)
{
    pthread_mutex_lock(&tokens->locks[0]);
    const uint64_t epoch = tokens->epoch;
    pthread_mutex_unlock(&tokens->locks[0]);
    return epoch;
}

void bh_auth_tokens_clear(struct bh_auth_tokens *const tokens)
{
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_lock(&tokens->locks[i]);
    tokens->epoch++;
    memset(tokens->sets, 0, sizeof(tokens->sets));
    for (size_t i = LOCKS; i > 0; i--)
        pthread_mutex_unlock(&tokens->locks[i - 1]);
}
