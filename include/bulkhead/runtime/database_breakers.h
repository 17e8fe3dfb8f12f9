/*
 * Circuit breakers around a database's calls, one for each lane: "database", classes "read" and
 * "write".
 *
 * Calls that fail or are slow in the database open them. Whether the host takes connections is the
 * pool's to know: while it is down it holds them open, and refuses by its own rules.
 */
#pragma once

#include "bulkhead/db/gate.h"
#include "bulkhead/overload/breaker.h"

struct bh_database_breakers; /* opaque; any thread */

/* `options`: as for bh_breaker_create, names are set here. */
int bh_database_breakers_create(const struct bh_breaker_options *options,
                                struct bh_database_breakers **ret_breakers,
                                struct bh_error *reterr) BH_MUST_CHECK;
/* The database must be closed. NULL is fine. */
void bh_database_breakers_destroy(struct bh_database_breakers *breakers);

/* Whether the lane's host is known to take no connections: a call would wait for it, or be refused.
 * `breakers` NULL: nothing is known. */
bool bh_database_breakers_is_down(const struct bh_database_breakers *breakers,
                                  enum bh_db_lane lane);

/* For struct bh_db_options; lives as long as `breakers`. */
const struct bh_db_gate *bh_database_breakers_gate(const struct bh_database_breakers *breakers);
