/*
 * PostgreSQL's errors in the terms of bh_error: code, SQLSTATE, and a cure where there is one.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

#include "bulkhead/base/error.h"

/* An error the server sent. `what`: the statement's name, or what was being done. Returns the
 * code. */
int bh_pg_error_result(const PGresult *result, const char *what, struct bh_error *reterr);

/* The state of a connection that failed, or was never there: libpq's message, one line, without
 * what may hold a secret. BH_EUNAVAILABLE, or what its SQLSTATE says. */
int bh_pg_error_connection(const PGconn *connection, const char *what, struct bh_error *reterr);

/* Whether the server refuses a prepared statement that a new preparation would cure: its result
 * type has changed (0A000), or the server does not know it any more (26000). */
bool bh_pg_error_is_stale(const PGresult *result);

/* Whether the server ends the connection with this error (class 57P0x, 25P03). */
bool bh_pg_error_is_fatal(const PGresult *result);
