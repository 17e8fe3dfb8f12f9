#include "library/visible.h"

int64_t tome_visible_find(const struct tome_visible *const visible, const int64_t id)
{
    size_t low = 0, high = visible->book_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (visible->books[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < visible->book_count && visible->books[low].id == id ? (int64_t)low : -1;
}
