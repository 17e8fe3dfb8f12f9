/* The chunked coding: cut anywhere it gives the same data and the same end; and what was decoded,
 * coded again, decodes to the same. The first two bytes choose the cut. */
#include <stdint.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "http/chunked.h"

static enum bh_chunked_result feed(struct bh_chunked *const chunked, struct bh_buf *const out,
                                   struct bh_str *const input)
{
    for (;;) {
        struct bh_str data;
        const enum bh_chunked_result result = bh_chunked_next(chunked, input, &data);
        if (result != BH_CHUNKED_DATA)
            return result;
        bh_assert(data.size > 0);
        bh_buf_append_str(out, data);
    }
}

static void check_coded_again(const struct bh_buf *const out)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf coded;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf back;
    bh_buf_init(&coded, out->size + 64);
    bh_buf_init(&back, out->size + 64);
    if (out->size > 0) {
        bh_buf_printf(&coded, "%zx;a=b\r\n", out->size);
        bh_buf_append_str(&coded, bh_buf_peek(out));
        bh_buf_append_str(&coded, BH_STR("\r\n"));
    }
    bh_buf_append_str(&coded, BH_STR("0\r\n\r\n"));
    struct bh_chunked chunked = { .reason = NULL };
    struct bh_str input = bh_buf_peek(&coded);
    bh_assert(feed(&chunked, &back, &input) == BH_CHUNKED_END && input.size == 0);
    bh_assert(bh_str_equal(bh_buf_peek(&back), bh_buf_peek(out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *const bytes, const size_t count)
{
    if (count < 2)
        return 0;
    const struct bh_str text = { (const char *)bytes + 2, count - 2 };
    const size_t cut = text.size == 0 ? 0 : (bytes[0] * 256u + bytes[1]) % text.size;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf whole_out;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf cut_out;
    bh_buf_init(&whole_out, count);
    bh_buf_init(&cut_out, count);

    struct bh_chunked whole = { .reason = NULL };
    struct bh_str rest = text;
    const enum bh_chunked_result result = feed(&whole, &whole_out, &rest);
    struct bh_chunked again = { .reason = NULL };
    struct bh_str first = { text.data, cut };
    struct bh_str second = { text.data + cut, text.size - cut };
    enum bh_chunked_result cut_result = feed(&again, &cut_out, &first);
    if (cut_result == BH_CHUNKED_MORE)
        cut_result = feed(&again, &cut_out, &second);
    bh_assert(cut_result == result);
    bh_assert(bh_str_equal(bh_buf_peek(&whole_out), bh_buf_peek(&cut_out)));
    bh_assert((result == BH_CHUNKED_REFUSED) == (whole.reason != NULL));
    check_coded_again(&whole_out);
    return 0;
}
