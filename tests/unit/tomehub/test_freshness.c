/* What the cache forgets when the library changes: neither less nor more. */
#include "cmocka_setup.h"

#include "cache/freshness.h"
#include "in_fiber.h"
#include "library/books.h"
#include "prng.h"
#include "tomehub/test_library.h"

#define BOOKS 4

struct test {
    struct test_library *library;
    struct bh_cache *cache;
    struct tome_freshness *freshness;
    unsigned done;
};

static struct bh_cache_value *value_of(const int64_t number)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 64);
    bh_buf_append(&buf, &number, sizeof(number));
    struct bh_cache_value *const value = bh_cache_value_take(&buf);
    bh_assert(value != NULL);
    return value;
}

/* `book_id` 0: depends on all. */
static void put(const struct test *const test, const char *const key, const int64_t book_id,
                const int64_t number)
{
    const uint64_t tags[] = { tome_tag_owner(1),
                              book_id != 0 ? tome_tag_book(1, book_id) : tome_tag_lists(1) };
    const struct bh_cache_ticket ticket = bh_cache_begin(test->cache, tags, 2);
    struct bh_cache_value *const value = value_of(number);
    const int result = bh_cache_put(test->cache, bh_str_from(key), &ticket,
                                    (struct bh_cache_lifetime){ .ttl_us = BH_NEVER_US }, value, 0);
    bh_assert(result == 0);
    bh_cache_value_unref(value);
}

static int64_t get(const struct test *const test, const char *const key)
{
    struct bh_cache_value *const value = bh_cache_get(test->cache, bh_str_from(key), 0);
    int64_t number = -1;
    if (value != NULL)
        memcpy(&number, bh_cache_value_peek(value).data, sizeof(number));
    bh_cache_value_unref(value);
    return number;
}

static void check(const struct test *const test)
{
    struct bh_error error;
    const int result = tome_freshness_check(test->freshness, 1, &error);
    bh_assert(result == 0);
}

static void rename_book(const struct test *const test, const int64_t book_id,
                        const char *const title)
{
    const struct tome_book_changes changes = { .title = bh_str_from(title) };
    struct bh_error error;
    const int result = tome_books_update(test->library->db, 1, book_id, &changes,
                                         test->library->arena, &error);
    bh_assert(result == 0);
}

static uint64_t invalidations(const struct test *const test)
{
    struct bh_cache_statistics statistics;
    bh_cache_statistics(test->cache, &statistics);
    return statistics.invalidations;
}

static void exact(void *const argument)
{
    struct test *const test = argument;
    check(test);
    put(test, "one", 1, 1);
    put(test, "two", 2, 2);
    put(test, "list", 0, 3);
    const uint64_t before = invalidations(test);
    check(test);
    bh_assert(invalidations(test) == before);

    rename_book(test, 1, "another");
    check(test);
    bh_assert(get(test, "one") == -1 && get(test, "list") == -1 && get(test, "two") == 2);
    put(test, "one", 1, 11);
    put(test, "list", 0, 33);

    /* Several changes since the last look, one of them a deletion. */
    struct bh_error error;
    rename_book(test, 3, "a third");
    int result = tome_books_delete(test->library->db, 1, 2, test->library->arena, &error);
    bh_assert(result == 0);
    check(test);
    bh_assert(get(test, "two") == -1 && get(test, "list") == -1 && get(test, "one") == 11);

    /* A book changed twice: one of the two changes is told nowhere, so nothing is kept. */
    rename_book(test, 3, "once");
    rename_book(test, 3, "twice");
    check(test);
    bh_assert(get(test, "one") == -1);

    /* A commit that changes nothing readers see; then one that tells no book. */
    put(test, "one", 1, 111);
    test_library_run(test->library, "CREATE TABLE other (n INTEGER)");
    check(test);
    bh_assert(get(test, "one") == 111);
    test_library_bump(test->library);
    check(test);
    bh_assert(get(test, "one") == -1);

    /* Put back from a copy: an earlier generation, or the same one of another history. */
    put(test, "one", 1, 1);
    test_library_run(test->library, "UPDATE owners SET generation = generation - 2");
    check(test);
    bh_assert(get(test, "one") == -1);
    put(test, "one", 1, 1);
    test_library_run(test->library, "UPDATE owners SET stamp = stamp + 1");
    check(test);
    bh_assert(get(test, "one") == -1);
}

