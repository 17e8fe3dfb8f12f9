/* What auth.c and auth_token.c share. */
#pragma once

#include "bulkhead/base/assert.h"
#include "bulkhead/runtime/auth.h"
#include "runtime/auth_keyring.h"
#include "runtime/auth_refresh.h"
#include "runtime/auth_tokens.h"
#include "runtime/jwks_source.h"

#define BH_AUTH_MAGIC UINT32_C(0x41555448)

struct bh_fiber;

struct bh_auth {
    BH_MAGIC_FIELD;
    struct bh_auth_options options;
    struct bh_principal anonymous;
    struct bh_auth_keyring *ring;
    struct bh_auth_refresh keys_refresh;
    int64_t last_change; /* of the keys; whoever loads them has it */
    struct bh_auth_tokens *tokens;
    struct bh_jwks_source *source; /* NULL without tokens */
    struct bh_fiber *watcher;      /* its loop's */
    bool is_stale;                 /* the watcher's: the last load failed */
};

enum bh_auth_load { BH_AUTH_LOAD_API_KEYS, BH_AUTH_LOAD_TOKEN_KEYS, BH_AUTH_LOADS };
void bh_auth_count_load(enum bh_auth_load what, int result);

/* ---- auth_token.c ---- */

int bh_auth_create_source(struct bh_auth *auth, struct bh_error *reterr) BH_MUST_CHECK;
int bh_auth_start_source(struct bh_auth *auth, struct bh_error *reterr) BH_MUST_CHECK;
void bh_auth_refresh_source(struct bh_auth *auth);

/* As bh_auth_identify, for a token. */
int bh_auth_check_token(struct bh_auth *auth, struct bh_str token,
                        struct bh_principal *ret_principal, struct bh_error *reterr) BH_MUST_CHECK;
