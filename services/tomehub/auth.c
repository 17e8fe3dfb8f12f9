#include "auth.h"

#include "library/keys.h"
#include "library/users.h"

static int load_keys(void *const db, struct bh_auth *const auth, int64_t *const last,
                     struct bh_error *const reterr)
{
    return tome_keys_load(db, auth, last, reterr);
}

static int find_user(void *const db, const struct bh_str identity, int64_t *const ret_user,
                     struct bh_error *const reterr)
{
    return tome_users_find(db, identity, ret_user, reterr);
}

static bool is_named(const struct tome_settings *const settings, const char *const way)
{
    struct bh_str rest = bh_str_from(settings->auth);
    while (rest.size > 0)
        if (bh_str_equal(bh_str_split(&rest, ','), bh_str_from(way)))
            return true;
    return false;
}

int tome_auth_check_settings(const struct tome_settings *const settings,
                             struct bh_error *const reterr)
{
    if (is_named(settings, "jwt") &&
        (!settings->jwt_issuer[0] || !settings->jwt_audience[0] || !settings->jwt_keys[0]))
        return bh_error_set(reterr, BH_EINVAL,
                            "AUTH=%s needs JWT_ISSUER, JWT_AUDIENCE and JWT_KEYS", settings->auth);
    if (!is_named(settings, "none") || tome_settings_is_loopback(settings) ||
        settings->allow_unauthenticated)
        return 0;
    return bh_error_set(
        reterr, BH_EACCESS,
        "HOST=%s can be reached from other machines, and there is no "
        "authentication: set AUTH=keys (tomehub keys create makes one) or AUTH=jwt, "
        "or use 127.0.0.1, ::1 or localhost; ALLOW_UNAUTHENTICATED=true serves "
        "everybody everything",
        settings->host);
}

int tome_auth_create(const struct tome_settings *const settings, struct bh_db *const db,
                     struct bh_auth **const ret_auth, struct bh_error *const reterr)
{
    const struct bh_auth_options options = {
        .keys = is_named(settings, "keys"),
        .tokens = is_named(settings, "jwt"),
        .store = { .load_keys = load_keys, .find_user = find_user, .argument = db },
        .keys_maximum = TOME_KEYS_MAX,
        .issuer = settings->jwt_issuer,
        .audience = settings->jwt_audience,
        .key_set = settings->jwt_keys,
        .leeway_us = settings->jwt_leeway_us,
    };
    return bh_auth_create(&options, ret_auth, reterr);
}
