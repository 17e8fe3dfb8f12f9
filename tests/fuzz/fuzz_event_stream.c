/* Server-sent events: the same events whatever the pieces in which the bytes come. */
#include "answers/event_stream.h"
#include "bulkhead/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVENTS_MAX 4096

struct told {
    size_t sizes[EVENTS_MAX];
    size_t count;
    size_t sum; /* of all bytes */
    int result;
};

static void read_pieces(const uint8_t *const data, const size_t size, const size_t piece,
                        struct told *const told)
{
    struct tome_event_stream stream;
    *told = (struct told){ .count = 0 };
    tome_event_stream_init(&stream);
    for (size_t at = 0; at < size && told->result >= 0; at += piece) {
        struct bh_str input = { (const char *)data + at, size - at < piece ? size - at : piece };
        struct bh_str event;
        while ((told->result = tome_event_stream_next(&stream, &input, &event)) > 0) {
            for (size_t i = 0; i < event.size; i++)
                told->sum += (unsigned char)event.data[i];
            if (told->count < EVENTS_MAX)
                told->sizes[told->count++] = event.size;
        }
        bh_assert(told->result < 0 || input.size == 0);
    }
    tome_event_stream_fini(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static struct told whole, pieces;
    read_pieces(data, size, size > 0 ? size : 1, &whole);
    read_pieces(data, size, 1 + size % 7, &pieces);
    bh_assert(whole.count == pieces.count && whole.sum == pieces.sum);
    bh_assert(memcmp(whole.sizes, pieces.sizes, whole.count * sizeof(whole.sizes[0])) == 0);
    return 0;
}
