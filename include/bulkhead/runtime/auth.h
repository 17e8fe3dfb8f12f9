/*
 * Who sends a request: API keys and JSON Web Tokens become a principal (bulkhead/http/request.h).
 *
 * All keys are in memory, as SHA-256: the service's database is asked for what has changed once a
 * second, and at once when somebody comes with a key that is not known yet. So checking a key costs
 * no query, and a revoked key is refused within a second by every server on the database. A token
 * is verified once and then remembered, by its SHA-256, until it expires.
 *
 * Any loop; calls named so from a fiber only.
 */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/runtime/scope.h"

struct bh_auth; /* opaque */

/* ---- Keys ---- */

/* "bhk_", 12 hexadecimal digits that name the key, "_", 64 that are its secret. */
#define BH_AUTH_KEY_ID_BYTES 12
#define BH_AUTH_KEY_BYTES (4 + BH_AUTH_KEY_ID_BYTES + 1 + 64)
#define BH_AUTH_HASH_BYTES 32

struct bh_auth_new_key {
    char text[BH_AUTH_KEY_BYTES + 1]; /* shown once; wipe with bh_auth_key_wipe */
    char id[BH_AUTH_KEY_ID_BYTES + 1];
    uint8_t hash[BH_AUTH_HASH_BYTES];
};

/* A key nobody has. BH_EIO: the system gives no random bytes. Any thread. */
int bh_auth_key_make(struct bh_auth_new_key *ret_key) BH_MUST_CHECK;
void bh_auth_key_wipe(struct bh_auth_new_key *key);

/* A key as the database knows it. */
struct bh_auth_key {
    struct bh_str id;
    struct bh_str hash; /* 32 bytes */
    int64_t user;
    unsigned scopes;
    int64_t expires_us; /* wall clock; 0: never */
    bool is_revoked;
};

/* ---- What auth asks of its service ---- */

struct bh_auth_store {
    /* Gives the keys changed since `*last` to bh_auth_put_key and moves `*last` on. From a fiber,
     * one call at a time. */
    int (*load_keys)(void *argument, struct bh_auth *auth, int64_t *last, struct bh_error *reterr);
    /* The user a token stands for; made when it comes for the first time. From a fiber. */
    int (*find_user)(void *argument, struct bh_str identity, int64_t *ret_user,
                     struct bh_error *reterr);
    void *argument;
};

/* During load_keys. BH_EINVAL: no key of ours; BH_ELIMIT: keys_maximum; BH_ENOMEM. */
int bh_auth_put_key(struct bh_auth *auth, const struct bh_auth_key *key,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* ---- Life ---- */

struct bh_auth_options {
    bool keys, tokens; /* neither: everybody is BH_USER_DEFAULT with all scopes */
    struct bh_auth_store store;
    unsigned keys_maximum; /* 0: 100,000, of 96 bytes each */

    /* Tokens; strings are borrowed. */
    const char *issuer, *audience;
    const char *key_set; /* a file's path, or a URL; JWKS, or certificates by key id */
    uint64_t leeway_us;  /* by which clocks may differ */
};

/* BH_EINVAL: tokens without issuer, audience or key set, or a key set by plain HTTP from another
 * machine. */
int bh_auth_create(const struct bh_auth_options *options, struct bh_auth **ret_auth,
                   struct bh_error *reterr) BH_MUST_CHECK;
void bh_auth_destroy(struct bh_auth *auth);

/* Loads the keys and the key set, and starts a fiber on the current loop that keeps both fresh. A
 * key set that cannot be read from a file is an error; one that cannot be fetched is logged and
 * tried again. From a fiber, before requests are taken. */
int bh_auth_start(struct bh_auth *auth, struct bh_error *reterr) BH_MUST_CHECK;

/* Ends that fiber. Its loop's thread. */
void bh_auth_stop(struct bh_auth *auth);

/* Whom `request` comes from, by `Authorization: Bearer` or `X-API-Key`. BH_EACCESS: by nobody; the
 * message is fit for the client. BH_EUNAVAILABLE, BH_ETIMEDOUT, …: it could not be found out. From
 * the request's fiber. */
int bh_auth_identify(struct bh_auth *auth, struct bh_request *request,
                     struct bh_principal *ret_principal, struct bh_error *reterr) BH_MUST_CHECK;
