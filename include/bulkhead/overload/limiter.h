/*
 * Rate limiter: so many requests in a window for each key, by GCRA (the leaky bucket as a meter,
 * ITU-T I.371): of each key one number is kept, the time at which its whole quota is there again.
 *
 * Worked example: 100 a minute is one each 600 ms, and at most 100 at once. A key that was quiet
 * may send 100 in one instant; then one each 600 ms. In any minute that is fewer than 200, in the
 * long run 100 a minute.
 *
 * The table has a fixed number of entries, whatever peers do. A key is looked for in one bucket of
 * eight. A newcomer to a full bucket takes the place of the entry nearest to a whole quota and
 * takes its debt over too. So a check never allows what an exact limiter with endless memory would
 * refuse; nobody who is over the limit is ever forgotten; the price is paid by newcomers, and only
 * while all eight entries of their bucket are in debt.
 *
 * No locks: any thread, with `now_us` (monotonic) passed in.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

struct bh_limiter; /* opaque */

#define BH_LIMITER_COUNT_MAX 1000000
#define BH_LIMITER_QUOTA_TEXT_SIZE 32

struct bh_limiter_quota {
    uint64_t count;     /* 1 to BH_LIMITER_COUNT_MAX; also the most at once */
    uint64_t window_us; /* a second, a minute or an hour */
};

/* Reads "100" (a minute), "100/second", "100/minute" or "5000/hour". `variable` is named in the
 * error. BH_EINVAL. */
int bh_limiter_quota_parse(const char *variable, struct bh_str text,
                           struct bh_limiter_quota *ret_quota,
                           struct bh_error *reterr) BH_MUST_CHECK;

/* "100 per 1 minute". */
void bh_limiter_quota_text(const struct bh_limiter_quota *quota,
                           char buffer[BH_LIMITER_QUOTA_TEXT_SIZE]);

/* `entries`: keys told apart at least, rounded up to a power of two from 8 to 2^24; 8 bytes each.
 * `seed`: secret, so that nobody can aim at a bucket. BH_ENOMEM. */
int bh_limiter_create(const struct bh_limiter_quota *quota, size_t entries, uint64_t seed,
                      struct bh_limiter **ret_limiter) BH_MUST_CHECK;

/* NULL is fine. */
void bh_limiter_destroy(struct bh_limiter *limiter);

const struct bh_limiter_quota *bh_limiter_quota_of(const struct bh_limiter *limiter);

struct bh_limiter_verdict {
    bool is_allowed;
    bool has_evicted;        /* a key that was in debt gave its place up for this one */
    uint64_t remaining;      /* how many more would be allowed now */
    uint64_t reset_us;       /* until the quota is whole, if nothing comes in between */
    uint64_t next_us;        /* until `remaining` is at least 1; 0 if it is */
    uint64_t retry_after_us; /* 0 if allowed; until the same would be; BH_NEVER_US: it asks for
                                more than the quota */
};

/* Takes `cost` (≥ 1) from the key's quota if it is there; a refused one takes nothing. */
struct bh_limiter_verdict bh_limiter_check(struct bh_limiter *limiter, struct bh_str key,
                                           uint64_t cost, uint64_t now_us);

/* What bh_limiter_check would say; changes nothing. A cost of 0: how the key stands. */
struct bh_limiter_verdict bh_limiter_peek(const struct bh_limiter *limiter, struct bh_str key,
                                          uint64_t cost, uint64_t now_us);

/* The same verdict from a debt kept elsewhere (another process's table): `debt_us` is the time
 * until the quota is whole, after the cost was taken if it was. */
struct bh_limiter_verdict bh_limiter_verdict_of(const struct bh_limiter_quota *quota,
                                                bool is_allowed, uint64_t debt_us, uint64_t cost);

/* Microseconds of debt that a cost of 1 makes: the window over the count, rounded up. */
uint64_t bh_limiter_interval_us(const struct bh_limiter_quota *quota);

/* Entries whose quota is not whole at `now_us`. Looks at each: for metrics. */
size_t bh_limiter_entries(const struct bh_limiter *limiter, uint64_t now_us);
