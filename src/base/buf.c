#include "bulkhead/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/error.h"

#define CAPACITY_MIN 256
#define PRINTF_BYTES 256 /* longer texts take a detour through the heap */

void bh_buf_init(struct bh_buf *const buf, const size_t maximum)
{
    *buf = (struct bh_buf){ .maximum = maximum };
}

void bh_buf_fini(struct bh_buf *const buf)
{
    free(buf->data);
    *buf = (struct bh_buf){ .maximum = buf->maximum };
}

void bh_buf_clear(struct bh_buf *const buf)
{
    buf->size = 0;
    buf->error = 0;
}

static int grow(struct bh_buf *const buf, const size_t needed)
{
    size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity;
    while (capacity < needed && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity > buf->maximum || capacity < needed)
        capacity = buf->maximum;
    char *const data = realloc(buf->data, capacity);
    if (!data)
        return BH_ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

char *bh_buf_reserve(struct bh_buf *const buf, const size_t extra)
{
    if (buf->error)
        return NULL;
    if (extra > buf->maximum - buf->size) {
        buf->error = BH_ELIMIT;
        return NULL;
    }
    if (extra > buf->capacity - buf->size || !buf->data) {
        buf->error = grow(buf, buf->size + extra);
        if (buf->error)
            return NULL;
    }
    return buf->data + buf->size;
}

void bh_buf_advance(struct bh_buf *const buf, const size_t written)
{
    bh_assert(written <= buf->capacity - buf->size);
    buf->size += written;
}

void bh_buf_append(struct bh_buf *const buf, const void *const data, const size_t size)
{
    if (size == 0)
        return;
    char *const to = bh_buf_reserve(buf, size);
    if (!to)
        return;
    memcpy(to, data, size);
    buf->size += size;
}

void bh_buf_append_str(struct bh_buf *const buf, const struct bh_str text)
{
    bh_buf_append(buf, text.data, text.size);
}

void bh_buf_append_byte(struct bh_buf *const buf, const char byte)
{
    char *const to = bh_buf_reserve(buf, 1);
    if (!to)
        return;
    *to = byte;
    buf->size++;
}

void bh_buf_printf(struct bh_buf *const buf, const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    char text[PRINTF_BYTES];
    char *longer = NULL;
    int size = vsnprintf(text, sizeof(text), format, arguments);
    if (size >= (int)sizeof(text))
        size = vasprintf(&longer, format, again);
    if (size >= 0)
        bh_buf_append(buf, longer ? longer : text, (size_t)size);
    else if (!buf->error)
        buf->error = BH_ENOMEM;
    free(longer);
    va_end(again);
    va_end(arguments);
}

void bh_buf_consume(struct bh_buf *const buf, const size_t count)
{
    bh_assert(count <= buf->size);
    buf->size -= count;
    if (buf->size > 0)
        memmove(buf->data, buf->data + count, buf->size);
}
