/* Postings, which come from a database: whatever the bytes, chunks rise, positions stay in bounds,
 * reading by seek finds what reading in order found, and what was read is written back to a list
 * that reads the same. */
#include "library/postings.h"

#include "bulkhead/base/assert.h"

#define CHUNKS_MAX 4096

static uint64_t check_places(const struct tome_postings_reader *const reader,
                             struct tome_postings_writer *const writer)
{
    uint64_t sum = 0;
    for (unsigned column = 0; column < TOME_COLUMN_COUNT; column++) {
        if (column == TOME_COLUMN_STEMS)
            continue;
        struct tome_places places = tome_postings_places(reader, column);
        uint32_t count = 0;
        int64_t last = -1;
        while (tome_places_next(&places)) {
            bh_assert((int64_t)places.position > last);
            last = (int64_t)places.position;
            bh_assert(places.position <= TOME_POSTINGS_POSITION_MAX);
            sum += places.position;
            count++;
            tome_postings_add(writer, reader->id, column, places.position);
        }
        bh_assert(count == reader->counts[column]);
    }
    return sum;
}

static size_t read_all(const struct bh_str list, int64_t ids[CHUNKS_MAX], struct bh_buf *const copy,
                       uint64_t *const ret_sum)
{
    struct tome_postings_reader reader;
    struct tome_postings_writer writer;
    tome_postings_writer_init(&writer);
    tome_postings_begin(&writer, copy);
    size_t count = 0;
    int64_t last = -1;
    *ret_sum = 0;
    tome_postings_read(&reader, list);
    while (count < CHUNKS_MAX && tome_postings_next(&reader)) {
        bh_assert(reader.id > last);
        last = reader.id;
        *ret_sum += check_places(&reader, &writer);
        ids[count++] = reader.id;
    }
    bh_assert(tome_postings_end(&writer) == 0);
    tome_postings_writer_fini(&writer);
    return count;
}

/* What is left holds the other books' chunks and no run of that one. */
static void check_drop(const struct bh_str list, const int64_t dropped)
{
    struct bh_buf left;
    bh_buf_init(&left, 64U << 20);
    if (tome_postings_drop(list, dropped, &left) == 0) {
        struct tome_postings_reader before, after;
        int64_t book, book_after;
        uint32_t chunks, chunks_after;
        tome_postings_read(&before, list);
        tome_postings_read(&after, bh_buf_peek(&left));
        while (tome_postings_next_book(&before, &book, &chunks)) {
            if (book == dropped)
                continue;
            bh_assert(tome_postings_next_book(&after, &book_after, &chunks_after));
            bh_assert(book_after == book && chunks_after == chunks);
        }
        bh_assert(!tome_postings_next_book(&after, &book_after, &chunks_after));
        bh_assert(!after.is_corrupt);
    }
    bh_buf_fini(&left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static int64_t ids[CHUNKS_MAX], ids_again[CHUNKS_MAX];
    const struct bh_str list = { (const char *)data, size };
    struct bh_buf copy, copy_again;
    bh_buf_init(&copy, 64U << 20);
    bh_buf_init(&copy_again, 64U << 20);
    uint64_t sum, sum_again;
    const size_t count = read_all(list, ids, &copy, &sum);
    const size_t count_again = read_all(bh_buf_peek(&copy), ids_again, &copy_again, &sum_again);
    bh_assert(sum == sum_again && count_again <= count);

    struct tome_postings_reader reader;
    tome_postings_read(&reader, list);
    for (size_t i = 0; i < count; i += 1 + i % 5) {
        bh_assert(tome_postings_seek(&reader, ids[i]));
        bh_assert(reader.id == ids[i]);
    }
    int64_t book, last = -1;
    uint32_t chunks;
    int drops = 4;
    tome_postings_read(&reader, list);
    while (tome_postings_next_book(&reader, &book, &chunks)) {
        bh_assert(book >= last && chunks > 0);
        last = book;
        if (drops-- > 0)
            check_drop(list, book);
    }
    bh_buf_fini(&copy);
    bh_buf_fini(&copy_again);
    return 0;
}
