/* What takes memory is fitted to what there is. */
#include "cmocka_setup.h"

#include "memory_fit.h"

#define MIB (UINT64_C(1) << 20)

static const struct tome_settings defaults = { .cache_max_mb = 64,
                                               .http_unsent_max_mb = 256,
                                               .max_concurrent_streams = 100,
                                               .ingest_workers = 2,
                                               .extract_memory_mb = 512 };

static void test_a_small_container_lowers_all(void **const state)
{
    (void)state;
    struct tome_settings settings = defaults;
    tome_memory_fit_to(&settings, 160 * MIB);
    assert_int_equal(settings.cache_max_mb, 40);
    assert_int_equal(settings.http_unsent_max_mb, 40);
    assert_int_equal(settings.max_concurrent_streams, 80);
    assert_int_equal(settings.ingest_workers, 1);
    assert_int_equal(settings.extract_memory_mb, 80);
}

static void test_a_large_one_lowers_nothing(void **const state)
{
    (void)state;
    struct tome_settings settings = defaults;
    tome_memory_fit_to(&settings, 2048 * MIB);
    assert_memory_equal(&settings, &defaults, sizeof(settings));
}

static void test_extractors_share_half(void **const state)
{
    (void)state;
    struct tome_settings settings = defaults;
    settings.ingest_workers = 8;
    tome_memory_fit_to(&settings, 1024 * MIB);
    assert_int_equal(settings.ingest_workers, 4);
    assert_int_equal(settings.extract_memory_mb, 128);
}

static void test_nothing_falls_below_its_least(void **const state)
{
    (void)state;
    struct tome_settings settings = defaults;
    tome_memory_fit_to(&settings, 0);
    assert_int_equal(settings.cache_max_mb, 1);
    assert_int_equal(settings.http_unsent_max_mb, 1);
    assert_int_equal(settings.max_concurrent_streams, 1);
    assert_int_equal(settings.ingest_workers, 1);
    assert_int_equal(settings.extract_memory_mb, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_container_lowers_all),
        cmocka_unit_test(test_a_large_one_lowers_nothing),
        cmocka_unit_test(test_extractors_share_half),
        cmocka_unit_test(test_nothing_falls_below_its_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
