/*
 * Rate limits of requests: who sends one, which limits it counts to, and what the client is told.
 *
 * Each request counts to the global limit and, if its route says so, to that of a group. It is
 * charged to the authenticated user, else to the client's address (IPv6: its network of 64 bits).
 * A request refused for who sends it (401) counts to a limit of its own, always by address, so that
 * users behind that address lose nothing by it.
 * Every answer then carries X-RateLimit-Limit, -Remaining and -Reset (of the limit that is nearest
 * to its end; Reset in seconds since 1970, when the quota is whole), and RateLimit-Policy and
 * RateLimit (draft-ietf-httpapi-ratelimit-headers-11), where `t` is the seconds for which the `r`
 * requests are to last.
 *
 * With Redis the limits hold for all servers together; while it fails, each server's own table
 * decides, at once.
 */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/overload/limiter.h"
#include "bulkhead/redis/redis.h"

struct bh_rate_limits; /* opaque; any loop */

#define BH_RATE_LIMIT_GROUPS_MAX 7

struct bh_rate_limit_group {
    const char *name; /* letters only; a literal */
    struct bh_limiter_quota quota;
};

struct bh_rate_limits_options {
    struct bh_limiter_quota global;
    struct bh_limiter_quota refused;          /* requests that come from nobody */
    const struct bh_rate_limit_group *groups; /* copied */
    size_t group_count;
    size_t entries;              /* clients told apart by each limit; 0: 65,536, half a MiB */
    bool is_dry_run;             /* count what would be refused, refuse nothing */
    const char *trusted_proxies; /* "10.0.0.0/8, 127.0.0.1"; "": none */
    bool uses_forwarded;         /* those proxies write Forwarded, not X-Forwarded-For */
    struct bh_redis *redis;      /* borrowed; NULL: none */
    uint64_t redis_wait_us;      /* after which the own table decides; 0: 5 ms */
};

/* BH_EINVAL: the proxies (the message names TRUSTED_PROXIES). */
int bh_rate_limits_check(const struct bh_rate_limits_options *options,
                         struct bh_error *reterr) BH_MUST_CHECK;

/* BH_EINVAL as above, BH_ENOMEM, BH_EIO. */
int bh_rate_limits_create(const struct bh_rate_limits_options *options,
                          struct bh_rate_limits **ret_limits,
                          struct bh_error *reterr) BH_MUST_CHECK;
/* NULL is fine. */
void bh_rate_limits_destroy(struct bh_rate_limits *limits);

/* Counts the request to the global limit and to that of `group` (NULL: none; else a name given at
 * creation) and adds the quota's fields to its answer. True: go on. False: it was answered with
 * 429; *ret_result is what that gave. From the request's fiber. */
bool bh_rate_limits_pass(struct bh_rate_limits *limits, struct bh_request *request,
                         const char *group, int *ret_result) BH_MUST_CHECK;

/* The same for a request that is about to be refused for who sends it: counted to the limit of
 * those, by its address. */
bool bh_rate_limits_pass_refused(struct bh_rate_limits *limits, struct bh_request *request,
                                 int *ret_result) BH_MUST_CHECK;
