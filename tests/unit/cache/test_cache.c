/* Look-ups, lifetimes, bounds and tags of a cache, against an exact model. */
#include "cmocka_setup.h"

#include <pthread.h>

#include "cache/shard.h"
#include "prng.h"
#include "values.h"

#define MIB ((size_t)1 << 20)

static void check(struct bh_cache *const cache)
{
    for (unsigned i = 0; i < cache->shard_count; i++)
        bh_cache_policy_check(&cache->shards[i].policy);
}

static void test_gives_what_was_put(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(MIB, 0);
    assert_int_equal(get_number(cache, 1, 0), -1);
    assert_int_equal(put_number(cache, 1, 11, 100, 0), 0);
    assert_int_equal(put_number(cache, 2, 22, 100, 0), 0);
    assert_int_equal(get_number(cache, 1, 0), 11);
    assert_int_equal(put_number(cache, 1, 12, 300, 0), 0);
    assert_int_equal(get_number(cache, 1, 0), 12);
    assert_int_equal(get_number(cache, 2, 0), 22);
    check(cache);
    bh_cache_destroy(cache);
}

static void test_a_value_is_fresh_for_its_time_only(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(MIB, 0);
    const struct bh_cache_ticket ticket = bh_cache_begin(cache, NULL, 0);
    struct bh_cache_value *const value = value_of(1);
    unsigned alive_at_95 = 0;
    for (uint64_t i = 0; i < 200; i++) {
        const struct key key = key_of(i);
        const struct bh_cache_lifetime lifetime = { .ttl_us = 1000, .stale_us = 500 };
        assert_int_equal(bh_cache_put(cache, bh_str_from(key.text), &ticket, lifetime, value, 5000),
                         0);
        assert_int_equal(get_number(cache, i, 5899), 1);
        assert_int_equal(get_number(cache, i, 6000), -1);
        alive_at_95 += get_number(cache, i, 5950) == 1;
    }
    bh_cache_value_unref(value);
    /* They do not end together. */
    assert_in_range(alive_at_95, 50, 150);
    bh_cache_destroy(cache);
}

static void test_an_old_value_is_there_until_it_is_voided(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(MIB, 0);
    const uint64_t tag = 7;
    const struct bh_cache_ticket ticket = bh_cache_begin(cache, &tag, 1);
    const struct bh_cache_lifetime lifetime = { .ttl_us = 1000 };
    const struct bh_str key = BH_STR("key");
    struct bh_cache_value *const value = value_of(1);
    uint64_t age_us = 0;
    assert_null(bh_cache_get_old(cache, key, 5000, 5000, &age_us));
    assert_int_equal(bh_cache_put(cache, key, &ticket, lifetime, value, 5000), 0);
    bh_cache_value_unref(value);
    assert_null(bh_cache_get(cache, key, 8000));
    assert_int_equal(number_of(bh_cache_get_old(cache, key, 5000, 8000, &age_us)), 1);
    assert_int_equal(age_us, 3000);
    assert_int_equal(number_of(bh_cache_get_old(cache, key, 5000, 10000, &age_us)), 1);
    assert_null(bh_cache_get_old(cache, key, 5000, 10001, &age_us));
    assert_int_equal(age_us, 5000);
    bh_cache_invalidate(cache, tag);
    assert_null(bh_cache_get_old(cache, key, 5000, 8000, &age_us));
    bh_cache_destroy(cache);
}

static void test_what_is_too_large_is_refused(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(MIB, 2);
    assert_int_equal(put_number(cache, 1, 1, MIB / 2 / 8, 0), BH_ELIMIT);
    assert_int_equal(get_number(cache, 1, 0), -1);
    assert_int_equal(put_number(cache, 1, 1, MIB / 2 / 9, 0), 0);
    static char key[BH_CACHE_KEY_MAX + 1];
    memset(key, 'k', sizeof(key));
    const struct bh_cache_ticket ticket = bh_cache_begin(cache, NULL, 0);
    struct bh_cache_value *const value = value_of(1);
    assert_int_equal(
        bh_cache_put(cache, (struct bh_str){ key, sizeof(key) }, &ticket, FOREVER, value, 0),
        BH_ELIMIT);
    assert_int_equal(
        bh_cache_put(cache, (struct bh_str){ key, sizeof(key) - 1 }, &ticket, FOREVER, value, 0),
        0);
    bh_cache_value_unref(value);
    bh_cache_destroy(cache);
}

static void test_a_value_outlives_its_entry(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(64 << 10, 1);
    assert_int_equal(put_number(cache, 1, 77, 4000, 0), 0);
    const struct key key = key_of(1);
    struct bh_cache_value *const value = bh_cache_get(cache, bh_str_from(key.text), 0);
    assert_non_null(value);
    for (uint64_t i = 2; i < 200; i++)
        (void)put_number(cache, i, 1, 4000, 0);
    bh_cache_set_maximum_bytes(cache, 0);
    bh_cache_destroy(cache);
    assert_int_equal(number_of(value), 77);
}

