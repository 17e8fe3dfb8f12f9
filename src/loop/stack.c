#include "loop/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void bh_stack_pool_init(struct bh_stack_pool *const pool, const size_t stack_bytes,
                        const unsigned idle_maximum)
{
    const size_t page = page_bytes();
    *pool = (struct bh_stack_pool){
        .stack_bytes = (stack_bytes + page - 1) / page * page,
        .idle_maximum = idle_maximum,
    };
    bh_list_init(&pool->idle_list);
}

static struct bh_stack *stack_map(const size_t stack_bytes)
{
    const size_t page = page_bytes();
    char *const mapping = mmap(NULL, stack_bytes + page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping, page, PROT_NONE) != 0) {
        munmap(mapping, stack_bytes + page);
        return NULL;
    }
    const size_t header = (sizeof(struct bh_stack) + 63) & ~(size_t)63;
    struct bh_stack *const stack = (void *)(mapping + page + stack_bytes - header);
    bh_list_init(&stack->node);
    stack->bottom = mapping + page;
    stack->size = stack_bytes - header;
    return stack;
}

static void stack_unmap(const size_t stack_bytes, struct bh_stack *const stack)
{
    const size_t page = page_bytes();
    munmap(stack->bottom - page, stack_bytes + page);
}

void bh_stack_pool_fini(struct bh_stack_pool *const pool)
{
    for (struct bh_list *node; (node = bh_list_pop(&pool->idle_list));)
        stack_unmap(pool->stack_bytes, BH_LIST_ENTRY(node, struct bh_stack, node));
    pool->idle_count = 0;
}

struct bh_stack *bh_stack_take(struct bh_stack_pool *const pool)
{
    struct bh_list *const node = bh_list_pop(&pool->idle_list);
    if (!node)
        return stack_map(pool->stack_bytes);
    pool->idle_count--;
    return BH_LIST_ENTRY(node, struct bh_stack, node);
}

void bh_stack_give_back(struct bh_stack_pool *const pool, struct bh_stack *const stack)
{
    if (pool->idle_count >= pool->idle_maximum) {
        stack_unmap(pool->stack_bytes, stack);
        return;
    }
    pool->idle_count++;
    bh_list_prepend(&pool->idle_list, &stack->node);
}
