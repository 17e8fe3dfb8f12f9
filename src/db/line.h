/*
 * A line of those who wait for a connection, whatever kind that is: by priority, first in, first
 * out within each, and the share that one tenant may hold while others wait. It knows neither
 * connections nor time. Not thread-safe: under its owner's lock, or on its owner's thread.
 */
#pragma once

#include "bulkhead/base/list.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/standing.h"

#define BH_LINE_TENANT_SLOTS 256  /* tenants that share a slot share its cap */
#define BH_LINE_TENANT_PERCENT 50 /* counts only while others wait: nothing is left unused for it */

/* CoDel (bulkhead/base/codel.h): a line that is longer than this … */
#define BH_LINE_DELAY_TARGET_US (50 * BH_MS_US)
#define BH_LINE_DELAY_INTERVAL_US BH_SECOND_US /* … for so long sheds BH_LINE_LOW */

enum bh_line_priority {
    BH_LINE_HIGH,   /* operators, urgent routes: first, never shed for others */
    BH_LINE_NORMAL, /* people */
    BH_LINE_LOW,    /* background: shed first */
    BH_LINE_PRIORITIES
};

/* A place in line; embedded in whatever waits. */
struct bh_line_place {
    enum bh_line_priority priority; /* set both before joining */
    uint32_t tenant;                /* 0: of nobody, without a cap */
    struct bh_list node;            /* private */
};

struct bh_line {
    struct bh_list places[BH_LINE_PRIORITIES]; /* read-only: oldest first */
    unsigned count;                            /* read-only: all of them */
    unsigned waiting[BH_LINE_TENANT_SLOTS];    /* private: of a tenant */
    unsigned held[BH_LINE_TENANT_SLOTS];       /* private: connections */
};

enum bh_line_priority bh_line_priority_of(enum bh_fiber_priority priority);

void bh_line_init(struct bh_line *line);

/* At the end of its priority. */
void bh_line_join(struct bh_line *line, struct bh_line_place *place);
void bh_line_leave(struct bh_line *line, struct bh_line_place *place);

/* A tenant got a connection, and gives it back; both also without having waited. */
void bh_line_took(struct bh_line *line, uint32_t tenant);
void bh_line_gave_back(struct bh_line *line, uint32_t tenant);

/* How many of so many connections a tenant may hold while others wait; 0: as many as it can get. */
unsigned bh_line_cap(unsigned connections, unsigned percent);

/* Whose turn it is, or NULL: within the highest priority somebody has, the first whose tenant is
 * below `cap`; the first of all if there is none, for a tenant borrows what the others leave. */
struct bh_line_place *bh_line_next(const struct bh_line *line, unsigned cap);

/* The oldest of a priority, or NULL. */
struct bh_line_place *bh_line_first(const struct bh_line *line, enum bh_line_priority priority);
/* Who gives way to one of `priority` in a full line: the newest of the lowest below it, or NULL. */
struct bh_line_place *bh_line_last_below(const struct bh_line *line,
                                         enum bh_line_priority priority);

/* Asserts the line's invariants; for tests. */
void bh_line_check(const struct bh_line *line);

static inline struct bh_line_place *bh_line_place_at(struct bh_list *const node)
{
    return BH_LIST_ENTRY(node, struct bh_line_place, node);
}
