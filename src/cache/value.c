/* Values: one block of memory each, freed by whoever drops the last reference. */
#include "cache/value.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"

#define VALUE_MAGIC UINT32_C(0x62686376)
#define BLOCK_OVERHEAD sizeof(size_t) /* the allocator's own */

struct bh_cache_value {
    BH_MAGIC_FIELD;
    atomic_uint references;
    size_t size;
    char data[];
};

struct bh_cache_value *bh_cache_value_take(struct bh_buf *const buf)
{
    const struct bh_str data = bh_buf_peek(buf);
    struct bh_cache_value *const value = bh_buf_error(buf) == 0 ? malloc(sizeof(*value) + data.size)
                                                                : NULL;
    if (value != NULL) {
        value->magic = VALUE_MAGIC;
        atomic_init(&value->references, 1);
        value->size = data.size;
        if (data.size > 0)
            memcpy(value->data, data.data, data.size);
    }
    bh_buf_fini(buf);
    return value;
}

struct bh_cache_value *bh_cache_value_ref(struct bh_cache_value *const value)
{
    bh_magic_check(value, VALUE_MAGIC);
    atomic_fetch_add_explicit(&value->references, 1, memory_order_relaxed);
    return value;
}

void bh_cache_value_unref(struct bh_cache_value *const value)
{
    if (value == NULL)
        return;
    bh_magic_check(value, VALUE_MAGIC);
    if (atomic_fetch_sub_explicit(&value->references, 1, memory_order_acq_rel) == 1) {
        value->magic = 0;
        free(value);
    }
}

struct bh_str bh_cache_value_peek(const struct bh_cache_value *const value)
{
    return (struct bh_str){ value->data, value->size };
}

size_t bh_cache_block_cost(const void *const block)
{
    return malloc_usable_size((void *)(uintptr_t)block) + BLOCK_OVERHEAD;
}
