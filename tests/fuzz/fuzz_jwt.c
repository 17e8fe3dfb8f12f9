/* Tokens and key sets: any bytes are taken or refused, with a message fit for a client. The first
 * byte chooses: a whole token, a token's claims, or a key set. */
#include <openssl/ec.h>
#include <stdint.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "runtime/jwt.h"

#define NOW INT64_C(1800000000)

static const struct bh_jwt_rules rules = { { "i", 1 }, { "a", 1 }, 60 };

static void check_error(const int result, const struct bh_error *const error)
{
    bh_assert(result < 0 && error->code == result && error->message[0] != '\0');
    bh_assert(bh_str_is_utf8(bh_str_from(error->message)));
}

static void check_claims(const struct bh_jwt *const jwt)
{
    struct bh_error error = { 0 };
    struct bh_jwt_claims claims;
    const int result = bh_jwt_read(jwt, &rules, NOW, &claims, &error);
    if (result != 0) {
        check_error(result, &error);
        return;
    }
    bh_assert(claims.subject_size > 0 && claims.subject_size <= BH_JWT_SUBJECT_MAX);
    bh_assert(strlen(claims.subject) == claims.subject_size);
    bh_assert(claims.expires_s + rules.leeway_s > NOW);
}

static void check_token(const struct bh_str text, EVP_PKEY *const key)
{
    struct bh_error error = { 0 };
    struct bh_jwt jwt;
    const int result = bh_jwt_open(text, &jwt, &error);
    if (result != 0) {
        check_error(result, &error);
        return;
    }
    bh_assert(jwt.signed_part.data == text.data && jwt.signed_part.size < text.size);
    bh_assert(jwt.key_id_size <= BH_JWK_ID_MAX && jwt.signature_size <= sizeof(jwt.signature));
    bh_assert(bh_jwt_verify(&jwt, key) == BH_EACCESS); /* nobody has the private key */
    check_claims(&jwt);
}

static void check_set(const struct bh_str text)
{
    struct bh_error error = { 0 };
    struct bh_jwks *set = NULL;
    const int result = bh_jwks_parse(text, &set, &error);
    if (result != 0) {
        check_error(result, &error);
        return;
    }
    bh_assert(bh_jwks_count(set) > 0 && bh_jwks_count(set) <= BH_JWKS_KEYS_MAX);
    bh_jwks_unref(set);
}

/* Base64url of `text`, so that what is behind it is reached. */
static struct bh_str encode(const struct bh_str text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static char coded[BH_JWT_BYTES_MAX];
    uint32_t bits = 0;
    unsigned count = 0;
    size_t size = 0;
    for (size_t i = 0; i < text.size && size + 3 < sizeof(coded); i++) {
        bits = bits << 8 | (uint8_t)text.data[i];
        for (count += 8; count >= 6; count -= 6)
            coded[size++] = digits[bits >> (count - 6) & 63];
    }
    if (count > 0)
        coded[size++] = digits[bits << (6 - count) & 63];
    return (struct bh_str){ coded, size };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static EVP_PKEY *key;
    if (key == NULL)
        key = EVP_EC_gen("P-256");
    if (size == 0)
        return 0;
    const struct bh_str text = { (const char *)data + 1, size - 1 };
    if (data[0] == 'T') {
        check_token(text, key);
    } else if (data[0] == 'C') {
        const struct bh_jwt jwt = { .payload = encode(text) };
        if (jwt.payload.size > 0)
            check_claims(&jwt);
    } else {
        check_set(text);
    }
    return 0;
}
