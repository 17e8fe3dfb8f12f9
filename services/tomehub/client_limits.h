/* Who counts as one client and how much each may ask for, as the settings want it. */
#pragma once

#include "bulkhead/runtime/rate_limits.h"
#include "settings.h"

#define TOME_LIMIT_SEARCH "search"
#define TOME_LIMIT_INGEST "ingest"

/* Whether the settings can be meant. BH_EINVAL, BH_EUNSUPPORTED: the message names the one that
 * cannot. Starts nothing. */
int tome_client_limits_check(const struct tome_settings *settings,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* BH_EINVAL: the message names TRUSTED_PROXIES. */
int tome_client_limits_clients(const struct tome_settings *settings,
                               struct bh_clients **ret_clients,
                               struct bh_error *reterr) BH_MUST_CHECK;

/* *ret_limits is NULL where RATE_LIMIT_ENABLED is off. `clients`: borrowed; `redis` too, may be
 * NULL. */
int tome_client_limits_create(const struct tome_settings *settings,
                              const struct bh_clients *clients, struct bh_redis *redis,
                              struct bh_rate_limits **ret_limits,
                              struct bh_error *reterr) BH_MUST_CHECK;
