/*
 * From a credential to a principal. The parts: auth_key (text of keys), auth_keyring (all keys in
 * memory), jwt and jwks (tokens), jwks_source (where their keys come from), auth_tokens (tokens
 * verified before), auth_refresh (loading, once for all who wait).
 */
#include "bulkhead/runtime/auth.h"

#include <pthread.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "runtime/auth_internal.h"
#include "runtime/auth_key.h"

#define BH_METRICS_FILE "runtime/auth_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define KEYS_MAXIMUM 100000
#define KEYS_INTERVAL_US (100 * BH_MS_US) /* between loads for the sake of an unknown key */
#define WATCH_US BH_SECOND_US

enum method { METHOD_NONE, METHOD_KEY, METHOD_TOKEN, METHOD_COUNT };
enum outcome { OUTCOME_OK, OUTCOME_REFUSED, OUTCOME_FAILED, OUTCOME_COUNT };

static bh_metric checks[METHOD_COUNT][OUTCOME_COUNT];
static bh_metric loads[BH_AUTH_LOADS][2];
static bh_metric key_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
    static const char *const methods[] = { "none", "key", "token" },
                             *const outcomes[] = { "ok", "refused", "failed" },
                             *const whats[] = { "api_keys", "token_keys" };
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (size_t i = 0; i < METHOD_COUNT; i++)
        for (size_t j = 0; j < OUTCOME_COUNT; j++)
            checks[i][j] = bh_metrics_child(&metric_families[METRIC_checks],
                                            (const char *[]){ methods[i], outcomes[j] }, 2);
    for (size_t i = 0; i < BH_AUTH_LOADS; i++)
        for (size_t j = 0; j < 2; j++)
            loads[i][j] = bh_metrics_child(&metric_families[METRIC_loads],
                                           (const char *[]){ whats[i], j == 0 ? "ok" : "failed" },
                                           2);
    key_count = bh_metrics_child(&metric_families[METRIC_keys], NULL, 0);
}

void bh_auth_count_load(const enum bh_auth_load what, const int result)
{
    bh_metrics_add(loads[what][result != 0], 1);
}

/* ---- Keys ---- */

int bh_auth_put_key(struct bh_auth *const auth, const struct bh_auth_key *const key,
                    struct bh_error *const reterr)
{
    bh_magic_check(auth, BH_AUTH_MAGIC);
    const unsigned before = bh_auth_keyring_count(auth->ring);
    const int result = bh_auth_keyring_put(auth->ring, key, reterr);
    bh_metrics_add(key_count, (int64_t)bh_auth_keyring_count(auth->ring) - (int64_t)before);
    return result;
}

static int load_keys(void *const argument, struct bh_error *const reterr)
{
    struct bh_auth *const auth = argument;
    const int result = auth->options.store.load_keys(auth->options.store.argument, auth,
                                                     &auth->last_change, reterr);
    bh_auth_count_load(BH_AUTH_LOAD_API_KEYS, result);
    return result;
}

static int refuse_key(const enum bh_auth_key_state state, struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_EACCESS,
                        state == BH_AUTH_KEY_EXPIRED   ? "the API key has expired"
                        : state == BH_AUTH_KEY_REVOKED ? "the API key was revoked"
                                                       : "there is no such API key");
}