static void test_shrinks_at_once_and_grows_again(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(4 * MIB, 4);
    struct bh_cache_statistics statistics;
    for (uint64_t i = 0; i < 4000; i++)
        (void)put_number(cache, i, (int64_t)i, 1000, 0);
    bh_cache_statistics(cache, &statistics);
    assert_in_range(statistics.bytes, 3 * MIB, 4 * MIB);
    bh_cache_set_maximum_bytes(cache, MIB);
    check(cache);
    bh_cache_statistics(cache, &statistics);
    assert_in_range(statistics.bytes, MIB / 2, MIB);
    assert_int_equal(statistics.maximum_bytes, MIB);
    bh_cache_set_maximum_bytes(cache, 100 * MIB);
    assert_int_equal(bh_cache_maximum_bytes(cache), 4 * MIB);
    for (uint64_t i = 0; i < 4000; i++)
        (void)put_number(cache, i, (int64_t)i, 1000, 0);
    bh_cache_statistics(cache, &statistics);
    assert_in_range(statistics.bytes, 3 * MIB, 4 * MIB);
    check(cache);
    bh_cache_destroy(cache);
}

/* ---- Tags ---- */

static int put_tagged(struct bh_cache *const cache, const uint64_t key,
                      const struct bh_cache_ticket *const ticket)
{
    const struct key text = key_of(key);
    struct bh_cache_value *const value = value_of((int64_t)key);
    const int result = bh_cache_put(cache, bh_str_from(text.text), ticket, FOREVER, value, 0);
    bh_cache_value_unref(value);
    return result;
}

static void test_invalidates_what_carries_the_tag_and_no_more(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(MIB, 0);
    const uint64_t first[] = { 1, 100 }, second[] = { 2, 100 };
    const struct bh_cache_ticket of_first = bh_cache_begin(cache, first, 2);
    const struct bh_cache_ticket of_second = bh_cache_begin(cache, second, 2);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(put_tagged(cache, i, i % 2 ? &of_second : &of_first), 0);
    bh_cache_invalidate(cache, 1);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(get_number(cache, i, 0), i % 2 ? (int64_t)i : -1);
    /* A load that began before it comes too late. */
    assert_int_equal(put_tagged(cache, 0, &of_first), BH_ECONFLICT);
    assert_int_equal(get_number(cache, 0, 0), -1);
    const struct bh_cache_ticket later = bh_cache_begin(cache, first, 2);
    assert_int_equal(put_tagged(cache, 0, &later), 0);
    assert_int_equal(get_number(cache, 0, 0), 0);
    bh_cache_invalidate(cache, 100);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(get_number(cache, i, 0), -1);
    struct bh_cache_statistics statistics;
    bh_cache_statistics(cache, &statistics);
    assert_int_equal(statistics.invalidations, 2);
    assert_int_equal(statistics.voided, 1);
    bh_cache_destroy(cache);
}

/* ---- Against an exact model ---- */

#define MODEL_KEYS 300
#define MODEL_TAGS 8

struct model {
    struct {
        int64_t number; /* -1: nothing */
        uint64_t loaded_at, expires_us, tag;
    } entries[MODEL_KEYS];
    uint64_t invalidated_at[MODEL_TAGS];
    uint64_t step;
};

static void model_put(struct bh_cache *const cache, struct model *const model,
                      uint64_t *const random, const uint64_t now_us)
{
    const uint64_t at = prng_below(random, MODEL_KEYS), tag = prng_below(random, MODEL_TAGS);
    const struct bh_cache_lifetime lifetime = { .ttl_us = 1 + prng_below(random, 3000) };
    const uint64_t tags[] = { tag };
    const struct bh_cache_ticket ticket = bh_cache_begin(cache, tags, 1);
    const uint64_t began = model->step;
    if (prng_below(random, 10) == 0) { /* an invalidation while it loads */
        const uint64_t other = prng_below(random, MODEL_TAGS);
        bh_cache_invalidate(cache, other);
        model->invalidated_at[other] = ++model->step;
    }
    struct bh_cache_value *const value = value_of_size((int64_t)model->step,
                                                       prng_below(random, 3000));
    const struct key key = key_of(at);
    const int result = bh_cache_put(cache, bh_str_from(key.text), &ticket, lifetime, value, now_us);
    bh_cache_value_unref(value);
    assert_true(result == 0 || result == BH_ECONFLICT);
    assert_int_equal(result == BH_ECONFLICT, model->invalidated_at[tag] > began);
    if (result == 0) {
        model->entries[at].number = (int64_t)model->step;
        model->entries[at].loaded_at = began;
        model->entries[at].expires_us = now_us + lifetime.ttl_us;
        model->entries[at].tag = tag;
    }
}

