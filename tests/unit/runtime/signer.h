/* Key pairs, and tokens signed with them, as an issuer makes them. */
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/str.h"

static inline EVP_PKEY *signer_rsa(const unsigned bits)
{
    return EVP_RSA_gen(bits);
}

static inline EVP_PKEY *signer_ec(void)
{
    return EVP_EC_gen("P-256");
}

/* Base64url of `bytes` behind the text in `to`. */
static inline void signer_encode(char *const to, const size_t capacity, const void *const bytes,
                                 const size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *const from = bytes;
    size_t at = strlen(to);
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | from[i];
        for (count += 8; count >= 6; count -= 6) {
            assert_true(at + 2 < capacity);
            to[at++] = digits[bits >> (count - 6) & 63];
        }
    }
    if (count > 0)
        to[at++] = digits[bits << (6 - count) & 63];
    to[at] = '\0';
}

static inline void signer_encode_text(char *const to, const size_t capacity, const char *const text)
{
    signer_encode(to, capacity, text, strlen(text));
}

static inline void signer_number(char *const to, const size_t capacity, EVP_PKEY *const key,
                                 const char *const name)
{
    uint8_t bytes[1024];
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    const bool is_ec = EVP_PKEY_is_a(key, "EC");
    const int size = is_ec ? 32 : BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, bytes, size), size);
    BN_free(number);
    signer_encode(to, capacity, bytes, (size_t)size);
}

/* The public half as a JSON Web Key; `more` stands inside, after a comma. */
static inline void signer_jwk(char *const to, const size_t capacity, EVP_PKEY *const key,
                              const char *const id, const char *const more)
{
    char first[1400] = "", second[1400] = "";
    const bool is_ec = EVP_PKEY_is_a(key, "EC");
    signer_number(first, sizeof(first), key,
                  is_ec ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_N);
    signer_number(second, sizeof(second), key,
                  is_ec ? OSSL_PKEY_PARAM_EC_PUB_Y : OSSL_PKEY_PARAM_RSA_E);
    const int size =
        is_ec
            ? snprintf(
                  to, capacity,
                  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                  id, first, second, more)
            : snprintf(to, capacity, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                       id, first, second, more);
    assert_in_range(size, 1, capacity - 1);
}

/* Appends "." and the signature of what stands in `token`. */
static inline void signer_sign(char *const token, const size_t capacity, EVP_PKEY *const key)
{
    uint8_t signature[1024];
    size_t size = sizeof(signature);
    EVP_MD_CTX *const context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, signature, &size, (const uint8_t *)token, strlen(token)), 1);
    EVP_MD_CTX_free(context);
    if (EVP_PKEY_is_a(key, "EC")) {
        const uint8_t *der = signature;
        ECDSA_SIG *const pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
        assert_non_null(pair);
        uint8_t raw[64];
        BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32);
        ECDSA_SIG_free(pair);
        memcpy(signature, raw, size = sizeof(raw));
    }
    const size_t at = strlen(token);
    assert_true(at + 2 < capacity);
    memcpy(token + at, ".", 2);
    signer_encode(token, capacity, signature, size);
}

static inline void signer_token(char *const to, const size_t capacity, EVP_PKEY *const key,
                                const char *const head, const char *const claims)
{
    to[0] = '\0';
    signer_encode_text(to, capacity, head);
    const size_t at = strlen(to);
    assert_true(at + 2 < capacity);
    memcpy(to + at, ".", 2);
    signer_encode_text(to, capacity, claims);
    signer_sign(to, capacity, key);
}
