#include "library/postings.h"

#include <stdlib.h>

#include "../prng.h"
#include "cmocka_setup.h"

static int64_t chunk(const int64_t book, const int64_t ordinal)
{
    return (book << TOME_ORDINAL_BITS) + ordinal;
}

struct occurrence {
    int64_t id;
    unsigned column;
    uint32_t position;
};

static void write_list(struct bh_buf *const out, const struct occurrence *const occurrences,
                       const size_t count)
{
    struct tome_postings_writer writer;
    tome_postings_writer_init(&writer);
    tome_postings_begin(&writer, out);
    for (size_t i = 0; i < count; i++)
        tome_postings_add(&writer, occurrences[i].id, occurrences[i].column,
                          occurrences[i].position);
    assert_int_equal(tome_postings_end(&writer), 0);
    tome_postings_writer_fini(&writer);
}

static void expect_places(const struct tome_postings_reader *const reader, const unsigned column,
                          const uint32_t *const expected, const size_t count)
{
    struct tome_places places = tome_postings_places(reader, column);
    for (size_t i = 0; i < count; i++) {
        assert_true(tome_places_next(&places));
        assert_int_equal(places.position, expected[i]);
    }
    assert_false(tome_places_next(&places));
}

static void test_every_shape_is_read_back(void **state)
{
    (void)state;
    const struct occurrence occurrences[] = {
        { chunk(1, 0), TOME_COLUMN_BODY, 0 },          { chunk(1, 1), TOME_COLUMN_BODY, 5 },
        { chunk(1, 1), TOME_COLUMN_BODY, 5 },          { chunk(1, 1), TOME_COLUMN_BODY, 70000 },
        { chunk(1, 900), TOME_COLUMN_STEMS, 0 },       { chunk(1, 900), TOME_COLUMN_STEMS, 0 },
        { chunk(7, 3), TOME_COLUMN_BODY, 2 },          { chunk(7, 3), TOME_COLUMN_STEMS, 1 },
        { chunk(7, 3), TOME_COLUMN_HEADING, 0 },       { chunk(7, 3), TOME_COLUMN_HEADING, 4 },
        { chunk(7, 1048575), TOME_COLUMN_HEADING, 9 },
    };
    struct bh_buf list;
    bh_buf_init(&list, 4096);
    write_list(&list, occurrences, BH_COUNT_OF(occurrences));
    struct tome_postings_reader reader;
    tome_postings_read(&reader, bh_buf_peek(&list));
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(1, 0));
    expect_places(&reader, TOME_COLUMN_BODY, (const uint32_t[]){ 0 }, 1);
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(1, 1));
    expect_places(&reader, TOME_COLUMN_BODY, (const uint32_t[]){ 5, 70000 }, 2);
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.counts[TOME_COLUMN_STEMS], 2);
    assert_int_equal(reader.counts[TOME_COLUMN_BODY], 0);
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(7, 3));
    assert_int_equal(reader.counts[TOME_COLUMN_STEMS], 1);
    expect_places(&reader, TOME_COLUMN_BODY, (const uint32_t[]){ 2 }, 1);
    expect_places(&reader, TOME_COLUMN_HEADING, (const uint32_t[]){ 0, 4 }, 2);
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(7, 1048575));
    expect_places(&reader, TOME_COLUMN_HEADING, (const uint32_t[]){ 9 }, 1);
    assert_false(tome_postings_next(&reader));
    assert_false(tome_postings_next(&reader));
    assert_false(reader.is_corrupt);
    bh_buf_fini(&list);
}

/* Two batches of one book, then another book: as they come out of the table. */
static void test_lists_put_together_are_a_list(void **state)
{
    (void)state;
    struct bh_buf list;
    bh_buf_init(&list, 4096);
    write_list(&list, (const struct occurrence[]){ { chunk(2, 10), TOME_COLUMN_BODY, 1 } }, 1);
    write_list(&list, (const struct occurrence[]){ { chunk(2, 300), TOME_COLUMN_BODY, 1 } }, 1);
    write_list(&list, (const struct occurrence[]){ { chunk(3, 0), TOME_COLUMN_BODY, 1 } }, 1);
    struct tome_postings_reader reader;
    tome_postings_read(&reader, bh_buf_peek(&list));
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(2, 10));
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(2, 300));
    assert_true(tome_postings_next(&reader));
    assert_int_equal(reader.id, chunk(3, 0));
    assert_false(tome_postings_next(&reader));
    assert_false(reader.is_corrupt);

    int64_t book;
    uint32_t chunks;
    tome_postings_read(&reader, bh_buf_peek(&list));
    assert_true(tome_postings_next_book(&reader, &book, &chunks));
    assert_int_equal(book, 2);
    assert_true(tome_postings_next_book(&reader, &book, &chunks));
    assert_true(tome_postings_next_book(&reader, &book, &chunks));
    assert_int_equal(book, 3);
    assert_int_equal(chunks, 1);
    assert_false(tome_postings_next_book(&reader, &book, &chunks));
    bh_buf_fini(&list);
}

