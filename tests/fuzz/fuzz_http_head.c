/* Request heads: cut anywhere they mean the same; what is accepted is free of all that another
 * parser could read in a second way. The first two bytes choose the cut. */
#include <stdint.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "http/head.h"

static const struct bh_head_limits limits = { .bytes_maximum = 4096,
                                              .target_maximum = 1024,
                                              .fields_maximum = 32 };

static void check_accepted(const struct bh_head *const head, const char *const data,
                           const size_t size)
{
    bh_assert(head->size >= 4 && head->size <= size && head->size <= limits.bytes_maximum);
    bh_assert(memcmp(data + head->size - 4, "\r\n\r\n", 4) == 0);
    bh_assert(!memchr(data, '\0', head->size));
    for (size_t i = 0; i < head->size; i++) {
        if (data[i] == '\n')
            bh_assert(i > 0 && data[i - 1] == '\r');
        if (data[i] == '\r')
            bh_assert(data[i + 1] == '\n');
    }
    unsigned hosts = 0;
    unsigned lengths = 0;
    unsigned codings = 0;
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct bh_str name = bh_head_slice_str(head->fields[i].name, data);
        hosts += bh_str_equal_nocase(name, BH_STR("Host"));
        lengths += bh_str_equal_nocase(name, BH_STR("Content-Length"));
        codings += bh_str_equal_nocase(name, BH_STR("Transfer-Encoding"));
    }
    bh_assert(hosts == 1 || (hosts == 0 && head->minor_version == 0));
    bh_assert(lengths + codings <= 1);
    bh_assert(lengths == (head->content_length >= 0) && codings == head->is_chunked);
    const struct bh_str path = bh_head_path(head, data);
    bh_assert(path.size > 0 && (path.data[0] == '/' || head->is_asterisk));
}

int LLVMFuzzerTestOneInput(const uint8_t *const bytes, const size_t count)
{
    if (count < 2)
        return 0;
    const char *const data = (const char *)bytes + 2;
    const size_t size = count - 2;
    struct bh_head whole;
    bh_head_init(&whole);
    const enum bh_head_result result = bh_head_parse(&whole, &limits, data, size);
    if (result == BH_HEAD_DONE)
        check_accepted(&whole, data, size);
    else if (result == BH_HEAD_MORE)
        bh_assert(size < limits.bytes_maximum);

    const size_t cut = size == 0 ? 0 : (bytes[0] * 256u + bytes[1]) % size;
    char *const first = malloc(cut + 1); /* so that reading past the cut is seen */
    bh_assert(first != NULL);
    memcpy(first, data, cut);
    struct bh_head again;
    bh_head_init(&again);
    enum bh_head_result cut_result = bh_head_parse(&again, &limits, first, cut);
    free(first);
    if (cut_result == BH_HEAD_MORE)
        cut_result = bh_head_parse(&again, &limits, data, size);
    bh_assert((cut_result == BH_HEAD_DONE) == (result == BH_HEAD_DONE));
    if (result == BH_HEAD_DONE) {
        bh_assert(again.size == whole.size && again.content_length == whole.content_length &&
                  again.keep_alive == whole.keep_alive && again.field_count == whole.field_count);
    }
    return 0;
}
