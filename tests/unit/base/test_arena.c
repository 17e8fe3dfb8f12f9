#include "cmocka_setup.h"

#include "aborts.h"
#include "bulkhead/base/arena.h"
#include "bulkhead/base/error.h"
#include "fail_alloc.h"
#include "prng.h"

static struct bh_arena *create(const size_t limit)
{
    struct bh_arena *arena = NULL;
    assert_int_equal(bh_arena_create(limit, &arena), 0);
    return arena;
}

static void test_pieces_are_aligned_and_apart(void **const state)
{
    (void)state;
    struct bh_arena *const arena = create(10 << 20);
    uint64_t seed = 1;
    unsigned char *pieces[500];
    size_t sizes[500];
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = i % 50 == 0 ? 100000 : (size_t)prng_below(&seed, 300);
        pieces[i] = bh_arena_alloc(arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(pieces[i][at], i % 251);
    }
    bh_arena_destroy(arena);
}

static void test_limit_holds_between_resets(void **const state)
{
    (void)state;
    struct bh_arena *const arena = create(1024);
    for (int round = 0; round < 3; round++) {
        assert_non_null(bh_arena_alloc(arena, 1000));
        assert_null(bh_arena_alloc(arena, 100));
        assert_non_null(bh_arena_alloc(arena, 16));
        assert_null(bh_arena_alloc(arena, 1));
        assert_int_equal(bh_arena_used(arena), 1024);
        bh_arena_reset(arena);
        assert_int_equal(bh_arena_used(arena), 0);
    }
    bh_arena_destroy(arena);
}

static void test_absurd_sizes_are_refused(void **const state)
{
    (void)state;
    struct bh_arena *const arena = create(SIZE_MAX);
    assert_null(bh_arena_alloc(arena, SIZE_MAX));
    assert_null(bh_arena_alloc(arena, SIZE_MAX - 16));
    assert_null(bh_arena_alloc(arena, SIZE_MAX - 40));
    assert_null(bh_arena_calloc(arena, SIZE_MAX / 2, 3));
    assert_null(bh_arena_calloc(arena, SIZE_MAX, SIZE_MAX));
    assert_null(bh_arena_strdup(arena, (struct bh_str){ .data = "x", .size = SIZE_MAX }));
    assert_int_equal(bh_arena_used(arena), 0);
    bh_arena_destroy(arena);
}

static void test_calloc_is_zeroed_after_reset(void **const state)
{
    (void)state;
    struct bh_arena *const arena = create(1 << 16);
    memset(bh_arena_alloc(arena, 2000), 0xAA, 2000);
    bh_arena_reset(arena);
    const unsigned char *const zeros = bh_arena_calloc(arena, 200, 10);
    assert_non_null(zeros);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(zeros[i], 0);
    bh_arena_destroy(arena);
}

static void test_texts(void **const state)
{
    (void)state;
    struct bh_arena *const arena = create(1 << 16);
    assert_string_equal(bh_arena_strdup(arena, BH_STR_NONE), "");
    const char *const copy = bh_arena_strdup(arena, BH_STR("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(bh_arena_printf(arena, "%d of %s", 3, "four"), "3 of four");
    assert_string_equal(bh_arena_printf(arena, "%s", ""), "");
    assert_null(bh_arena_printf(arena, "%*d", 100000, 1));
    bh_arena_destroy(arena);
}

static void test_reset_keeps_a_block(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    struct bh_arena *const arena = create(1 << 20);
    assert_non_null(bh_arena_alloc(arena, 500000));
    bh_arena_reset(arena);
    fail_alloc_arm(1);
    const void *const small = bh_arena_alloc(arena, 2000);
    assert_false(fail_alloc_disarm());
    assert_non_null(small);
    bh_arena_destroy(arena);
}

/* Makes an arena and takes what needs several blocks; false when some of it failed. */
static bool use_arena(void)
{
    struct bh_arena *arena = NULL;
    if (bh_arena_create(1 << 20, &arena) != 0) {
        assert_null(arena);
        return false;
    }
    char *const small = bh_arena_strdup(arena, BH_STR("small"));
    char *const large = bh_arena_alloc(arena, 70000);
    if (large)
        memset(large, 1, 70000);
    char *const text = bh_arena_printf(arena, "%5000d", 1);
    assert_string_equal(small, "small");
    const bool complete = large && text;
    bh_arena_destroy(arena);
    return complete;
}

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    for (unsigned n = 1;; n++) {
        fail_alloc_arm(n);
        const bool complete = use_arena();
        if (!fail_alloc_disarm()) {
            assert_true(complete);
            assert_in_range(n, 4, 10);
            break;
        }
        assert_false(complete);
    }
}

static void allocate_from_garbage(void *const garbage)
{
    void *const piece = bh_arena_alloc(garbage, 1);
    (void)piece;
}

static void test_magic_and_null(void **const state)
{
    (void)state;
    bh_arena_destroy(NULL);
    _Alignas(max_align_t) char garbage[256] = { 0 };
    assert_true(aborts(allocate_from_garbage, garbage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_limit_holds_between_resets),
        cmocka_unit_test(test_absurd_sizes_are_refused),
        cmocka_unit_test(test_calloc_is_zeroed_after_reset),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_reset_keeps_a_block),
        cmocka_unit_test(test_exhausted_heap),
        cmocka_unit_test(test_magic_and_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
