/* Fiber stacks: mapped memory with a guard page below, pooled by their owner's loop. */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/list.h"

/* Stands at the top of its own mapping. */
struct bh_stack {
    struct bh_list node; /* the pool's list while free; the fiber's to use otherwise */
    char *bottom;        /* read-only: lowest usable byte */
    size_t size;         /* read-only: usable bytes below this struct */
};

struct bh_stack_pool {
    size_t stack_bytes;       /* read-only: of each mapping, without the guard page */
    unsigned idle_maximum;    /* read-only: how many free stacks stay mapped */
    unsigned idle_count;      /* private */
    struct bh_list idle_list; /* private: last used first, so its pages are warm */
};

void bh_stack_pool_init(struct bh_stack_pool *pool, size_t stack_bytes, unsigned idle_maximum);
void bh_stack_pool_fini(struct bh_stack_pool *pool);

/* NULL when no memory can be mapped. */
struct bh_stack *bh_stack_take(struct bh_stack_pool *pool) BH_MUST_CHECK;
void bh_stack_give_back(struct bh_stack_pool *pool, struct bh_stack *stack);
