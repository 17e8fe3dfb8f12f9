/*
 * Arena: memory that lives as long as one request (or one job) and is given back in one step.
 *
 * Allocation moves a pointer; blocks grow to 64 KiB; larger wishes get a block of their own. The
 * arena has a byte limit fixed at creation: a wish past it returns NULL like an exhausted heap,
 * so no peer can grow a request without bound. One thread at a time.
 */
#pragma once

#include "bulkhead/base/str.h"

struct bh_arena; /* opaque */

/* `limit_bytes`: the most that may be handed out between two resets. */
int bh_arena_create(size_t limit_bytes, struct bh_arena **ret_arena) BH_MUST_CHECK;

/* Frees all. NULL is fine. */
void bh_arena_destroy(struct bh_arena *arena);
BH_DEFINE_CLEANUP(struct bh_arena, bh_arena_destroy)

/* Takes everything back but keeps the first block for reuse. */
void bh_arena_reset(struct bh_arena *arena);

/* `size` bytes aligned for any type, not zeroed; NULL when the limit or the heap is exhausted.
 * Owned by the arena until reset or destroy. */
void *bh_arena_alloc(struct bh_arena *arena, size_t size) BH_MUST_CHECK;

/* The same for `count` elements, zeroed, overflow checked. */
void *bh_arena_calloc(struct bh_arena *arena, size_t count, size_t size) BH_MUST_CHECK;

/* A terminated copy of `text`; NULL on exhaustion. */
char *bh_arena_strdup(struct bh_arena *arena, struct bh_str text) BH_MUST_CHECK;

/* A formatted, terminated string; NULL on exhaustion. */
char *bh_arena_printf(struct bh_arena *arena, const char *format, ...)
    BH_PRINTF(2, 3) BH_MUST_CHECK;

/* Bytes handed out since the last reset. */
size_t bh_arena_used(const struct bh_arena *arena);
