/*
 * JSON Web Tokens (RFC 7519) signed by RS256 or ES256, and nothing else: what a token's head says
 * chooses among our keys, never how it is checked. In three steps, so that no claim is looked at
 * before the signature was good:
 *
 *     bh_jwt_open(token, &jwt, &error);            // form, head
 *     bh_jwt_verify(&jwt, key);                    // signature, by the key found for its id
 *     bh_jwt_read(&jwt, &rules, now, &claims, &error);
 *
 * Any thread; a token of any bytes.
 */
#pragma once

#include "runtime/jwks.h"

#define BH_JWT_BYTES_MAX 8192
#define BH_JWT_SUBJECT_MAX 255

struct bh_jwt {
    enum bh_jwt_algorithm algorithm;
    char key_id[BH_JWK_ID_MAX + 1];
    size_t key_id_size;                 /* 0: none was given */
    struct bh_str signed_part, payload; /* borrowed from the token */
    uint8_t signature[1024];
    size_t signature_size;
};

/* BH_ESYNTAX: no token of this form. BH_ELIMIT: too long. BH_EUNSUPPORTED: another algorithm, or
 * something in its head that must be understood (`crit`). Messages hold nothing of the token. */
int bh_jwt_open(struct bh_str token, struct bh_jwt *ret_jwt, struct bh_error *reterr) BH_MUST_CHECK;

/* BH_EACCESS: the signature is not the key's. */
int bh_jwt_verify(const struct bh_jwt *jwt, EVP_PKEY *key) BH_MUST_CHECK;

struct bh_jwt_rules {
    struct bh_str issuer, audience; /* must be `iss`, and `aud` or one of them */
    int64_t leeway_s;
};

struct bh_jwt_claims {
    char subject[BH_JWT_SUBJECT_MAX + 1];
    size_t subject_size;
    int64_t expires_s;
    bool has_scope; /* there is a `scope` claim */
    char scope[256];
};

/* `exp` and `sub` must be there; `nbf` and `iat` are checked when they are. BH_EACCESS: not valid
 * here or now; the message says why. BH_ESYNTAX: claims that are not what RFC 7519 says. */
int bh_jwt_read(const struct bh_jwt *jwt, const struct bh_jwt_rules *rules, int64_t now_s,
                struct bh_jwt_claims *ret_claims, struct bh_error *reterr) BH_MUST_CHECK;