static int check_key(struct bh_auth *const auth, const struct bh_str key,
                     struct bh_principal *const ret_principal, struct bh_error *const reterr)
{
    uint64_t number = 0;
    uint8_t hash[BH_AUTH_HASH_BYTES];
    if (bh_auth_key_parse(key, &number) != 0)
        return refuse_key(BH_AUTH_KEY_UNKNOWN, reterr);
    if (bh_auth_hash(key, hash) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to check a key");
    enum bh_auth_key_state state = bh_auth_keyring_check(auth->ring, number, hash,
                                                         bh_time_wall_us(), ret_principal);
    if (state == BH_AUTH_KEY_UNKNOWN) { /* it may have been made a moment ago */
        const int result = bh_auth_refresh_run(&auth->keys_refresh, true, reterr);
        if (result != 0)
            return result;
        state = bh_auth_keyring_check(auth->ring, number, hash, bh_time_wall_us(), ret_principal);
    }
    return state == BH_AUTH_KEY_VALID ? 0 : refuse_key(state, reterr);
}

/* ---- Credentials ---- */

/* The credential of a request; *ret_is_token: it cannot be a key. False: there is none, or not one
 * alone; *reterr says so. */
static bool find_credential(struct bh_request *const request, struct bh_str *const ret_credential,
                            bool *const ret_is_key, struct bh_error *const reterr)
{
    struct bh_str rest = bh_request_header(request, "Authorization");
    const struct bh_str key = bh_request_header(request, "X-API-Key");
    if ((rest.data != NULL) == (key.data != NULL)) {
        bh_error_set(reterr, BH_EACCESS,
                     rest.data ? "give either Authorization or X-API-Key, not both"
                               : "an API key or token is needed: Authorization: Bearer, or "
                                 "X-API-Key");
        return false;
    }
    if (key.data) {
        *ret_credential = key;
        *ret_is_key = true;
        return true;
    }
    const struct bh_str scheme = bh_str_split(&rest, ' ');
    if (!bh_str_equal_nocase(scheme, BH_STR("Bearer"))) {
        bh_error_set(reterr, BH_EACCESS, "Authorization takes a Bearer key or token");
        return false;
    }
    *ret_credential = bh_str_trim(rest);
    *ret_is_key = bh_str_starts_with(*ret_credential, BH_STR(BH_AUTH_KEY_PREFIX));
    return true;
}

int bh_auth_identify(struct bh_auth *const auth, struct bh_request *const request,
                     struct bh_principal *const ret_principal, struct bh_error *const reterr)
{
    bh_magic_check(auth, BH_AUTH_MAGIC);
    struct bh_str credential;
    bool is_key = false;
    if (!auth->options.keys && !auth->options.tokens) {
        *ret_principal = auth->anonymous;
        return 0;
    }
    if (!find_credential(request, &credential, &is_key, reterr)) {
        bh_metrics_add(checks[METHOD_NONE][OUTCOME_REFUSED], 1);
        return BH_EACCESS;
    }
    int result;
    if (is_key)
        result = auth->options.keys
                     ? check_key(auth, credential, ret_principal, reterr)
                     : bh_error_set(reterr, BH_EACCESS, "API keys are not taken here");
    else
        result = auth->options.tokens
                     ? bh_auth_check_token(auth, credential, ret_principal, reterr)
                     : bh_error_set(reterr, BH_EACCESS, "tokens are not taken here");
    const enum outcome outcome = result == 0            ? OUTCOME_OK
                                 : result == BH_EACCESS ? OUTCOME_REFUSED
                                                        : OUTCOME_FAILED;
    bh_metrics_add(checks[is_key ? METHOD_KEY : METHOD_TOKEN][outcome], 1);
    return result;
}

/* ---- Life ---- */

static int check_options(const struct bh_auth_options *const options, struct bh_error *const reterr)
{
    bh_assert(!options->keys || options->store.load_keys);
    bh_assert(!options->tokens || options->store.find_user);
    if (options->tokens && (!options->issuer[0] || !options->audience[0] || !options->key_set[0]))
        return bh_error_set(reterr, BH_EINVAL, "tokens need an issuer, an audience and a key set");
    return 0;
}

int bh_auth_create(const struct bh_auth_options *const options, struct bh_auth **const ret_auth,
                   struct bh_error *const reterr)
{
    pthread_once(&once, register_metrics);
    int result = check_options(options, reterr);
    if (result != 0)
        return result;
    struct bh_auth *const auth = calloc(1, sizeof(*auth));
    if (!auth)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for authentication");
    auth->magic = BH_AUTH_MAGIC;
    auth->options = *options;
    auth->anonymous = (struct bh_principal){ .user = BH_USER_DEFAULT, .scopes = BH_SCOPES_ALL };
    auth->keys_refresh.load = load_keys;
    auth->keys_refresh.argument = auth;
    auth->keys_refresh.interval_us = KEYS_INTERVAL_US;
    const unsigned maximum = options->keys_maximum ? options->keys_maximum : KEYS_MAXIMUM;
    if (bh_auth_keyring_create(maximum, &auth->ring) != 0 ||
        bh_auth_tokens_create(&auth->tokens) != 0)
        result = bh_error_set(reterr, BH_ENOMEM, "no memory for authentication");
    if (result == 0 && options->tokens)
        result = bh_auth_create_source(auth, reterr);
    if (result != 0) {
        bh_auth_destroy(auth);
        return result;
    }
    *ret_auth = auth;
    return 0;
}

void bh_auth_destroy(struct bh_auth *const auth)
{
    if (!auth)
        return;
    bh_magic_check(auth, BH_AUTH_MAGIC);
    bh_jwks_source_destroy(auth->source);
    bh_auth_tokens_destroy(auth->tokens);
    bh_auth_keyring_destroy(auth->ring);
    auth->magic = 0;
    free(auth);
}

static void refresh_all(struct bh_auth *const auth)
{
    struct bh_error error;
    if (auth->options.keys) {
        const int result = bh_auth_refresh_run(&auth->keys_refresh, true, &error);
        if (result != 0 && result != BH_ECANCELED && !auth->is_stale)
            bh_log_warning("auth", "API keys cannot be read, those known stay in use: %s",
                           error.message);
        auth->is_stale = result != 0;
    }
    if (auth->options.tokens && bh_time_now_us() >= bh_jwks_source_due_us(auth->source))
        bh_auth_refresh_source(auth);
}

static void watch(void *const argument)
{
    struct bh_auth *const auth = argument;
    auth->watcher = bh_fiber_current();
    while (bh_fiber_sleep(WATCH_US) == 0)
        refresh_all(auth);
    auth->watcher = NULL;
}

int bh_auth_start(struct bh_auth *const auth, struct bh_error *const reterr)
{
    int result = 0;
    if (auth->options.keys)
        result = bh_auth_refresh_run(&auth->keys_refresh, true, reterr);
    if (result == 0 && auth->options.tokens)
        result = bh_auth_start_source(auth, reterr);
    if (result == 0 && (auth->options.keys || auth->options.tokens) &&
        bh_fiber_spawn(bh_loop_current(), watch, auth) != 0)
        result = bh_error_set(reterr, BH_ENOMEM, "no fiber to keep API keys fresh");
    return result;
}

void bh_auth_stop(struct bh_auth *const auth)
{
    if (auth->watcher)
        bh_fiber_cancel(auth->watcher);
}
