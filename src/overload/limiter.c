/*
 * A bucket is one cache line of eight words; a word holds 20 bits of the key's hash and, in 44, the
 * microsecond at which the key's quota is whole. One compare-and-swap changes both.
 *
 * Why no check errs in favour of a key: within a bucket the least of the eight times never falls,
 * since entries only grow and a newcomer starts from the least. Whoever lost a place and comes back
 * starts from a least at or past the time with which it went.
 *
 * Two keys with one bucket and equal 20 bits share a quota. 44 bits wrap after 203 days: an entry
 * that was not used for just that long, give or take a window, looks in debt for at most a window.
 * A word of 0 is an empty entry. Any thread.
 */
#include "bulkhead/overload/limiter.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"

#define LIMITER_MAGIC 0x4c494d54u
#define WAYS 8
#define TIME_BITS 44
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define SKEW_US (60 * BH_SECOND_US) /* by which threads' ideas of now may differ */
#define ENTRIES_MAX (UINT64_C(1) << 24)

struct bucket {
    _Alignas(64) _Atomic uint64_t words[WAYS];
};

struct bh_limiter {
    BH_MAGIC_FIELD;
    struct bh_limiter_quota quota;
    uint64_t interval_us;
    uint64_t debt_maximum_us; /* of a key that has nothing left */
    uint64_t seed;
    uint64_t bucket_mask;
    struct bucket *buckets;
};

/* Where a key stands, or would. */
struct place {
    _Atomic uint64_t *word;
    uint64_t seen;    /* what the word was */
    uint64_t debt_us; /* that the key has, or takes over */
    bool is_newcomer;
};

/* ---- Quotas ---- */

static const struct unit {
    const char *name;
    uint64_t us;
} units[] = {
    { "second", BH_SECOND_US },
    { "minute", 60 * BH_SECOND_US },
    { "hour", 3600 * BH_SECOND_US },
};

int bh_limiter_quota_parse(const char *const variable, const struct bh_str text,
                           struct bh_limiter_quota *const ret_quota, struct bh_error *const reterr)
{
    struct bh_str window = bh_str_trim(text);
    const bool has_window = window.size > 0 && memchr(window.data, '/', window.size);
    const struct bh_str digits = bh_str_trim(bh_str_split(&window, '/'));
    window = has_window ? bh_str_trim(window) : BH_STR("minute");
    int64_t count = 0;
    const int error = bh_str_to_int64(digits, 1, BH_LIMITER_COUNT_MAX, &count);
    for (size_t i = 0; error == 0 && i < BH_COUNT_OF(units); i++) {
        if (!bh_str_equal(window, bh_str_from(units[i].name)))
            continue;
        *ret_quota = (struct bh_limiter_quota){ (uint64_t)count, units[i].us };
        return 0;
    }
    return bh_error_set(reterr, BH_EINVAL,
                        "%s=%.*s: takes a number from 1 to %d a minute, or with its window: "
                        "100/second, 100/minute, 5000/hour",
                        variable, (int)(text.size < 60 ? text.size : 60), text.data,
                        BH_LIMITER_COUNT_MAX);
}

void bh_limiter_quota_text(const struct bh_limiter_quota *const quota,
                           char buffer[BH_LIMITER_QUOTA_TEXT_SIZE])
{
    const struct unit *unit = &units[0];
    for (size_t i = 0; i < BH_COUNT_OF(units); i++)
        if (units[i].us == quota->window_us)
            unit = &units[i];
    snprintf(buffer, BH_LIMITER_QUOTA_TEXT_SIZE, "%llu per 1 %s", (unsigned long long)quota->count,
             unit->name);
}

uint64_t bh_limiter_interval_us(const struct bh_limiter_quota *const quota)
{
    return (quota->window_us + quota->count - 1) / quota->count;
}

/* ---- Verdicts ---- */

static struct bh_limiter_verdict verdict_of(const uint64_t count, const uint64_t interval_us,
                                            const bool is_allowed, const uint64_t debt_us,
                                            const uint64_t cost)
{
    const uint64_t maximum_us = interval_us * count;
    struct bh_limiter_verdict verdict = { .is_allowed = is_allowed, .reset_us = debt_us };
    if (debt_us < maximum_us)
        verdict.remaining = (maximum_us - debt_us) / interval_us;
    if (verdict.remaining == 0)
        verdict.next_us = debt_us + interval_us - maximum_us;
    if (is_allowed)
        return verdict;
    verdict.retry_after_us = BH_NEVER_US;
    if (cost <= count) {
        const uint64_t room_at_us = maximum_us - cost * interval_us;
        verdict.retry_after_us = debt_us > room_at_us ? debt_us - room_at_us : 1;
    }
    return verdict;
}

struct bh_limiter_verdict bh_limiter_verdict_of(const struct bh_limiter_quota *const quota,
                                                const bool is_allowed, const uint64_t debt_us,
                                                const uint64_t cost)
{
    return verdict_of(quota->count, bh_limiter_interval_us(quota), is_allowed, debt_us, cost);
}

