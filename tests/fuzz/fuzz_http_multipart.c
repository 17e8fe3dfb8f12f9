/* Forms: cut anywhere they give the same parts and contents, names stay UTF-8 and without folders,
 * and nothing passes the limits. The first two bytes choose the cut; the boundary is "XX". A
 * Content-Type made of the same bytes must not break its reader. */
#include <stdint.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "http/multipart_parser.h"

static void check_part(const struct bh_multipart_item *const item)
{
    bh_assert(item->name.data && bh_str_is_utf8(item->name));
    bh_assert(bh_str_is_utf8(item->filename));
    bh_assert(item->filename.size == 0 ||
              (!memchr(item->filename.data, '/', item->filename.size) &&
               !memchr(item->filename.data, '\\', item->filename.size)));
}

/* Writes down what is said; 0 or the error. */
static int feed(struct bh_multipart_parser *const parser, struct bh_buf *const out,
                struct bh_str input)
{
    for (;;) {
        struct bh_multipart_item item = { .event = BH_MULTIPART_END };
        const int result = bh_multipart_parser_next(parser, &input, &item, NULL);
        if (result != BH_MULTIPART_EVENT)
            return result < 0 ? result : 0;
        if (item.event == BH_MULTIPART_PART) {
            check_part(&item);
            bh_buf_append_str(out, item.name);
            bh_buf_append_str(out, item.filename);
            bh_buf_append_str(out, item.content_type);
        } else if (item.event == BH_MULTIPART_DATA) {
            bh_assert(item.data.size > 0);
            bh_buf_append_str(out, item.data);
        } else {
            bh_buf_append_byte(out, '$');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *const bytes, const size_t count)
{
    if (count < 2)
        return 0;
    const struct bh_str text = { (const char *)bytes + 2, count - 2 };
    const size_t cut = text.size == 0 ? 0 : (bytes[0] * 256u + bytes[1]) % text.size;
    static struct bh_multipart_parser whole;
    static struct bh_multipart_parser again;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf whole_out;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf cut_out;
    bh_buf_init(&whole_out, 2 * count + 64);
    bh_buf_init(&cut_out, 2 * count + 64);

    bh_multipart_parser_init(&whole, BH_STR("XX"));
    const int result = feed(&whole, &whole_out, text);
    bh_multipart_parser_init(&again, BH_STR("XX"));
    int cut_result = feed(&again, &cut_out, (struct bh_str){ text.data, cut });
    if (cut_result == 0)
        cut_result = feed(&again, &cut_out, (struct bh_str){ text.data + cut, text.size - cut });
    bh_assert(result == cut_result);
    bh_assert(bh_buf_error(&whole_out) == 0);
    bh_assert(bh_str_equal(bh_buf_peek(&whole_out), bh_buf_peek(&cut_out)));

    char boundary_bytes[BH_MULTIPART_BOUNDARY_MAX];
    struct bh_str boundary;
    if (bh_multipart_boundary(text, boundary_bytes, &boundary, NULL) == 0)
        bh_assert(boundary.size > 0 && boundary.size <= BH_MULTIPART_BOUNDARY_MAX);
    return 0;
}
