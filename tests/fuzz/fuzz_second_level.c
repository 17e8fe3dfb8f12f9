/* What Redis gives back: any bytes are that key's answer, or nothing; what is packed comes back. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "cache/second_level.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_str input = { (const char *)data, size };
    bh_cache_value_unref(tome_second_level_unpack(input, BH_STR("key")));
    struct bh_buf packed;
    bh_buf_init(&packed, 1 << 24);
    tome_second_level_pack(&packed, BH_STR("key"), input);
    struct bh_cache_value *const value = tome_second_level_unpack(bh_buf_peek(&packed),
                                                                  BH_STR("key"));
    bh_assert(value != NULL);
    const struct bh_str found = bh_cache_value_peek(value);
    bh_assert(found.size == size && (size == 0 || memcmp(found.data, data, size) == 0));
    bh_cache_value_unref(value);
    bh_buf_fini(&packed);
    return 0;
}
