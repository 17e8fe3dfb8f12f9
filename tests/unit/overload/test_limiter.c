/* The limiter: against an exact model, against many addresses, from several threads. */
#include "bulkhead/overload/limiter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "cmocka_setup.h"
#include "prng.h"

#define MINUTE_US (60 * BH_SECOND_US)
#define SEED UINT64_C(0x5eed)

static const struct bh_limiter_quota hundred = { 100, MINUTE_US };

static struct bh_limiter *limiter_of(const struct bh_limiter_quota quota, const size_t entries)
{
    struct bh_limiter *limiter = NULL;
    assert_int_equal(bh_limiter_create(&quota, entries, SEED, &limiter), 0);
    return limiter;
}

static struct bh_str key_of(const uint64_t *const number)
{
    return (struct bh_str){ (const char *)number, sizeof(*number) };
}

static bool check(struct bh_limiter *const limiter, const uint64_t number, const uint64_t now_us)
{
    return bh_limiter_check(limiter, key_of(&number), 1, now_us).is_allowed;
}

/* ---- Quotas as text ---- */

static void reads_quotas(void **const state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t count, window_us;
        const char *shown;
    } cases[] = {
        { "100", 100, MINUTE_US, "100 per 1 minute" },
        { " 100 / second ", 100, BH_SECOND_US, "100 per 1 second" },
        { "7/minute", 7, MINUTE_US, "7 per 1 minute" },
        { "5000/hour", 5000, 60 * MINUTE_US, "5000 per 1 hour" },
        { "1000000/second", 1000000, BH_SECOND_US, "1000000 per 1 second" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct bh_limiter_quota quota = { 0 };
        char shown[BH_LIMITER_QUOTA_TEXT_SIZE];
        assert_int_equal(bh_limiter_quota_parse("X", bh_str_from(cases[i].text), &quota, NULL), 0);
        assert_int_equal(quota.count, cases[i].count);
        assert_int_equal(quota.window_us, cases[i].window_us);
        bh_limiter_quota_text(&quota, shown);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void refuses_other_texts(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "0",
        "-1",
        "1000001",
        "100/",
        "/second",
        "100/day",
        "100/sec",
        "1.5/hour",
        "1e3",
        "100/m/m",
        "100 200",
        "0x10",
        "100/Second",
        "\xff",
        "100/ ",
        "99999999999999999999",
        "ten/minute",
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        struct bh_limiter_quota quota = { 3, 4 };
        struct bh_error error = { 0 };
        const int code = bh_limiter_quota_parse("RATE_LIMIT_SEARCH", bh_str_from(texts[i]), &quota,
                                                &error);
        assert_int_equal(code, BH_EINVAL);
        assert_int_equal(quota.count, 3);
        assert_non_null(strstr(error.message, "RATE_LIMIT_SEARCH="));
        assert_non_null(strstr(error.message, "100/second"));
    }
}

/* ---- One key ---- */

static void allows_the_quota_at_once_then_one_each_interval(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 1024);
    const struct bh_str key = BH_STR("user");
    uint64_t now_us = 77 * MINUTE_US;
    for (unsigned left = 100; left-- > 0;) {
        const struct bh_limiter_verdict verdict = bh_limiter_check(limiter, key, 1, now_us);
        assert_true(verdict.is_allowed);
        assert_int_equal(verdict.remaining, left);
        assert_int_equal(verdict.reset_us, (100 - left) * 600000);
        assert_int_equal(verdict.retry_after_us, 0);
        assert_int_equal(verdict.next_us, left ? 0 : 600000);
    }
    struct bh_limiter_verdict verdict = bh_limiter_check(limiter, key, 1, now_us);
    assert_false(verdict.is_allowed);
    assert_int_equal(verdict.remaining, 0);
    assert_int_equal(verdict.retry_after_us, 600000);
    assert_false(bh_limiter_check(limiter, key, 1, now_us + 599999).is_allowed);
    assert_true(bh_limiter_check(limiter, key, 1, now_us + 600000).is_allowed);
    assert_false(bh_limiter_check(limiter, key, 1, now_us + 600001).is_allowed);
    now_us += 2 * MINUTE_US;
    assert_int_equal(bh_limiter_entries(limiter, now_us), 0);
    verdict = bh_limiter_check(limiter, key, 1, now_us);
    assert_int_equal(verdict.remaining, 99);
    assert_int_equal(bh_limiter_entries(limiter, now_us), 1);
    bh_limiter_destroy(limiter);
}

