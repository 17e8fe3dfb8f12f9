/*
 * The table of API keys: what proves a key, never a key itself. Every call is a fiber's, or of a
 * thread without a loop.
 */
#pragma once

#include "bulkhead/runtime/auth.h"
#include "library/library.h"

#define TOME_KEY_NAME_MAX 200 /* bytes */
#define TOME_KEYS_MAX 100000  /* revoked ones included */

struct tome_key {
    struct bh_str id, name;
    struct bh_str user; /* identity; {NULL, 0}: the first owner */
    unsigned scopes;
    int64_t created_us, expires_us, revoked_us; /* 0: never */
};

struct tome_keys {
    const struct tome_key *keys;
    size_t count;
};

struct tome_key_wish {
    struct bh_str name; /* for people */
    int64_t owner_id;
    unsigned scopes;
    int64_t expires_us; /* 0: never */
};

/* Makes a key; *ret_key is all there is of it. BH_ELIMIT: TOME_KEYS_MAX. */
int tome_keys_create(struct bh_db *db, const struct tome_key_wish *wish,
                     struct bh_auth_new_key *ret_key, struct bh_error *reterr) BH_MUST_CHECK;

/* BH_ENOTFOUND: there is none, or it is revoked already. */
int tome_keys_revoke(struct bh_db *db, struct bh_str id, struct bh_error *reterr) BH_MUST_CHECK;

/* Every key, the newest first. */
int tome_keys_list(struct bh_db *db, struct bh_arena *arena, struct tome_keys *ret_keys,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* Gives what has changed since *last to `auth`, and moves *last on (bh_auth_store.load_keys). */
int tome_keys_load(struct bh_db *db, struct bh_auth *auth, int64_t *last,
                   struct bh_error *reterr) BH_MUST_CHECK;
