/*
 * How a database's connections fare, the same for every driver. Any thread; sums over loops, which
 * may be torn between fields while loops run.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/db/db.h"

/* Of one lane. */
struct bh_db_statistics {
    /* Now. */
    unsigned size;     /* connections kept at most */
    unsigned total;    /* there are */
    unsigned in_use;   /* of those: run a call, or held by a transaction */
    unsigned overflow; /* of those: above `size` */
    unsigned waiting;  /* calls */
    bool is_down;      /* the database takes no connections */
    /* PostgreSQL, of all lanes on the primary together: how many connections they may open, and how
     * many the server takes (max_connections without the superusers'). 0: not known. */
    unsigned wanted, room;
    bool is_paused; /* by bulkhead/db/control.h */

    /* Since the database was opened. */
    uint64_t granted;   /* times a connection was given to a call or transaction */
    uint64_t waited;    /* of those: not at once */
    uint64_t timed_out; /* calls that got none in time, or whose deadline came first */
    uint64_t refused;   /* calls that got none because too many waited, or were shed */
    uint64_t connected; /* connections made */
};

/* The share of grants that needed no new connection, 0.0–1.0; before there are any, none did. */
static inline double bh_db_reuse_ratio(const uint64_t granted, const uint64_t connected)
{
    if (granted <= connected)
        return granted == 0 ? 1.0 : 0.0;
    return 1.0 - (double)connected / (double)granted;
}

void bh_db_statistics(struct bh_db *db, enum bh_db_lane lane,
                      struct bh_db_statistics *ret_statistics);
