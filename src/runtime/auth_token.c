/* Tokens: found among those verified before, or verified now. */
#include <stdio.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "runtime/auth_fetch.h"
#include "runtime/auth_internal.h"
#include "runtime/auth_key.h"
#include "runtime/jwt.h"

#define IDENTITY_BYTES_MAX 1024

/* ---- Their keys ---- */

static void keys_changed(void *const argument)
{
    struct bh_auth *const auth = argument;
    bh_auth_tokens_clear(auth->tokens);
}

int bh_auth_create_source(struct bh_auth *const auth, struct bh_error *const reterr)
{
    return bh_jwks_source_create(auth->options.key_set, keys_changed, auth, &auth->source, reterr);
}

static int refresh(struct bh_auth *const auth, struct bh_error *const reterr)
{
    const int result = bh_jwks_source_refresh(auth->source, reterr);
    if (result != BH_EBUSY)
        bh_auth_count_load(BH_AUTH_LOAD_TOKEN_KEYS, result);
    return result;
}

void bh_auth_refresh_source(struct bh_auth *const auth)
{
    struct bh_error error;
    const int result = refresh(auth, &error);
    if (result != 0 && result != BH_EBUSY && result != BH_ECANCELED)
        bh_log_warning("auth", "keys of tokens cannot be read, those known stay in use: %s",
                       error.message);
}

int bh_auth_start_source(struct bh_auth *const auth, struct bh_error *const reterr)
{
    if (!bh_auth_fetch_is_url(auth->options.key_set))
        return refresh(auth, reterr);
    bh_auth_refresh_source(auth);
    return 0;
}

/* Whether the keys at hand verify the token. BH_ENOTFOUND: none of them is named by it. */
static int verify_with_known(struct bh_auth *const auth, const struct bh_jwt *const jwt)
{
    struct bh_jwks *BH_CLEANUP(bh_jwks_unref_cleanup) set = bh_jwks_source_get(auth->source);
    const struct bh_str id = { jwt->key_id, jwt->key_id_size };
    EVP_PKEY *const key = set ? bh_jwks_find(set, id, jwt->algorithm) : NULL;
    return key ? bh_jwt_verify(jwt, key) : BH_ENOTFOUND;
}

static int verify(struct bh_auth *const auth, const struct bh_jwt *const jwt,
                  struct bh_error *const reterr)
{
    int result = verify_with_known(auth, jwt);
    if (result == BH_ENOTFOUND && refresh(auth, NULL) == 0)
        result = verify_with_known(auth, jwt);
    if (result == 0)
        return 0;
    struct bh_jwks *BH_CLEANUP(bh_jwks_unref_cleanup) set = bh_jwks_source_get(auth->source);
    if (!set)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "the keys of tokens cannot be read just now");
    return bh_error_set(reterr, BH_EACCESS,
                        result == BH_ENOTFOUND ? "the token is signed by an unknown key"
                                               : "the token's signature is not valid");
}

/* ---- Claims ---- */

/* A token that does not speak of scopes may do what its user may: read and write. */
static unsigned scopes_of(const struct bh_jwt_claims *const claims)
{
    if (!claims->has_scope)
        return BH_SCOPE_READ | BH_SCOPE_WRITE;
    return bh_scopes_parse(bh_str_from(claims->scope), ' ');
}

static int find_user(struct bh_auth *const auth, const struct bh_jwt_claims *const claims,
                     int64_t *const ret_user, struct bh_error *const reterr)
{
    char identity[IDENTITY_BYTES_MAX];
    const int size = snprintf(identity, sizeof(identity), "%s %.*s", auth->options.issuer,
                              (int)claims->subject_size, claims->subject);
    if (size < 0 || (size_t)size >= sizeof(identity))
        return bh_error_set(reterr, BH_EACCESS, "the token's subject is too long");
    return auth->options.store.find_user(
        auth->options.store.argument, (struct bh_str){ identity, (size_t)size }, ret_user, reterr);
}

static int check_anew(struct bh_auth *const auth, const struct bh_str token,
                      struct bh_principal *const ret_principal, int64_t *const ret_expires_s,
                      struct bh_error *const reterr)
{
    const struct bh_jwt_rules rules = { .issuer = bh_str_from(auth->options.issuer),
                                        .audience = bh_str_from(auth->options.audience),
                                        .leeway_s = (int64_t)(auth->options.leeway_us /
                                                              BH_SECOND_US) };
    struct bh_jwt jwt;
    struct bh_jwt_claims claims;
    int64_t user = 0;
    int result = bh_jwt_open(token, &jwt, reterr);
    if (result != 0 && result != BH_ENOMEM)
        return BH_EACCESS; /* with the message that was given */
    if (result == 0)
        result = verify(auth, &jwt, reterr);
    if (result == 0) {
        result = bh_jwt_read(&jwt, &rules, bh_time_wall_us() / (int64_t)BH_SECOND_US, &claims,
                             reterr);
        result = result == BH_ESYNTAX ? BH_EACCESS : result;
    }
    if (result == 0)
        result = find_user(auth, &claims, &user, reterr);
    if (result != 0)
        return result;
    *ret_principal = (struct bh_principal){ .user = user, .scopes = scopes_of(&claims) };
    bh_auth_tenant(user, ret_principal->tenant);
    *ret_expires_s = claims.expires_s;
    return 0;
}

int bh_auth_check_token(struct bh_auth *const auth, const struct bh_str token,
                        struct bh_principal *const ret_principal, struct bh_error *const reterr)
{
    uint8_t hash[BH_AUTH_HASH_BYTES];
    int64_t expires_s = 0;
    if (token.size > BH_JWT_BYTES_MAX)
        return bh_error_set(reterr, BH_EACCESS, "the token is longer than %d bytes",
                            BH_JWT_BYTES_MAX);
    if (bh_auth_hash(token, hash) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to check a token");
    if (bh_auth_tokens_find(auth->tokens, hash, bh_time_wall_us() / (int64_t)BH_SECOND_US,
                            ret_principal))
        return 0;
    const uint64_t epoch = bh_auth_tokens_epoch(auth->tokens);
    const int result = check_anew(auth, token, ret_principal, &expires_s, reterr);
    if (result == 0)
        bh_auth_tokens_put(auth->tokens, hash, expires_s, epoch, ret_principal);
    return result;
}