static void takes_costs_whole_or_not_at_all(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of((struct bh_limiter_quota){ 10, BH_SECOND_US }, 8);
    const struct bh_str key = BH_STR("user");
    assert_int_equal(bh_limiter_check(limiter, key, 7, 5).remaining, 3);
    struct bh_limiter_verdict verdict = bh_limiter_check(limiter, key, 4, 5);
    assert_false(verdict.is_allowed);
    assert_int_equal(verdict.remaining, 3);
    assert_int_equal(verdict.retry_after_us, 100000);
    assert_true(bh_limiter_check(limiter, key, 4, 100005).is_allowed);
    verdict = bh_limiter_check(limiter, key, 11, 100005);
    assert_false(verdict.is_allowed);
    assert_true(verdict.retry_after_us == BH_NEVER_US);
    verdict = bh_limiter_check(limiter, key, UINT64_MAX, 100005);
    assert_true(verdict.retry_after_us == BH_NEVER_US);
    bh_limiter_destroy(limiter);
}

static void peeks_without_taking(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 64);
    const struct bh_str key = BH_STR("user");
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(bh_limiter_peek(limiter, key, 1, 9).remaining, 99);
    assert_int_equal(bh_limiter_peek(limiter, key, 0, 9).remaining, 100);
    assert_int_equal(bh_limiter_entries(limiter, 9), 0);
    bh_limiter_check(limiter, key, 100, 9);
    assert_int_equal(bh_limiter_peek(limiter, key, 0, 9).remaining, 0);
    assert_int_equal(bh_limiter_peek(limiter, key, 1, 9).retry_after_us, 600000);
    bh_limiter_destroy(limiter);
}

/* Loops read the clock once a turn: one may be behind another that has just filled an entry. */
static void holds_for_a_clock_that_is_behind(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 64);
    const struct bh_str key = BH_STR("user");
    const uint64_t now_us = 5 * MINUTE_US;
    assert_true(bh_limiter_check(limiter, key, 100, now_us).is_allowed);
    for (uint64_t behind_us = 0; behind_us < 2 * BH_SECOND_US; behind_us += 50000)
        assert_false(bh_limiter_check(limiter, key, 1, now_us - behind_us).is_allowed);
    bh_limiter_destroy(limiter);
}

/* 203 days after the machine's start the times in the table begin anew. */
static void survives_the_end_of_its_time(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 64);
    const struct bh_str key = BH_STR("user");
    const uint64_t end_us = UINT64_C(1) << 44;
    for (uint64_t now_us = end_us - MINUTE_US; now_us < end_us + MINUTE_US; now_us += 6000000) {
        assert_true(bh_limiter_check(limiter, key, 10, now_us).is_allowed);
        assert_int_equal(bh_limiter_peek(limiter, BH_STR("another"), 1, now_us).remaining, 99);
    }
    assert_int_equal(bh_limiter_peek(limiter, key, 1, end_us + MINUTE_US - 6000000).reset_us,
                     6600000);
    bh_limiter_destroy(limiter);
}

/* ---- Against an exact model ---- */

#define MODEL_KEYS 4096

/* Never allows what the model refuses; where no bucket is full, says just the same. */
static void run_against_model(const struct bh_limiter_quota quota, const size_t entries,
                              const uint64_t keys, const bool is_exact, uint64_t random)
{
    static uint64_t whole_at_us[MODEL_KEYS];
    memset(whole_at_us, 0, sizeof(whole_at_us));
    struct bh_limiter *const limiter = limiter_of(quota, entries);
    const uint64_t interval_us = (quota.window_us + quota.count - 1) / quota.count;
    const uint64_t pace_us = interval_us / keys + 1;
    uint64_t now_us = BH_SECOND_US;
    unsigned allowed = 0, refused = 0;
    for (unsigned step = 0; step < 60000; step++) {
        now_us += prng_below(&random, 3 * pace_us);
        /* Half of the steps go to an eighth of the keys. */
        const uint64_t range = prng_below(&random, 2) && keys >= 8 ? keys / 8 : keys;
        const uint64_t number = prng_below(&random, range);
        const uint64_t cost = prng_below(&random, 4) ? 1 : 1 + prng_below(&random, quota.count + 1);
        const uint64_t from_us = whole_at_us[number] > now_us ? whole_at_us[number] : now_us;
        const bool expected = cost <= quota.count &&
                              from_us + cost * interval_us <= now_us + quota.count * interval_us;
        const struct bh_limiter_verdict peeked = bh_limiter_peek(limiter, key_of(&number), cost,
                                                                 now_us);
        const struct bh_limiter_verdict verdict = bh_limiter_check(limiter, key_of(&number), cost,
                                                                   now_us);
        assert_int_equal(peeked.is_allowed, verdict.is_allowed);
        assert_int_equal(peeked.remaining, verdict.remaining);
        assert_int_equal(peeked.retry_after_us, verdict.retry_after_us);
        assert_true(expected || !verdict.is_allowed);
        if (is_exact)
            assert_int_equal(verdict.is_allowed, expected);
        if (verdict.is_allowed)
            whole_at_us[number] = from_us + cost * interval_us;
        if (whole_at_us[number] > now_us)
            assert_true(verdict.reset_us >= whole_at_us[number] - now_us);
        allowed += verdict.is_allowed;
        refused += !verdict.is_allowed;
    }
    assert_true(allowed > 1000 && refused > 1000);
    bh_limiter_destroy(limiter);
}

