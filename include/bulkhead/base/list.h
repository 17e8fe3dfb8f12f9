/* Intrusive doubly linked list. A node belongs to at most one list; an unlinked node points to
 * itself, so unlinking twice is harmless. Not thread-safe. */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/macro.h"

struct bh_list {
    struct bh_list *next; /* private */
    struct bh_list *prev; /* private */
};

#define BH_LIST_ENTRY(node, type, member) BH_CONTAINER_OF(node, type, member)

#define BH_LIST_FOREACH(node, head)                                                      \
    for (struct bh_list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

static inline void bh_list_init(struct bh_list *const head)
{
    head->next = head;
    head->prev = head;
}

static inline bool bh_list_is_empty(const struct bh_list *const head)
{
    return head->next == head;
}

static inline void bh_list_insert_after(struct bh_list *const at, struct bh_list *const node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}

static inline void bh_list_append(struct bh_list *const head, struct bh_list *const node)
{
    bh_list_insert_after(head->prev, node);
}

static inline void bh_list_prepend(struct bh_list *const head, struct bh_list *const node)
{
    bh_list_insert_after(head, node);
}

static inline void bh_list_unlink(struct bh_list *const node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    bh_list_init(node);
}

/* The first node, unlinked, or NULL when the list is empty. */
static inline struct bh_list *bh_list_pop(struct bh_list *const head)
{
    if (bh_list_is_empty(head))
        return NULL;
    struct bh_list *const node = head->next;
    bh_list_unlink(node);
    return node;
}