/* Lists in the wrong order would give a chunk twice or out of order. */
static void test_lists_out_of_order_are_refused(void **state)
{
    (void)state;
    static const int64_t orders[][2] = { { 5, 4 }, { 5, 5 } };
    for (size_t i = 0; i < BH_COUNT_OF(orders); i++) {
        struct bh_buf list;
        bh_buf_init(&list, 4096);
        for (size_t j = 0; j < 2; j++) {
            const struct occurrence one = { chunk(orders[i][j], 7), TOME_COLUMN_BODY, 1 };
            write_list(&list, &one, 1);
        }
        struct tome_postings_reader reader;
        tome_postings_read(&reader, bh_buf_peek(&list));
        assert_true(tome_postings_next(&reader));
        assert_false(tome_postings_next(&reader));
        assert_true(reader.is_corrupt);
        bh_buf_fini(&list);
    }
}

static size_t make_random(struct occurrence *const occurrences, const size_t most,
                          uint64_t *const seed)
{
    size_t count = 0;
    int64_t book = 1, ordinal = -1;
    while (count + 8 < most) {
        if (prng_below(seed, 10) == 0) {
            book += 1 + (int64_t)prng_below(seed, 3);
            ordinal = -1;
        }
        ordinal += 1 + (int64_t)prng_below(seed, 40);
        for (unsigned column = 0; column < TOME_COLUMN_COUNT; column++) {
            uint32_t position = (uint32_t)prng_below(seed, 300);
            const uint64_t times = prng_below(seed, 3) + (column == 0);
            for (uint64_t i = 0; i < times && count < most; i++) {
                occurrences[count++] = (struct occurrence){ chunk(book, ordinal), column,
                                                            position };
                position += 1 + (uint32_t)prng_below(seed, 200);
            }
        }
    }
    return count;
}

static void test_seek_finds_what_next_finds(void **state)
{
    (void)state;
    enum { MOST = 4000 };
    uint64_t seed = 42;
    struct occurrence *const occurrences = calloc(MOST, sizeof(*occurrences));
    const size_t count = make_random(occurrences, MOST, &seed);
    struct bh_buf list;
    bh_buf_init(&list, 1 << 20);
    write_list(&list, occurrences, count);
    for (unsigned round = 0; round < 200; round++) {
        struct tome_postings_reader sought;
        tome_postings_read(&sought, bh_buf_peek(&list));
        size_t at = 0;
        while (at < count) {
            at += prng_below(&seed, 400);
            const int64_t wanted = at < count ? occurrences[at].id - (int64_t)prng_below(&seed, 3)
                                              : INT64_C(1) << 60;
            size_t expected = 0;
            while (expected < count && occurrences[expected].id < wanted)
                expected++;
            if (expected < count && sought.id <= wanted) {
                assert_true(tome_postings_seek(&sought, wanted));
                assert_int_equal(sought.id, occurrences[expected].id);
            } else if (expected == count) {
                assert_false(tome_postings_seek(&sought, wanted));
            }
            assert_false(sought.is_corrupt);
        }
    }
    bh_buf_fini(&list);
    free(occurrences);
}

static void test_rows_of_books_joined_are_the_list_written_at_once(void **state)
{
    (void)state;
    enum { MOST = 2000 };
    uint64_t seed = 11;
    struct occurrence *const occurrences = calloc(MOST, sizeof(*occurrences));
    const size_t count = make_random(occurrences, MOST, &seed);
    struct bh_buf whole, joined;
    bh_buf_init(&whole, 1 << 20);
    bh_buf_init(&joined, 1 << 20);
    write_list(&whole, occurrences, count);
    for (size_t first = 0, end = 0; first < count; first = end) {
        while (end < count && occurrences[end].id >> TOME_ORDINAL_BITS ==
                                  occurrences[first].id >> TOME_ORDINAL_BITS)
            end++;
        write_list(&joined, occurrences + first, end - first);
    }
    assert_true(bh_str_equal(bh_buf_peek(&whole), bh_buf_peek(&joined)));
    bh_buf_fini(&whole);
    bh_buf_fini(&joined);
    free(occurrences);
}

