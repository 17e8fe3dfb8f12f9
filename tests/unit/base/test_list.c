#include "cmocka_setup.h"

#include "bulkhead/base/list.h"

struct item {
    int number;
    struct bh_list node;
};

static void assert_numbers(struct bh_list *const head, const int *const numbers, const int count)
{
    int at = 0;
    BH_LIST_FOREACH(node, head) {
        assert_true(at < count);
        assert_int_equal(BH_LIST_ENTRY(node, struct item, node)->number, numbers[at]);
        assert_ptr_equal(node->next->prev, node);
        at++;
    }
    assert_int_equal(at, count);
}

static void test_order(void **const state)
{
    (void)state;
    struct bh_list head;
    bh_list_init(&head);
    assert_true(bh_list_is_empty(&head));
    struct item items[5] = {
        { .number = 0 }, { .number = 1 }, { .number = 2 }, { .number = 3 }, { .number = 4 }
    };
    bh_list_append(&head, &items[1].node);
    bh_list_append(&head, &items[3].node);
    bh_list_prepend(&head, &items[0].node);
    bh_list_insert_after(&items[1].node, &items[2].node);
    bh_list_append(&head, &items[4].node);
    assert_numbers(&head, (const int[]){ 0, 1, 2, 3, 4 }, 5);
    bh_list_unlink(&items[2].node);
    bh_list_unlink(&items[2].node); /* harmless */
    assert_numbers(&head, (const int[]){ 0, 1, 3, 4 }, 4);
    assert_ptr_equal(bh_list_pop(&head), &items[0].node);
    assert_true(bh_list_is_empty(&items[0].node));
    assert_numbers(&head, (const int[]){ 1, 3, 4 }, 3);
}

static void test_unlinking_while_walking(void **const state)
{
    (void)state;
    struct bh_list head;
    bh_list_init(&head);
    struct item items[] = { { .number = 0 }, { .number = 1 }, { .number = 2 },
                            { .number = 3 }, { .number = 4 }, { .number = 5 } };
    for (size_t i = 0; i < BH_COUNT_OF(items); i++)
        bh_list_append(&head, &items[i].node);
    BH_LIST_FOREACH(node, &head) {
        if (BH_LIST_ENTRY(node, struct item, node)->number % 2 == 0)
            bh_list_unlink(node);
    }
    assert_numbers(&head, (const int[]){ 1, 3, 5 }, 3);
    for (int left = 3; left > 0; left--)
        assert_non_null(bh_list_pop(&head));
    assert_true(bh_list_is_empty(&head));
    assert_null(bh_list_pop(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_unlinking_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
