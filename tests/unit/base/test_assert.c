#include "cmocka_setup.h"

#include <string.h>

#include "aborts.h"
#include "bulkhead/base/assert.h"

static void break_invariant(void *const fd)
{
    dup2(*(const int *)fd, STDERR_FILENO);
    bh_assert(1 + 1 == 3);
}

static void check_magic(void *const object)
{
    struct thing {
        BH_MAGIC_FIELD;
    } *const thing = object;
    bh_magic_check(thing, 0x600Du);
}

static void test_message_names_the_place(void **const state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_true(aborts(break_invariant, &ends[1]));
    close(ends[1]);
    char text[512] = "";
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    assert_non_null(strstr(text, "test_assert.c"));
    assert_non_null(strstr(text, "break_invariant"));
    assert_non_null(strstr(text, "1 + 1 == 3"));
}

static void test_magic(void **const state)
{
    (void)state;
    uint32_t good = 0x600Du;
    uint32_t bad = 0xBADu;
    check_magic(&good);
    assert_true(aborts(check_magic, &bad));
    assert_true(aborts(check_magic, NULL));
}

static void test_condition_is_evaluated_once(void **const state)
{
    (void)state;
    int count = 0;
    bh_assert(++count == 1);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_names_the_place),
        cmocka_unit_test(test_magic),
        cmocka_unit_test(test_condition_is_evaluated_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
