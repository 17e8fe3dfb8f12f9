/*
 * Timing a call, for db.c and what a driver adds to it. A span lives on the caller's stack from
 * begin to end; between them the driver notes in it what it alone can know.
 */
#pragma once

#include "bulkhead/db/db.h"
#include "bulkhead/db/trace.h"

struct bh_trace_span {
    /* Set by the driver, from any thread that hands the result over. */
    uint64_t granted_us; /* when the call got its connection; 0: it never did, or not to be told */
    uint64_t ended_us;   /* when the database was done; 0: when the call returns */
    uint64_t rows;       /* given, or changed by a statement that gives none */

    /* Private. */
    uint64_t begun_us;
    unsigned entry;
};

/* Makes a table of statements known, by PostgreSQL's grammar where `is_postgres`. `text_of` gives a
 * statement's text for the backend, or NULL. Not from a fiber: takes stack and some 20 µs each. */
void bh_trace_register(const struct bh_statement *statements, size_t count,
                       const char *(*text_of)(const struct bh_statement *statement),
                       bool is_postgres);

/* `name` and `text` are constant for the life of the process: they are told apart by the address of
 * `text`. A text seen for the first time is read then. NULL: there is none, nothing is counted. */
void bh_trace_begin(struct bh_trace_span *ret_span, const char *name, const char *text);

/* Counts the call, with its `result`, for the running fiber's request; logs it when it was slow. */
void bh_trace_end(const struct bh_trace_span *span, int result);