static void test_a_book_dropped_is_the_list_written_without_it(void **state)
{
    (void)state;
    enum { MOST = 1000 };
    uint64_t seed = 23;
    struct occurrence *const occurrences = calloc(MOST, sizeof(*occurrences));
    struct occurrence *const others = calloc(MOST, sizeof(*others));
    const size_t count = make_random(occurrences, MOST, &seed);
    const int64_t last_book = occurrences[count - 1].id >> TOME_ORDINAL_BITS;
    struct bh_buf whole;
    bh_buf_init(&whole, 1 << 20);
    write_list(&whole, occurrences, count);
    for (int64_t book = 0; book <= last_book + 1; book++) {
        size_t left = 0;
        for (size_t i = 0; i < count; i++)
            if (occurrences[i].id >> TOME_ORDINAL_BITS != book)
                others[left++] = occurrences[i];
        struct bh_buf expected, dropped;
        bh_buf_init(&expected, 1 << 20);
        bh_buf_init(&dropped, 1 << 20);
        write_list(&expected, others, left);
        assert_int_equal(tome_postings_drop(bh_buf_peek(&whole), book, &dropped), 0);
        assert_true(bh_str_equal(bh_buf_peek(&dropped), bh_buf_peek(&expected)));
        bh_buf_fini(&expected);
        bh_buf_fini(&dropped);
    }
    bh_buf_fini(&whole);
    free(occurrences);
    free(others);
}

/* A book in two batches is dropped whole; the only one leaves nothing. */
static void test_the_only_book_dropped_leaves_nothing(void **state)
{
    (void)state;
    struct bh_buf list, dropped;
    bh_buf_init(&list, 4096);
    bh_buf_init(&dropped, 4096);
    write_list(&list, (const struct occurrence[]){ { chunk(2, 10), TOME_COLUMN_BODY, 1 } }, 1);
    write_list(&list, (const struct occurrence[]){ { chunk(2, 300), TOME_COLUMN_BODY, 1 } }, 1);
    assert_int_equal(tome_postings_drop(bh_buf_peek(&list), 2, &dropped), 0);
    assert_int_equal(dropped.size, 0);
    assert_int_equal(tome_postings_drop(BH_STR(""), 2, &dropped), 0);
    assert_int_equal(dropped.size, 0);
    bh_buf_fini(&list);
    bh_buf_fini(&dropped);
}

static void test_damaged_lists_are_not_dropped_from(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "\x05",                                         /* a head cut off */
        "\x05\x01\x7f",                                 /* a run that ends behind the list */
        "\x05\x01\x02\x04\x01\x04\x01\x02",             /* books that fall; the last one cut off */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* no number */
    };
    for (size_t i = 0; i < BH_COUNT_OF(damaged); i++) {
        struct bh_buf dropped;
        bh_buf_init(&dropped, 4096);
        assert_int_equal(tome_postings_drop(bh_str_from(damaged[i]), 5, &dropped), BH_ECORRUPT);
        bh_buf_fini(&dropped);
    }
}

/* Any byte changed, any end cut off: read to the end without a crash, ids rising. */
static void test_damaged_lists_are_read_safely(void **state)
{
    (void)state;
    struct occurrence occurrences[60];
    uint64_t seed = 7;
    const size_t count = make_random(occurrences, BH_COUNT_OF(occurrences), &seed);
    struct bh_buf list;
    bh_buf_init(&list, 1 << 20);
    write_list(&list, occurrences, count);
    for (size_t i = 0; i < list.size; i++) {
        for (unsigned value = 0; value < 256; value++) {
            char *const copy = malloc(list.size);
            memcpy(copy, list.data, list.size);
            copy[i] = (char)value;
            const size_t size = value == 0 ? i : list.size;
            struct tome_postings_reader reader;
            tome_postings_read(&reader, (struct bh_str){ copy, size });
            int64_t last = -1;
            while (tome_postings_next(&reader)) {
                assert_true(reader.id > last);
                last = reader.id;
                struct tome_places places = tome_postings_places(&reader, TOME_COLUMN_BODY);
                while (tome_places_next(&places))
                    assert_true(places.position <= TOME_POSTINGS_POSITION_MAX);
            }
            free(copy);
        }
    }
    bh_buf_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape_is_read_back),
        cmocka_unit_test(test_lists_put_together_are_a_list),
        cmocka_unit_test(test_lists_out_of_order_are_refused),
        cmocka_unit_test(test_seek_finds_what_next_finds),
        cmocka_unit_test(test_rows_of_books_joined_are_the_list_written_at_once),
        cmocka_unit_test(test_a_book_dropped_is_the_list_written_without_it),
        cmocka_unit_test(test_the_only_book_dropped_leaves_nothing),
        cmocka_unit_test(test_damaged_lists_are_not_dropped_from),
        cmocka_unit_test(test_damaged_lists_are_read_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
