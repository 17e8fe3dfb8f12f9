/*
 * A gate before a database's calls, for who keeps callers from a database that is ill (a circuit
 * breaker): it is asked before each call and told what came of it. A transaction is one call, from
 * its begin to its commit or rollback.
 *
 * The functions are called from the calls' own threads and must not wait; `host` with a lock of the
 * connection pool held, so it must not call into the database.
 */
#pragma once

#include "bulkhead/db/db.h"

enum bh_db_outcome {
    BH_DB_WORKED,  /* the database answered, be it with an error of the statement's own */
    BH_DB_FAILED,  /* the connection was lost, or the call's time ran out in the database */
    BH_DB_UNTOLD,  /* nothing is known: cancelled, or no connection was free in time */
    BH_DB_REFUSED, /* the pool refused it at once, because the host is down */
};

struct bh_db_gate {
    void *argument;

    /* 0, or the error with which the call fails at once. `ret_permit` comes back in `leave`. */
    int (*enter)(void *argument, enum bh_db_lane lane, uint64_t now_us, uint64_t *ret_permit,
                 struct bh_error *reterr);

    /* `longest_us`: of the call's statements, without the wait for a connection; 0 for those that
     * may take long by nature. */
    void (*leave)(void *argument, enum bh_db_lane lane, uint64_t permit, enum bh_db_outcome outcome,
                  uint64_t longest_us, uint64_t now_us);

    /* The host of a lane takes no connections any more, or does again. */
    void (*host)(void *argument, enum bh_db_lane lane, bool is_down);
};
