/* Values of caches under test: a number, padded to a size. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/cache/cache.h"

#define FOREVER ((struct bh_cache_lifetime){ .ttl_us = BH_NEVER_US })

static inline struct bh_cache_value *value_of_size(const int64_t number, const size_t padding)
{
    struct bh_buf buf;
    bh_buf_init(&buf, SIZE_MAX / 2);
    bh_buf_append_int(&buf, number);
    char *const room = bh_buf_reserve(&buf, padding + 1);
    bh_assert(room != NULL);
    memset(room, ' ', padding);
    bh_buf_advance(&buf, padding);
    struct bh_cache_value *const value = bh_cache_value_take(&buf);
    bh_assert(value != NULL && buf.data == NULL);
    return value;
}

static inline struct bh_cache_value *value_of(const int64_t number)
{
    return value_of_size(number, 0);
}

/* The number, giving the reference back; -1 for none. */
static inline int64_t number_of(struct bh_cache_value *const value)
{
    if (value == NULL)
        return -1;
    const struct bh_str data = bh_cache_value_peek(value);
    char digits[24] = "";
    size_t size = 0;
    while (size < data.size && size < sizeof(digits) - 1 && data.data[size] != ' ')
        size++;
    memcpy(digits, data.data, size);
    bh_cache_value_unref(value);
    return strtoll(digits, NULL, 10);
}

struct key {
    char text[32];
};
static inline struct key key_of(const uint64_t number)
{
    struct key key;
    snprintf(key.text, sizeof(key.text), "key %llu", (unsigned long long)number);
    return key;
}

static inline int put_number(struct bh_cache *const cache, const uint64_t key, const int64_t number,
                             const size_t padding, const uint64_t now_us)
{
    const struct key text = key_of(key);
    const struct bh_cache_ticket ticket = bh_cache_begin(cache, NULL, 0);
    struct bh_cache_value *const value = value_of_size(number, padding);
    const int result = bh_cache_put(cache, bh_str_from(text.text), &ticket, FOREVER, value, now_us);
    bh_cache_value_unref(value);
    return result;
}

static inline int64_t get_number(struct bh_cache *const cache, const uint64_t key,
                                 const uint64_t now_us)
{
    const struct key text = key_of(key);
    return number_of(bh_cache_get(cache, bh_str_from(text.text), now_us));
}

static inline struct bh_cache *make_cache(const size_t bytes, const unsigned shards)
{
    struct bh_cache *cache = NULL;
    const struct bh_cache_options options = {
        .name = "test", .maximum_bytes = bytes, .shards = shards, .seed = 1
    };
    const int result = bh_cache_create(&options, &cache);
    bh_assert(result == 0);
    return cache;
}
