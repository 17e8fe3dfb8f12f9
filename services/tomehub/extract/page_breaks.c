#include "extract/page_breaks.h"

#include "bulkhead/base/error.h"

bool tome_page_breaks_next(struct bh_str *const rest, struct tome_page_break *const ret_break)
{
    if (rest->size == 0)
        return false;
    struct bh_str page = bh_str_split(rest, ',');
    const struct bh_str offset = bh_str_split(&page, ':');
    int64_t offset_value;
    int64_t page_value;
    if (bh_str_to_int64(offset, 0, INT32_MAX, &offset_value) != 0 ||
        bh_str_to_int64(page, 1, UINT32_MAX, &page_value) != 0)
        return false;
    *ret_break = (struct tome_page_break){ .offset = (size_t)offset_value,
                                           .page = (uint32_t)page_value };
    return true;
}

uint32_t tome_page_at(const uint32_t page_number, const struct bh_str page_breaks,
                      const size_t offset)
{
    uint32_t page = page_number;
    struct bh_str rest = page_breaks;
    struct tome_page_break next;
    while (tome_page_breaks_next(&rest, &next) && next.offset <= offset)
        page = next.page;
    return page;
}

struct bh_str tome_page_slice(const struct bh_str content, const size_t overlap,
                              const uint32_t page_number, const struct bh_str page_breaks,
                              const uint32_t page)
{
    size_t begin = page_number == page ? 0 : content.size;
    size_t end = content.size;
    struct bh_str rest = page_breaks;
    struct tome_page_break next;
    while (tome_page_breaks_next(&rest, &next)) {
        if (next.page == page) {
            begin = next.offset;
        } else if (next.page > page) {
            end = next.offset;
            break;
        }
    }
    if (begin < overlap)
        begin = overlap;
    if (end > content.size)
        end = content.size;
    if (begin >= end)
        return BH_STR_NONE;
    return (struct bh_str){ .data = content.data + begin, .size = end - begin };
}