static void run(void **const state, bh_fiber_function *const body)
{
    struct test test = { .library = *state };
    for (int i = 0; i < BOOKS; i++) {
        const struct test_book book = { .title = "Title", .chunks = { "words of a chunk" } };
        test_library_add(test.library, &book);
    }
    const struct bh_cache_options options = { .name = "test", .maximum_bytes = 1 << 20 };
    assert_int_equal(bh_cache_create(&options, &test.cache), 0);
    assert_int_equal(tome_freshness_create(test.library->db, test.cache, &test.freshness), 0);
    in_fiber_run(body, &test);
    tome_freshness_destroy(test.freshness);
    bh_cache_destroy(test.cache);
}

static void test_forgets_what_has_changed_and_no_more(void **const state)
{
    run(state, exact);
}

static void unknown_owner(void *const argument)
{
    const struct test *const test = argument;
    struct bh_error error;
    const int result = tome_freshness_check(test->freshness, 77, &error);
    bh_assert(result == BH_ENOTFOUND);
}

static void test_an_unknown_owner_is_told(void **const state)
{
    run(state, unknown_owner);
}

/* ---- Many at once ---- */

#define READERS 20
#define READS 30

static int64_t title_number(const struct test *const test, const int64_t book_id)
{
    struct bh_arena *arena = NULL;
    struct tome_book book;
    struct bh_error error;
    int result = bh_arena_create(1 << 16, &arena);
    bh_assert(result == 0);
    result = tome_books_get(test->library->db, 1, book_id, arena, &book, &error);
    bh_assert(result == 0);
    int64_t number = 0;
    result = bh_str_to_int64(book.title, 0, INT64_MAX, &number);
    bh_arena_destroy(arena);
    return result == 0 ? number : 0;
}

static int load(void *const argument, struct bh_cache_value **const ret_value,
                struct bh_error *const reterr)
{
    const struct test *const test = argument;
    (void)reterr;
    *ret_value = value_of(title_number(test, 1));
    return 0;
}

static int64_t committed; /* by the writer below, which is a fiber of the same loop */

/* Never less than what was committed before it asked. */
static void read_often(void *const argument)
{
    struct test *const test = argument;
    const uint64_t tags[] = { tome_tag_owner(1), tome_tag_book(1, 1) };
    const struct bh_cache_fetch fetch = { .key = BH_STR("title"),
                                          .tags = tags,
                                          .tag_count = 2,
                                          .lifetime = { .ttl_us = BH_NEVER_US },
                                          .load = load,
                                          .argument = test };
    for (unsigned i = 0; i < READS; i++) {
        const int64_t least = committed;
        struct bh_cache_value *value = NULL;
        enum bh_cache_outcome outcome;
        struct bh_error error;
        check(test);
        const int result = bh_cache_fetch(test->cache, &fetch, 0, &value, &outcome, &error);
        bh_assert(result == 0);
        int64_t number = -1;
        memcpy(&number, bh_cache_value_peek(value).data, sizeof(number));
        bh_assert(number >= least);
        bh_cache_value_unref(value);
        bh_fiber_yield();
    }
    test->done++;
}

static void write_and_read(void *const argument)
{
    struct test *const test = argument;
    committed = 0;
    for (unsigned i = 0; i < READERS; i++) {
        const int result = bh_fiber_spawn(bh_loop_current(), read_often, test);
        bh_assert(result == 0);
    }
    for (int64_t number = 1; test->done < READERS; number++) {
        char title[24];
        snprintf(title, sizeof(title), "%lld", (long long)number);
        rename_book(test, 1, title);
        committed = number;
        bh_fiber_yield();
    }
}

static void test_no_reader_sees_less_than_was_committed(void **const state)
{
    run(state, write_and_read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forgets_what_has_changed_and_no_more,
                                        test_library_setup, test_library_teardown),
        cmocka_unit_test_setup_teardown(test_an_unknown_owner_is_told, test_library_setup,
                                        test_library_teardown),
        cmocka_unit_test_setup_teardown(test_no_reader_sees_less_than_was_committed,
                                        test_library_setup, test_library_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
