/*
 * A request outlives its call when nobody waits for it any more: on a shared connection its result
 * is read and dropped, on one held alone it is cancelled through the pool's quarantine.
 */
#include "db/postgres/pg_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"

#define BUDGET_SIZE 80
#define ATTEMPTS_MAX 3 /* of a statement refused for its preparation, or for another's failure */

void bh_pg_call_init(struct bh_pg_call *const call, const struct bh_statement *const statement,
                     const struct bh_db_value *const parameters, const size_t parameter_count,
                     struct bh_arena *const arena, struct bh_trace_span *const span)
{
    *call = (struct bh_pg_call){ .statement = statement,
                                 .parameters = parameters,
                                 .parameter_count = parameter_count,
                                 .row_count = 1,
                                 .span = span,
                                 .rows = { .arena = arena } };
}

static void request_ended(struct bh_pg_request *const request,
                          struct bh_pg_connection *const connection)
{
    if (request->is_leased)
        bh_pool_return(&request->lease,
                       connection->state == BH_PG_OPEN ? BH_POOL_CLEAN : BH_POOL_BROKEN);
    free(request);
}

static struct bh_pg_request *make_request(struct bh_pg_call *const call)
{
    struct bh_pg_request *const request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->call = call;
    request->ended = request_ended;
    bh_list_init(&request->node);
    call->fiber = bh_fiber_current();
    call->is_done = false;
    call->is_to_repeat = false;
    call->code = 0;
    call->changes = 0;
    call->rows = (struct bh_pg_rows){ .arena = call->rows.arena };
    return request;
}

/* 0 once the call is done; otherwise why the fiber waits no more. */
static int wait_for(const struct bh_pg_call *const call)
{
    while (!call->is_done) {
        const int stopped = bh_fiber_park();
        if (stopped && !call->is_done)
            return stopped;
    }
    return 0;
}

static void wait_to_the_end(struct bh_pg_connection *const connection,
                            const struct bh_pg_call *const call)
{
    const uint64_t limit_us = connection->config->options->postgres->statement_timeout_us;
    const uint64_t until_us = bh_time_now_us() + limit_us + BH_PG_GRACE_US;
    while (!call->is_done) {
        if (bh_fiber_park_uncancelable_until(until_us) == 0 || call->is_done)
            continue;
        struct bh_error error = { 0 };
        bh_error_set(&error, BH_EUNAVAILABLE, "%s: no answer; the outcome is not known",
                     connection->config->where);
        bh_pg_connection_lose(connection, &error);
    }
}

static int outcome(const struct bh_pg_call *const call, struct bh_error *const reterr)
{
    if (call->code && reterr)
        *reterr = call->error;
    return call->code;
}

static uint64_t own_limit_ms(const struct bh_pg_connection *const connection)
{
    return connection->config->options->postgres->statement_timeout_us / BH_MS_US;
}

uint64_t bh_pg_call_budget_ms(const struct bh_pg_connection *const connection)
{
    const uint64_t own_ms = own_limit_ms(connection);
    const uint64_t deadline_us = bh_fiber_deadline(), now_us = bh_time_now_us();
    const uint64_t left_us = deadline_us > now_us ? deadline_us - now_us : 0;
    const uint64_t left_ms = left_us / BH_MS_US + 1;
    /* Who asks with all of the statement's time has lost some of it on the way here. */
    return left_ms < own_ms - own_ms / 16 ? left_ms : own_ms;
}

/* Holds the next attempt to what is left of the caller's time. `text` is borrowed until it is sent.
 * Not SET LOCAL: outside of a transaction block, where it would do the same until the sync, the
 * server warns of it. */
static void set_budget(struct bh_pg_call *const call,
                       const struct bh_pg_connection *const connection,
                       char text[const static BUDGET_SIZE])
{
    const uint64_t budget_ms = bh_pg_call_budget_ms(connection);
    if (budget_ms == own_limit_ms(connection))
        return;
    snprintf(text, BUDGET_SIZE, "SELECT set_config('statement_timeout', '%llu', true)",
             (unsigned long long)budget_ms);
    call->before[0] = text;
}

static int stopped_early(const struct bh_pg_call *const call, const int stopped,
                         struct bh_error *const reterr)
{
    return bh_error_set(reterr, stopped, "statement \"%s\": %s", call->statement->name,
                        bh_error_text(stopped));
}

/* Only the first attempt shares a segment with others: the next is safe from their failures. */
static int attempt_alone(struct bh_pool_loop *const pool, const unsigned statement_class,
                         struct bh_pg_call *const call, const bool is_first,
                         struct bh_error *const reterr)
{
    struct bh_pg_request *const request = make_request(call);
    if (!request)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a statement");
    request->lease = (struct bh_pool_lease){
        .lane = call->statement->is_slow ? BH_POOL_LANE_EXCLUSIVE : BH_POOL_LANE_SHARED,
        .statement_class = statement_class,
        .deadline_us = bh_fiber_deadline(),
    };
    bh_pool_stand(&request->lease);
    int code = bh_pool_acquire(pool, &request->lease, reterr);
    if (code) {
        free(request);
        return code;
    }
    struct bh_pg_connection *const connection = bh_pg_connection_of(&request->lease);
    request->is_leased = true;
    const bool is_exclusive = request->lease.lane == BH_POOL_LANE_EXCLUSIVE;
    char budget[BUDGET_SIZE];
    if (is_exclusive)
        set_budget(call, connection, budget);
    call->shares_segment = is_first && connection->config->lane == BH_DB_READ && !is_exclusive &&
                           request->lease.work_us <= BH_PG_SEGMENT_US;
    code = bh_pg_connection_send(connection, request, reterr);
    call->before[0] = NULL;
    if (code) {
        request_ended(request, connection);
        return code;
    }
    code = wait_for(call);
    if (!code)
        return outcome(call, reterr);
    request->call = NULL;
    if (is_exclusive) {
        request->is_leased = false;
        bh_pool_return(&request->lease,
                       connection->state == BH_PG_OPEN ? BH_POOL_RUNNING : BH_POOL_BROKEN);
    }
    return stopped_early(call, code, reterr);
}

int bh_pg_call_alone(struct bh_pool_loop *const pool, const unsigned statement_class,
                     struct bh_pg_call *const call, struct bh_error *const reterr)
{
    int code = 0;
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        code = attempt_alone(pool, statement_class, call, attempt == 0, reterr);
        if (!code || !call->is_to_repeat)
            break;
    }
    return code;
}

int bh_pg_call_held(struct bh_pg_connection *const connection, struct bh_pg_call *const call,
                    const bool is_final, bool *const ret_is_running, struct bh_error *const reterr)
{
    struct bh_pg_request *const request = make_request(call);
    if (!request)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a statement");
    int code = bh_pg_connection_send(connection, request, reterr);
    if (code) {
        free(request);
        return code;
    }
    if (is_final)
        wait_to_the_end(connection, call);
    else
        code = wait_for(call);
    if (!code)
        return outcome(call, reterr);
    request->call = NULL;
    *ret_is_running = true;
    return stopped_early(call, code, reterr);
}