/* What the cache gives is what the model has; it may give nothing. */
static unsigned model_get(struct bh_cache *const cache, const struct model *const model,
                          uint64_t *const random, const uint64_t now_us)
{
    const uint64_t at = prng_below(random, MODEL_KEYS);
    const int64_t found = get_number(cache, at, now_us);
    if (found == -1)
        return 0;
    assert_int_equal(found, model->entries[at].number);
    assert_true(now_us < model->entries[at].expires_us);
    assert_true(model->invalidated_at[model->entries[at].tag] <= model->entries[at].loaded_at);
    return 1;
}

static void test_agrees_with_an_exact_model(void **const state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct bh_cache *const cache = make_cache(256 << 10, 2);
        static struct model model;
        memset(&model, 0, sizeof(model));
        uint64_t random = seed, now_us = 1000;
        unsigned hits = 0;
        for (unsigned i = 0; i < 8000; i++) {
            model.step++;
            now_us += prng_below(&random, 3);
            const uint64_t what = prng_below(&random, 1000);
            if (what < 2)
                bh_cache_set_maximum_bytes(cache, (64 + prng_below(&random, 192)) << 10);
            else if (what < 12)
                bh_cache_invalidate(cache, what % MODEL_TAGS),
                    model.invalidated_at[what % MODEL_TAGS] = model.step;
            else if (what < 400)
                model_put(cache, &model, &random, now_us);
            else
                hits += model_get(cache, &model, &random, now_us);
            if (i % 64 == 0)
                check(cache);
        }
        struct bh_cache_statistics statistics;
        bh_cache_statistics(cache, &statistics);
        assert_true(statistics.bytes <= statistics.maximum_bytes);
        assert_int_equal(statistics.hits, hits);
        assert_true(hits > 100);
        bh_cache_destroy(cache);
    }
}

/* ---- Hostile keys ---- */

/* Keys that fall into one bucket under one seed are spread under another. */
static void test_colliding_keys_depend_on_the_seed(void **const state)
{
    (void)state;
    struct bh_cache *const known = make_cache(MIB, 1);
    struct bh_cache *secret = NULL;
    const struct bh_cache_options options = { .name = "test", .maximum_bytes = MIB, .shards = 1 };
    assert_int_equal(bh_cache_create(&options, &secret), 0);
    unsigned collected = 0, together = 0;
    for (uint64_t i = 0; collected < 200; i++) {
        const struct key key = key_of(i);
        const struct bh_str text = bh_str_from(key.text);
        if ((bh_cache_hash(known, text) & known->shards[0].bucket_mask) != 0)
            continue;
        collected++;
        together += (bh_cache_hash(secret, text) & secret->shards[0].bucket_mask) == 0;
    }
    assert_true(together < 10);
    bh_cache_destroy(known);
    bh_cache_destroy(secret);
}

/* ---- Threads ---- */

struct thread {
    pthread_t id;
    struct bh_cache *cache;
    uint64_t random;
};

static void *work(void *const argument)
{
    struct thread *const thread = argument;
    for (unsigned i = 0; i < 6000; i++) {
        const uint64_t key = prng_below(&thread->random, 200);
        const uint64_t what = prng_below(&thread->random, 100);
        const uint64_t tags[] = { key % 5 };
        const struct key text = key_of(key);
        if (what == 0) {
            bh_cache_invalidate(thread->cache, key % 5);
        } else if (what == 1) {
            bh_cache_set_maximum_bytes(thread->cache, (16 + prng_below(&thread->random, 99)) << 10);
        } else if (what < 30) {
            const struct bh_cache_ticket ticket = bh_cache_begin(thread->cache, tags, 1);
            struct bh_cache_value *const value = value_of_size((int64_t)key, 500);
            (void)bh_cache_put(thread->cache, bh_str_from(text.text), &ticket, FOREVER, value, 0);
            bh_cache_value_unref(value);
        } else {
            const int64_t found = get_number(thread->cache, key, 0);
            bh_assert(found == -1 || found == (int64_t)key);
        }
    }
    return NULL;
}

static void test_threads_share_it(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(128 << 10, 2);
    struct thread threads[4];
    for (unsigned i = 0; i < 4; i++) {
        threads[i] = (struct thread){ .cache = cache, .random = i + 1 };
        assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i].id, NULL);
    check(cache);
    struct bh_cache_statistics statistics;
    bh_cache_statistics(cache, &statistics);
    assert_true(statistics.hits > 0);
    bh_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_what_was_put),
        cmocka_unit_test(test_a_value_is_fresh_for_its_time_only),
        cmocka_unit_test(test_an_old_value_is_there_until_it_is_voided),
        cmocka_unit_test(test_what_is_too_large_is_refused),
        cmocka_unit_test(test_a_value_outlives_its_entry),
        cmocka_unit_test(test_shrinks_at_once_and_grows_again),
        cmocka_unit_test(test_invalidates_what_carries_the_tag_and_no_more),
        cmocka_unit_test(test_agrees_with_an_exact_model),
        cmocka_unit_test(test_colliding_keys_depend_on_the_seed),
        cmocka_unit_test(test_threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
