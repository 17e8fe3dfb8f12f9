/* What a block of memory costs; the rest of values is in bulkhead/cache/cache.h. */
#pragma once

#include "bulkhead/cache/cache.h"

/* Of malloc's, with the allocator's own share. */
size_t bh_cache_block_cost(const void *block);
