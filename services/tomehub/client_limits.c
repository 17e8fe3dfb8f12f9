#include "client_limits.h"

#include <string.h>

#include "open.h"

struct parsed {
    struct bh_rate_limits_options options;
    struct bh_rate_limit_group groups[2];
};

static int parse(const struct tome_settings *const settings, struct parsed *const parsed,
                 struct bh_error *const reterr)
{
    *parsed = (struct parsed){
        .options = { .is_dry_run = settings->rate_limit_dry_run },
        .groups = { { .name = TOME_LIMIT_SEARCH }, { .name = TOME_LIMIT_INGEST } },
    };
    const struct {
        const char *variable, *text;
        struct bh_limiter_quota *quota;
    } quotas[] = {
        { "RATE_LIMIT_GLOBAL", settings->rate_limit_global, &parsed->options.global },
        { "RATE_LIMIT_REFUSED", settings->rate_limit_refused, &parsed->options.refused },
        { "RATE_LIMIT_SEARCH", settings->rate_limit_search, &parsed->groups[0].quota },
        { "RATE_LIMIT_INGEST", settings->rate_limit_ingest, &parsed->groups[1].quota },
    };
    for (size_t i = 0; i < BH_COUNT_OF(quotas); i++) {
        const int result = bh_limiter_quota_parse(quotas[i].variable, bh_str_from(quotas[i].text),
                                                  quotas[i].quota, reterr);
        if (result)
            return result;
    }
    parsed->options.groups = parsed->groups;
    parsed->options.group_count = BH_COUNT_OF(parsed->groups);
    return 0;
}

int tome_client_limits_clients(const struct tome_settings *const settings,
                               struct bh_clients **const ret_clients, struct bh_error *const reterr)
{
    const struct bh_clients_options options = {
        .trusted_proxies = settings->trusted_proxies,
        .uses_forwarded = strcmp(settings->trusted_proxy_header, "forwarded") == 0,
    };
    return bh_clients_create(&options, ret_clients, reterr);
}

int tome_client_limits_check(const struct tome_settings *const settings,
                             struct bh_error *const reterr)
{
    struct parsed parsed;
    struct bh_clients *clients = NULL;
    struct bh_redis *redis = NULL;
    int result = parse(settings, &parsed, reterr);
    if (result == 0)
        result = tome_client_limits_clients(settings, &clients, reterr);
    if (result == 0)
        result = tome_open_redis(settings, NULL, &redis, reterr);
    bh_redis_destroy(redis);
    bh_clients_destroy(clients);
    return result;
}

int tome_client_limits_create(const struct tome_settings *const settings,
                              const struct bh_clients *const clients, struct bh_redis *const redis,
                              struct bh_rate_limits **const ret_limits,
                              struct bh_error *const reterr)
{
    struct parsed parsed;
    *ret_limits = NULL;
    if (!settings->rate_limit_enabled)
        return 0;
    const int result = parse(settings, &parsed, reterr);
    if (result)
        return result;
    parsed.options.clients = clients;
    parsed.options.redis = redis;
    parsed.options.redis_wait_us = settings->rate_limit_redis_wait_us;
    return bh_rate_limits_create(&parsed.options, ret_limits, reterr);
}
