/*
 * Rate limits of requests: who sends one, which limits it counts to, and what the client is told.
 *
 * Each request counts to the global limit and, if its route says so, to that of a group. It is
 * charged to its client (clients.h): the authenticated user, else the address.
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
#include "bulkhead/runtime/clients.h"

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
    size_t entries;                   /* clients told apart by each; 0: 65,536, half a MiB */
    bool is_dry_run;                  /* count what would be refused, refuse nothing */
    const struct bh_clients *clients; /* borrowed */
    struct bh_redis *redis;           /* borrowed; NULL: none */
    uint64_t redis_wait_us;           /* after which the own table decides; 0: 5 ms */
};

/* BH_ENOMEM, BH_EIO. */
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
