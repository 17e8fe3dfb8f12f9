/*
 * Calls of fibers: a statement on its way, waited for within the fiber's deadline.
 */
#pragma once

#include "db/postgres/pg_connection.h"

void bh_pg_call_init(struct bh_pg_call *call, const struct bh_statement *statement,
                     const struct bh_db_value *parameters, size_t parameter_count,
                     struct bh_arena *arena, struct bh_trace_span *span);

/* What a statement sent now may take, in ms: until the fiber's deadline, and at most what the
 * connection allows any. */
uint64_t bh_pg_call_budget_ms(const struct bh_pg_connection *connection);

/* One autocommit statement on a connection of `pool`. One that holds it alone is stopped by the
 * server too at the fiber's deadline. */
int bh_pg_call_alone(struct bh_pool_loop *pool, unsigned statement_class, struct bh_pg_call *call,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* One statement on a connection that somebody holds. `is_final`: neither cancellation nor the
 * deadline keep it from being waited for, only a server that is silent beyond its own time-out.
 * *ret_is_running: the caller has left, the statement has not ended. */
int bh_pg_call_held(struct bh_pg_connection *connection, struct bh_pg_call *call, bool is_final,
                    bool *ret_is_running, struct bh_error *reterr) BH_MUST_CHECK;
