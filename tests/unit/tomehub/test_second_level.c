/* What is sent to Redis comes back as it was, and nothing else does. */
#include "cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "cache/second_level.h"
#include "prng.h"

static void pack(struct bh_buf *const packed, const struct bh_str key, const struct bh_str answer)
{
    bh_buf_init(packed, 1 << 22);
    tome_second_level_pack(packed, key, answer);
    assert_int_equal(bh_buf_error(packed), 0);
}

static void test_comes_back_as_it_was(void **const state)
{
    (void)state;
    static char text[100000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "{\"title\":\"heather\"}"[i * i % 19];
    const size_t sizes[] = { 0, 1, 4095, 4096, sizeof(text) };
    for (size_t i = 0; i < BH_COUNT_OF(sizes); i++) {
        struct bh_buf packed;
        pack(&packed, BH_STR("a key"), (struct bh_str){ text, sizes[i] });
        struct bh_cache_value *const value = tome_second_level_unpack(bh_buf_peek(&packed),
                                                                      BH_STR("a key"));
        assert_non_null(value);
        const struct bh_str found = bh_cache_value_peek(value);
        assert_int_equal(found.size, sizes[i]);
        assert_memory_equal(found.data, text, sizes[i]);
        assert_true(sizes[i] < sizeof(text) || packed.size < sizes[i] / 2);
        bh_cache_value_unref(value);
        assert_null(tome_second_level_unpack(bh_buf_peek(&packed), BH_STR("b key")));
        bh_buf_fini(&packed);
    }
}

static void test_what_is_damaged_is_refused(void **const state)
{
    (void)state;
    static char text[6000];
    memset(text, 'x', sizeof(text));
    struct bh_buf packed;
    pack(&packed, BH_STR("key"), (struct bh_str){ text, sizeof(text) });
    for (size_t size = 0; size < packed.size; size++)
        assert_null(tome_second_level_unpack((struct bh_str){ packed.data, size }, BH_STR("key")));
    uint64_t random = 1;
    for (unsigned i = 0; i < 2000; i++) {
        char *const copy = malloc(packed.size + 1);
        assert_non_null(copy);
        memcpy(copy, packed.data, packed.size);
        for (unsigned changes = 0; changes < 3; changes++)
            copy[prng_below(&random, packed.size)] = (char)prng_next(&random);
        /* Nothing but that it ends, within bounds: ASan watches. */
        bh_cache_value_unref(
            tome_second_level_unpack((struct bh_str){ copy, packed.size }, BH_STR("key")));
        free(copy);
    }
    bh_buf_fini(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back_as_it_was),
        cmocka_unit_test(test_what_is_damaged_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
