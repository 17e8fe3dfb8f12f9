#include "runtime/auth_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>

#include "bulkhead/base/assert.h"

static const char digits[] = "0123456789abcdef";

static void write_hex(char *to, const uint8_t *const bytes, const size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
}

static int digit_value(const char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* ---- Text ---- */

int bh_auth_key_make(struct bh_auth_new_key *const ret_key)
{
    uint8_t random[BH_AUTH_KEY_ID_BYTES / 2 + 32];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return BH_EIO;
    struct bh_auth_new_key key;
    char secret[65];
    write_hex(key.id, random, BH_AUTH_KEY_ID_BYTES / 2);
    write_hex(secret, random + BH_AUTH_KEY_ID_BYTES / 2, 32);
    const int size = snprintf(key.text, sizeof(key.text), BH_AUTH_KEY_PREFIX "%s_%s", key.id,
                              secret);
    bh_assert(size == BH_AUTH_KEY_BYTES);
    const int result = bh_auth_hash(bh_str_from(key.text), key.hash);
    if (result == 0)
        *ret_key = key;
    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(secret, sizeof(secret));
    bh_auth_key_wipe(&key);
    return result;
}

void bh_auth_key_wipe(struct bh_auth_new_key *const key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

int bh_auth_key_number(const struct bh_str id, uint64_t *const ret_number)
{
    uint64_t number = 0;
    if (id.size != BH_AUTH_KEY_ID_BYTES)
        return BH_ESYNTAX;
    for (size_t i = 0; i < id.size; i++) {
        const int value = digit_value(id.data[i]);
        if (value < 0)
            return BH_ESYNTAX;
        number = number << 4 | (uint64_t)value;
    }
    *ret_number = number;
    return 0;
}

int bh_auth_key_parse(const struct bh_str key, uint64_t *const ret_number)
{
    const size_t prefix = sizeof(BH_AUTH_KEY_PREFIX) - 1;
    if (key.size != BH_AUTH_KEY_BYTES || !bh_str_starts_with(key, BH_STR(BH_AUTH_KEY_PREFIX)) ||
        key.data[prefix + BH_AUTH_KEY_ID_BYTES] != '_')
        return BH_ESYNTAX;
    for (size_t i = prefix + BH_AUTH_KEY_ID_BYTES + 1; i < key.size; i++)
        if (digit_value(key.data[i]) < 0)
            return BH_ESYNTAX;
    return bh_auth_key_number((struct bh_str){ key.data + prefix, BH_AUTH_KEY_ID_BYTES },
                              ret_number);
}

/* ---- Hashes ---- */

/* Looked up once: fetching it each time costs more than hashing a key does. */
static EVP_MD *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_sha256(void)
{
    EVP_MD_free(sha256);
}

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    bh_assert(sha256 != NULL);
    atexit(free_sha256);
}

int bh_auth_hash(const struct bh_str text, uint8_t ret_hash[BH_AUTH_HASH_BYTES])
{
    pthread_once(&once, fetch_sha256);
    return EVP_Digest(text.data, text.size, ret_hash, NULL, sha256, NULL) == 1 ? 0 : BH_ENOMEM;
}

void bh_auth_tenant(const int64_t user, char ret_tenant[BH_TENANT_BYTES + 1])
{
    char text[40];
    uint8_t hash[BH_AUTH_HASH_BYTES] = { 0 };
    const int size = snprintf(text, sizeof(text), "tenant %lld", (long long)user);
    if (bh_auth_hash((struct bh_str){ text, (size_t)size }, hash) == 0)
        write_hex(ret_tenant, hash, BH_TENANT_BYTES / 2);
    else
        ret_tenant[0] = '\0';
}
