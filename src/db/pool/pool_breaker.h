/*
 * Watches one host by what becomes of connects. Healthy: up to `window` connects at a time, doubled
 * by each success. Down, after a failure: one probe at a time, after a pause with full jitter,
 * 100 ms at least. A server without room (53300) is not down; it puts a
 * ceiling on the pool for a while.
 *
 * Plain data under its owner's lock; no clock of its own.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/time.h"

#define BH_POOL_WINDOW_MAXIMUM 8
#define BH_POOL_CEILING_NONE UINT32_MAX

struct bh_pool_breaker {
    bool is_down;              /* read-only, as the rest */
    unsigned failures;         /* in a row */
    unsigned window;           /* connects allowed at a time */
    unsigned connecting;       /* of those, on their way */
    uint64_t down_since_us;    /* while is_down */
    uint64_t next_try_us;      /* while is_down */
    unsigned ceiling;          /* connections the server seems to have room for */
    uint64_t ceiling_until_us; /* while ceiling is not NONE */
    uint64_t ceiling_hold_us;
    uint64_t random;
};

void bh_pool_breaker_init(struct bh_pool_breaker *breaker, uint64_t seed);

/* Whether a connect may begin at `now_us`; else *ret_retry_us gets the time to ask again
 * (BH_NEVER_US: when another connect has ended). */
bool bh_pool_breaker_allows(const struct bh_pool_breaker *breaker, uint64_t now_us,
                            uint64_t *ret_retry_us);

/* How many connections the server has room for at `now_us`, as far as is known. */
unsigned bh_pool_breaker_ceiling(const struct bh_pool_breaker *breaker, uint64_t now_us);

/* One begins. Returns how long it may take with each host that it asks: a probe has 500 ms, so that
 * the service is back soon after a black hole has closed; every eighth has all of `timeout_us`, so
 * that a host that has become slow is found too. */
uint64_t bh_pool_breaker_begin(struct bh_pool_breaker *breaker, uint64_t now_us,
                               uint64_t timeout_us);

/* One that was begun is given up without a verdict. */
void bh_pool_breaker_abandon(struct bh_pool_breaker *breaker);

/* Returns whether the host was down until now. */
bool bh_pool_breaker_succeeded(struct bh_pool_breaker *breaker);

/* Returns whether the host was up until now. */
bool bh_pool_breaker_failed(struct bh_pool_breaker *breaker, uint64_t now_us);

/* 53300; `open` connections are there. With none, or if the host is not back yet, it is as good as
 * down: false then, and nothing is done; call bh_pool_breaker_failed. */
bool bh_pool_breaker_has_no_room(struct bh_pool_breaker *breaker, unsigned open, uint64_t now_us);

/* What was open is not trusted any more: connects begin one at a time again. */
void bh_pool_breaker_suspect(struct bh_pool_breaker *breaker);
