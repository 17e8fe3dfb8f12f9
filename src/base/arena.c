/* Blocks are a singly linked stack; the newest serves allocations. The first block is kept by
 * reset, so a steady stream of requests does not touch the heap. */
#include "bulkhead/base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#define HAS_ASAN __has_feature(address_sanitizer)
#else
#define HAS_ASAN 0
#endif
#if HAS_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define POISON(address, size) ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
#endif

#define FIRST_BLOCK_BYTES 4096
#define BLOCK_BYTES_MAX 65536
#define ARENA_MAGIC 0x4152454eu

struct block {
    struct block *older;
    size_t capacity; /* bytes of data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct bh_arena {
    BH_MAGIC_FIELD;
    size_t limit;
    size_t handed_out;
    struct block *newest;
};

static struct block *block_create(const size_t capacity, struct block *const older)
{
    if (capacity > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *const block = malloc(sizeof(*block) + capacity);
    if (!block)
        return NULL;
    block->older = older;
    block->capacity = capacity;
    block->used = 0;
    POISON(block->data, capacity);
    return block;
}

int bh_arena_create(const size_t limit_bytes, struct bh_arena **const ret_arena)
{
    struct bh_arena *const arena = malloc(sizeof(*arena));
    struct block *const first = block_create(FIRST_BLOCK_BYTES, NULL);
    if (!arena || !first) {
        free(arena);
        free(first);
        return BH_ENOMEM;
    }
    *arena = (struct bh_arena){ .magic = ARENA_MAGIC, .limit = limit_bytes, .newest = first };
    *ret_arena = arena;
    return 0;
}

void bh_arena_destroy(struct bh_arena *const arena)
{
    if (!arena)
        return;
    bh_arena_reset(arena);
    free(arena->newest);
    arena->magic = 0;
    free(arena);
}

void bh_arena_reset(struct bh_arena *const arena)
{
    bh_magic_check(arena, ARENA_MAGIC);
    while (arena->newest->older) {
        struct block *const block = arena->newest;
        arena->newest = block->older;
        free(block);
    }
    POISON(arena->newest->data, arena->newest->capacity);
    arena->newest->used = 0;
    arena->handed_out = 0;
}

void *bh_arena_alloc(struct bh_arena *const arena, const size_t size)
{
    bh_magic_check(arena, ARENA_MAGIC);
    const size_t alignment = alignof(max_align_t);
    if (size > SIZE_MAX - alignment)
        return NULL;
    const size_t rounded = (size + alignment - 1) & ~(alignment - 1);
    if (rounded > arena->limit - arena->handed_out)
        return NULL;

    struct block *block = arena->newest;
    if (rounded > block->capacity - block->used) {
        size_t capacity = block->capacity * 2;
        if (capacity > BLOCK_BYTES_MAX)
            capacity = BLOCK_BYTES_MAX;
        if (capacity < rounded)
            capacity = rounded;
        block = block_create(capacity, arena->newest);
        if (!block)
            return NULL;
        arena->newest = block;
    }
    void *const memory = block->data + block->used;
    UNPOISON(memory, size);
    block->used += rounded;
    arena->handed_out += rounded;
    return memory;
}

void *bh_arena_calloc(struct bh_arena *const arena, const size_t count, const size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *const memory = bh_arena_alloc(arena, total);
    return memory ? memset(memory, 0, total) : NULL;
}

char *bh_arena_strdup(struct bh_arena *const arena, const struct bh_str text)
{
    if (text.size == SIZE_MAX)
        return NULL;
    char *const copy = bh_arena_alloc(arena, text.size + 1);
    if (!copy)
        return NULL;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

char *bh_arena_printf(struct bh_arena *const arena, const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int size = vsnprintf(NULL, 0, format, arguments);
    char *const text = size < 0 ? NULL : bh_arena_alloc(arena, (size_t)size + 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

size_t bh_arena_used(const struct bh_arena *const arena)
{
    return arena->handed_out;
}