static struct bh_limiter_verdict judge(const struct bh_limiter *const limiter,
                                       const uint64_t debt_us, const uint64_t cost)
{
    const uint64_t maximum_us = limiter->debt_maximum_us;
    const bool is_allowed = cost <= limiter->quota.count &&
                            debt_us + cost * limiter->interval_us <= maximum_us;
    const uint64_t after_us = is_allowed ? debt_us + cost * limiter->interval_us : debt_us;
    return verdict_of(limiter->quota.count, limiter->interval_us, is_allowed, after_us, cost);
}

/* ---- The table ---- */

/* Microseconds until the word's quota is whole. More than the limit cannot be owed, but for a
 * caller whose clock is behind: what seems to be owed beyond that is a time that has passed. */
static uint64_t debt_of(const struct bh_limiter *const limiter, const uint64_t word,
                        const uint64_t now_us)
{
    const uint64_t debt_us = (word - now_us) & TIME_MASK;
    return word == 0 || debt_us > limiter->debt_maximum_us + SKEW_US ? 0 : debt_us;
}

static struct place find(const struct bh_limiter *const limiter, const uint64_t hash,
                         const uint64_t now_us)
{
    _Atomic uint64_t *const words = limiter->buckets[hash & limiter->bucket_mask].words;
    struct place least = { .debt_us = UINT64_MAX, .is_newcomer = true };
    for (size_t i = 0; i < WAYS; i++) {
        const uint64_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
        const uint64_t debt_us = debt_of(limiter, word, now_us);
        if (word != 0 && word >> TIME_BITS == hash >> TIME_BITS)
            return (struct place){ &words[i], word, debt_us, false };
        if (debt_us < least.debt_us)
            least = (struct place){ &words[i], word, debt_us, true };
    }
    return least;
}

static uint64_t hash_of(const struct bh_limiter *const limiter, const struct bh_str key)
{
    return XXH3_64bits_withSeed(key.data, key.size, limiter->seed);
}

struct bh_limiter_verdict bh_limiter_check(struct bh_limiter *const limiter,
                                           const struct bh_str key, const uint64_t cost,
                                           const uint64_t now_us)
{
    bh_magic_check(limiter, LIMITER_MAGIC);
    bh_assert(cost > 0);
    const uint64_t hash = hash_of(limiter, key);
    for (;;) {
        struct place place = find(limiter, hash, now_us);
        struct bh_limiter_verdict verdict = judge(limiter, place.debt_us, cost);
        if (!verdict.is_allowed)
            return verdict;
        const uint64_t whole_at_us = (now_us + verdict.reset_us) & TIME_MASK;
        uint64_t word = (hash & ~TIME_MASK) | whole_at_us;
        word += word == 0;
        if (!atomic_compare_exchange_weak_explicit(place.word, &place.seen, word,
                                                   memory_order_relaxed, memory_order_relaxed))
            continue; /* another thread changed this very entry */
        verdict.has_evicted = place.is_newcomer && place.debt_us > 0;
        return verdict;
    }
}

struct bh_limiter_verdict bh_limiter_peek(const struct bh_limiter *const limiter,
                                          const struct bh_str key, const uint64_t cost,
                                          const uint64_t now_us)
{
    bh_magic_check(limiter, LIMITER_MAGIC);
    return judge(limiter, find(limiter, hash_of(limiter, key), now_us).debt_us, cost);
}

size_t bh_limiter_entries(const struct bh_limiter *const limiter, const uint64_t now_us)
{
    size_t count = 0;
    for (size_t bucket = 0; bucket <= limiter->bucket_mask; bucket++)
        for (size_t i = 0; i < WAYS; i++)
            count += debt_of(limiter,
                             atomic_load_explicit(&limiter->buckets[bucket].words[i],
                                                  memory_order_relaxed),
                             now_us) > 0;
    return count;
}

/* ---- Life ---- */

int bh_limiter_create(const struct bh_limiter_quota *const quota, const size_t entries,
                      const uint64_t seed, struct bh_limiter **const ret_limiter)
{
    bh_assert(quota->count >= 1 && quota->count <= BH_LIMITER_COUNT_MAX && quota->window_us > 0);
    size_t buckets = 1;
    while (buckets * WAYS < entries && buckets * WAYS < ENTRIES_MAX)
        buckets *= 2;
    struct bh_limiter *const limiter = calloc(1, sizeof(*limiter));
    struct bucket *const memory = aligned_alloc(_Alignof(struct bucket), buckets * sizeof(*memory));
    if (!limiter || !memory) {
        free(limiter);
        free(memory);
        return BH_ENOMEM;
    }
    memset((void *)memory, 0, buckets * sizeof(*memory));
    const uint64_t interval_us = bh_limiter_interval_us(quota);
    *limiter = (struct bh_limiter){
        .magic = LIMITER_MAGIC,
        .quota = *quota,
        .interval_us = interval_us,
        .debt_maximum_us = interval_us * quota->count,
        .seed = seed,
        .bucket_mask = buckets - 1,
        .buckets = memory,
    };
    *ret_limiter = limiter;
    return 0;
}

void bh_limiter_destroy(struct bh_limiter *const limiter)
{
    if (!limiter)
        return;
    bh_magic_check(limiter, LIMITER_MAGIC);
    limiter->magic = 0;
    free(limiter->buckets);
    free(limiter);
}

const struct bh_limiter_quota *bh_limiter_quota_of(const struct bh_limiter *const limiter)
{
    return &limiter->quota;
}
