/*
 * The public keys of a token issuer: a JSON Web Key Set (RFC 7517) or, as Google serves it beside
 * that, an object of X.509 certificates by key id. Keys are RSA of 2,048 to 8,192 bits (for RS256)
 * or on P-256 (for ES256); others in a set are passed over. Constant once parsed, counted by
 * references. Any thread.
 */
#pragma once

#include <openssl/evp.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

#define BH_JWKS_BYTES_MAX ((size_t)256 * 1024)
#define BH_JWKS_KEYS_MAX 64
#define BH_JWK_ID_MAX 255

enum bh_jwt_algorithm { BH_JWT_RS256, BH_JWT_ES256 };

struct bh_jwks; /* opaque */

/* BH_ESYNTAX: neither form. BH_ENOTFOUND: no key of a kind that is used. BH_ELIMIT, BH_ENOMEM. */
int bh_jwks_parse(struct bh_str text, struct bh_jwks **ret_set,
                  struct bh_error *reterr) BH_MUST_CHECK;

struct bh_jwks *bh_jwks_ref(struct bh_jwks *set);
void bh_jwks_unref(struct bh_jwks *set); /* NULL is fine */
BH_DEFINE_CLEANUP(struct bh_jwks, bh_jwks_unref)

size_t bh_jwks_count(const struct bh_jwks *set);

/* The key with this id and for this algorithm; an empty id stands for the only key there is for the
 * algorithm. NULL: none. Borrowed from the set. */
EVP_PKEY *bh_jwks_find(const struct bh_jwks *set, struct bh_str id,
                       enum bh_jwt_algorithm algorithm);