static void agrees_with_a_model(void **const state)
{
    (void)state;
    const struct bh_limiter_quota second = { 7, BH_SECOND_US };
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_against_model(hundred, 65536, 64, true, seed);
        run_against_model(second, 65536, 500, true, seed);
        run_against_model(hundred, 8, 8, true, seed); /* just full */
        run_against_model(hundred, 64, MODEL_KEYS, false, seed);
        run_against_model(second, 8, 64, false, seed);
    }
}

/* ---- A million addresses ---- */

/* People over their limit stay so; people who come seldom are served; memory does not grow. */
static void a_million_addresses_make_nobody_forgotten(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 65536);
    const uint64_t people = 64, first_attacker = 1000;
    uint64_t now_us = MINUTE_US;
    for (uint64_t person = 0; person < people; person++)
        while (check(limiter, person, now_us))
            continue;
    unsigned honest_refused = 0;
    /* Each attacker once, all within half a second. */
    for (uint64_t i = 0; i < 1000000; i++) {
        check(limiter, first_attacker + i, now_us + i / 2);
        if (i % 1000 == 0)
            honest_refused += !check(limiter, 500 + i / 1000 % 400, now_us + i / 2);
        if (i % 10000 == 0)
            for (uint64_t person = 0; person < people; person++)
                assert_false(check(limiter, person, now_us + i / 2));
    }
    assert_int_equal(honest_refused, 0);
    assert_true(bh_limiter_entries(limiter, now_us) <= 65536);
    for (uint64_t person = 0; person < people; person++)
        assert_true(check(limiter, person, now_us + 600000));
    bh_limiter_destroy(limiter);
}

/* Going round among more addresses than there are places gives no more than one place each. */
static void changing_addresses_wins_nothing(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 8);
    unsigned allowed = 0;
    for (unsigned round = 0; round < 1000; round++)
        for (uint64_t address = 0; address < 64; address++)
            allowed += check(limiter, address, MINUTE_US);
    assert_int_equal(allowed, 8 * 100);
    assert_int_equal(bh_limiter_entries(limiter, MINUTE_US), 8);
    assert_int_equal(bh_limiter_entries(limiter, 2 * MINUTE_US), 0);
    bh_limiter_destroy(limiter);
}

static void tells_of_evictions(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of(hundred, 8);
    for (uint64_t number = 0; number < 8; number++)
        assert_false(bh_limiter_check(limiter, key_of(&number), 2 + number, 7).has_evicted);
    const uint64_t newcomer = 100;
    const struct bh_limiter_verdict verdict = bh_limiter_check(limiter, key_of(&newcomer), 1, 7);
    assert_true(verdict.has_evicted);
    assert_int_equal(verdict.remaining, 97); /* took the least debt over */
    for (uint64_t number = 1; number < 8; number++)
        assert_int_equal(bh_limiter_peek(limiter, key_of(&number), 1, 7).remaining, 97 - number);
    bh_limiter_destroy(limiter);
}

/* ---- Threads ---- */

#define THREADS 4

struct hammer {
    struct bh_limiter *limiter;
    uint64_t seed;
    unsigned allowed[16];
};

static void *hammer_main(void *const argument)
{
    struct hammer *const hammer = argument;
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t number = prng_below(&hammer->seed, 16);
        hammer->allowed[number] += check(hammer->limiter, number, MINUTE_US);
    }
    return NULL;
}

static void threads_share_one_quota_exactly(void **const state)
{
    (void)state;
    struct bh_limiter *const limiter = limiter_of((struct bh_limiter_quota){ 777, MINUTE_US },
                                                  1024);
    struct hammer hammers[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        hammers[i] = (struct hammer){ .limiter = limiter, .seed = i };
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_main, &hammers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned number = 0; number < 16; number++) {
        unsigned sum = 0;
        for (unsigned i = 0; i < THREADS; i++)
            sum += hammers[i].allowed[number];
        assert_int_equal(sum, 777);
    }
    bh_limiter_destroy(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_quotas),
        cmocka_unit_test(refuses_other_texts),
        cmocka_unit_test(allows_the_quota_at_once_then_one_each_interval),
        cmocka_unit_test(takes_costs_whole_or_not_at_all),
        cmocka_unit_test(peeks_without_taking),
        cmocka_unit_test(holds_for_a_clock_that_is_behind),
        cmocka_unit_test(survives_the_end_of_its_time),
        cmocka_unit_test(agrees_with_a_model),
        cmocka_unit_test(a_million_addresses_make_nobody_forgotten),
        cmocka_unit_test(changing_addresses_wins_nothing),
        cmocka_unit_test(tells_of_evictions),
        cmocka_unit_test(threads_share_one_quota_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
