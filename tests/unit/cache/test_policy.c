/* What W-TinyLFU keeps, and that its sketch never counts too little. */
#include "cmocka_setup.h"

#include "cache/policy.h"
#include "prng.h"
#include "values.h"

#define KEYS 4000

static void test_the_sketch_never_counts_too_little(void **const state)
{
    (void)state;
    struct bh_cache_sketch sketch;
    assert_int_equal(bh_cache_sketch_init(&sketch, KEYS), 0);
    static unsigned exact[KEYS];
    memset(exact, 0, sizeof(exact));
    uint64_t random = 7;
    for (unsigned i = 0; i < 3 * KEYS; i++) {
        const uint64_t key = prng_below(&random, KEYS) * prng_below(&random, KEYS) / KEYS;
        uint64_t hash = key;
        bh_cache_sketch_add(&sketch, prng_next(&hash), UINT64_MAX);
        exact[key]++;
    }
    unsigned over = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t hash = key;
        const unsigned count = bh_cache_sketch_count(&sketch, prng_next(&hash));
        const unsigned least = exact[key] < BH_CACHE_SKETCH_MAX ? exact[key] : BH_CACHE_SKETCH_MAX;
        assert_true(count >= least);
        over += count > least;
    }
    assert_true(over < KEYS / 10);
    bh_cache_sketch_fini(&sketch);
}

static void test_the_sketch_ages(void **const state)
{
    (void)state;
    struct bh_cache_sketch sketch;
    assert_int_equal(bh_cache_sketch_init(&sketch, 64), 0);
    for (unsigned i = 0; i < 10; i++)
        bh_cache_sketch_add(&sketch, 1, 100);
    assert_int_equal(bh_cache_sketch_count(&sketch, 1), 10);
    uint64_t random = 1;
    for (unsigned i = 0; i < 89; i++)
        bh_cache_sketch_add(&sketch, prng_next(&random), 100);
    const unsigned before = bh_cache_sketch_count(&sketch, 1);
    bh_cache_sketch_add(&sketch, 2, 100);
    assert_int_equal(bh_cache_sketch_count(&sketch, 1), before / 2);
    bh_cache_sketch_fini(&sketch);
}

static void test_a_rejection_is_regretted_once_and_not_for_long(void **const state)
{
    (void)state;
    struct bh_cache_rejected rejected;
    assert_int_equal(bh_cache_rejected_init(&rejected, 1024), 0);
    const uint64_t hash = UINT64_C(0x1234567800000001), other = UINT64_C(0x1234567800000002);
    assert_false(bh_cache_rejected_take(&rejected, hash, 4096));
    bh_cache_rejected_add(&rejected, hash, 1024);
    assert_false(bh_cache_rejected_take(&rejected, other, 4096));
    assert_true(bh_cache_rejected_take(&rejected, hash, 4096));
    assert_false(bh_cache_rejected_take(&rejected, hash, 4096));
    bh_cache_rejected_add(&rejected, hash, 1024);
    bh_cache_rejected_add(&rejected, other, 4096);
    assert_false(bh_cache_rejected_take(&rejected, hash, 4096));
    bh_cache_rejected_fini(&rejected);
}

/* A look-up, and the load that follows a miss. */
static bool use(struct bh_cache *const cache, const uint64_t key, const size_t size)
{
    if (get_number(cache, key, 0) != -1)
        return true;
    (void)put_number(cache, key, 1, size, 0);
    return false;
}

static void test_a_scan_does_not_empty_it(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(512 << 10, 1);
    for (unsigned round = 0; round < 5; round++)
        for (uint64_t key = 0; key < 300; key++)
            (void)use(cache, key, 1000);
    for (uint64_t key = 1000; key < 6000; key++)
        (void)use(cache, key, 1000);
    unsigned kept = 0;
    for (uint64_t key = 0; key < 300; key++)
        kept += get_number(cache, key, 0) != -1;
    assert_true(kept > 290);
    bh_cache_destroy(cache);
}

/* A large value that was seen as often as each of many small ones is not worth all of them. */
static void test_a_large_value_does_not_push_out_many(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(512 << 10, 1);
    for (unsigned round = 0; round < 6; round++)
        for (uint64_t key = 0; key < 400; key++)
            (void)use(cache, key, 1000);
    for (unsigned round = 0; round < 6; round++)
        for (uint64_t key = 1000; key < 1010; key++)
            (void)use(cache, key, 60000);
    unsigned kept = 0;
    for (uint64_t key = 0; key < 400; key++)
        kept += get_number(cache, key, 0) != -1;
    assert_true(kept > 380);
    bh_cache_destroy(cache);
}

/* New keys come in although everything that is there was used often once. */
static void test_what_was_popular_once_makes_room(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(512 << 10, 1);
    for (unsigned round = 0; round < 20; round++)
        for (uint64_t key = 0; key < 400; key++)
            (void)use(cache, key, 1000);
    unsigned hits = 0;
    for (unsigned round = 0; round < 60; round++) {
        hits = 0;
        for (uint64_t key = 5000; key < 5400; key++)
            hits += use(cache, key, 1000);
    }
    assert_true(hits > 300);
    bh_cache_destroy(cache);
}

static void test_void_entries_leave_first(void **const state)
{
    (void)state;
    struct bh_cache *const cache = make_cache(512 << 10, 1);
    const uint64_t tags[] = { 1 };
    const struct bh_cache_ticket ticket = bh_cache_begin(cache, tags, 1);
    for (unsigned round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < 400; i++) {
            const struct key key = key_of(i);
            struct bh_cache_value *const found = bh_cache_get(cache, bh_str_from(key.text), 0);
            struct bh_cache_value *const value = found ? found : value_of_size(1, 1000);
            if (found == NULL)
                (void)bh_cache_put(cache, bh_str_from(key.text), &ticket, FOREVER, value, 0);
            bh_cache_value_unref(value);
        }
    }
    bh_cache_invalidate(cache, 1);
    for (uint64_t key = 5000; key < 5400; key++)
        (void)use(cache, key, 1000);
    unsigned hits = 0;
    for (uint64_t key = 5000; key < 5400; key++)
        hits += get_number(cache, key, 0) != -1;
    assert_true(hits > 350);
    bh_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sketch_never_counts_too_little),
        cmocka_unit_test(test_the_sketch_ages),
        cmocka_unit_test(test_a_rejection_is_regretted_once_and_not_for_long),
        cmocka_unit_test(test_a_scan_does_not_empty_it),
        cmocka_unit_test(test_a_large_value_does_not_push_out_many),
        cmocka_unit_test(test_what_was_popular_once_makes_room),
        cmocka_unit_test(test_void_entries_leave_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
