#include "cmocka_setup.h"

#include "aborts.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"
#include "fail_alloc.h"
#include "prng.h"

static void assert_content(const struct bh_buf *const buf, const struct bh_str expected)
{
    assert_true(bh_str_equal(bh_buf_peek(buf), expected));
}

static void test_behaves_like_plain_bytes(void **const state)
{
    (void)state;
    enum { MAXIMUM = 5000 };
    char model[MAXIMUM];
    size_t size = 0;
    uint64_t seed = 7;
    char piece[300];
    struct bh_buf buf;
    bh_buf_init(&buf, MAXIMUM);
    for (int step = 0; step < 20000; step++) {
        const size_t wish = (size_t)prng_below(&seed, sizeof(piece));
        memset(piece, (int)('a' + step % 26), sizeof(piece));
        if (prng_below(&seed, 3) == 0) {
            const size_t gone = wish < size ? wish : size;
            bh_buf_consume(&buf, gone);
            memmove(model, model + gone, size - gone);
            size -= gone;
        } else if (wish <= MAXIMUM - size) {
            bh_buf_append(&buf, piece, wish);
            memcpy(model + size, piece, wish);
            size += wish;
        }
        assert_int_equal(bh_buf_error(&buf), 0);
        assert_content(&buf, (struct bh_str){ .data = model, .size = size });
    }
    bh_buf_fini(&buf);
}

static void test_maximum_is_exact_and_sticky(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 10);
    bh_buf_append(&buf, "0123456", 7);
    bh_buf_append(&buf, "789", 3);
    assert_int_equal(bh_buf_error(&buf), 0);
    bh_buf_append(&buf, "", 0);
    assert_int_equal(bh_buf_error(&buf), 0);
    bh_buf_append_byte(&buf, 'x');
    assert_int_equal(bh_buf_error(&buf), BH_ELIMIT);
    bh_buf_consume(&buf, 5);
    bh_buf_append_byte(&buf, 'x');
    assert_content(&buf, BH_STR("56789"));
    assert_null(bh_buf_reserve(&buf, 1));
    bh_buf_clear(&buf);
    bh_buf_append_str(&buf, BH_STR("again"));
    assert_int_equal(bh_buf_error(&buf), 0);
    assert_content(&buf, BH_STR("again"));
    assert_null(bh_buf_reserve(&buf, SIZE_MAX));
    assert_int_equal(bh_buf_error(&buf), BH_ELIMIT);
}

static void test_maximum_of_nothing(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 0);
    bh_buf_append_str(&buf, BH_STR_NONE);
    bh_buf_printf(&buf, "%s", "");
    assert_int_equal(bh_buf_error(&buf), 0);
    bh_buf_append_byte(&buf, 'x');
    assert_int_equal(bh_buf_error(&buf), BH_ELIMIT);
}

static void test_reserve_then_advance(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1 << 20);
    bh_buf_append_str(&buf, BH_STR("head "));
    char *const to = bh_buf_reserve(&buf, 100000);
    assert_non_null(to);
    memset(to, 'y', 100000);
    bh_buf_advance(&buf, 3);
    assert_content(&buf, BH_STR("head yyy"));
}

static void test_printf(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1000);
    bh_buf_printf(&buf, "%d %s;", 5, "five");
    assert_content(&buf, BH_STR("5 five;"));
    for (int width = 250; width <= 260; width++) {
        bh_buf_clear(&buf);
        bh_buf_printf(&buf, "%*d", width, 7);
        assert_int_equal(buf.size, width);
        assert_int_equal(buf.data[width - 1], '7');
    }
    bh_buf_clear(&buf);
    bh_buf_printf(&buf, "%*d", 1000, 7);
    assert_int_equal(bh_buf_error(&buf), 0);
    assert_int_equal(buf.size, 1000);
    bh_buf_clear(&buf);
    bh_buf_printf(&buf, "%*d", 1001, 7);
    assert_int_equal(bh_buf_error(&buf), BH_ELIMIT);
    assert_int_equal(buf.size, 0);
}

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    int refused = 0;
    for (unsigned n = 1;; n++) {
        struct bh_buf buf;
        bh_buf_init(&buf, 1 << 20);
        char longer[2000];
        memset(longer, 'z', sizeof(longer));
        fail_alloc_arm(n);
        bh_buf_append_str(&buf, BH_STR("one "));
        bh_buf_append(&buf, longer, sizeof(longer));
        bh_buf_printf(&buf, "%3000d", 1);
        bh_buf_append_str(&buf, BH_STR("end"));
        const bool struck = fail_alloc_disarm();
        const bool is_whole = bh_str_ends_with(bh_buf_peek(&buf), BH_STR("1end"));
        assert_int_equal(bh_buf_error(&buf), is_whole ? 0 : BH_ENOMEM);
        assert_true(is_whole || struck);
        refused += !is_whole;
        bh_buf_clear(&buf);
        bh_buf_append_str(&buf, BH_STR("works again"));
        assert_content(&buf, BH_STR("works again"));
        bh_buf_fini(&buf);
        if (!struck)
            break;
    }
    assert_true(refused >= 4);
}

static void advance_too_far(void *const buf)
{
    bh_buf_advance(buf, 100000);
}

static void consume_too_much(void *const buf)
{
    bh_buf_consume(buf, 4);
}

static void test_misuse_aborts(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1 << 20);
    bh_buf_append_str(&buf, BH_STR("abc"));
    assert_true(aborts(advance_too_far, &buf));
    assert_true(aborts(consume_too_much, &buf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behaves_like_plain_bytes),
        cmocka_unit_test(test_maximum_is_exact_and_sticky),
        cmocka_unit_test(test_maximum_of_nothing),
        cmocka_unit_test(test_reserve_then_advance),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_exhausted_heap),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
