/* Sending requests, reading their results in order, and losing the connection. */
#include "db/postgres/pg_connection.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "db/postgres/pg_error.h"

#define CONNECTION_MAGIC 0x50474343u
#define STATEMENT_NAME_SIZE 32

/* ---- Losing it ---- */

static void call_done(struct bh_pg_call *const call)
{
    if (!call)
        return;
    call->is_done = true;
    if (call->fiber)
        bh_fiber_wake(call->fiber);
}

static void request_end(struct bh_pg_connection *const connection,
                        struct bh_pg_request *const request)
{
    struct bh_pg_call *const call = request->call;
    bh_list_unlink(&request->node);
    if (call && call->span)
        call->span->ended_us = bh_time_now_us();
    request->ended(request, connection);
    call_done(call);
}

/* What breaks off says little by itself; the server's last words say more. */
static enum bh_pool_failure failure_of(const struct bh_error *const error)
{
    return strcmp(error->sqlstate, "25006") == 0 ? BH_POOL_WRONG_ROLE : BH_POOL_BROKEN_OFF;
}

/* The first error of a call is its cause. */
static void call_lost(const struct bh_pg_request *const request, const struct bh_error *const why)
{
    struct bh_pg_call *const call = request->call;
    if (!call || call->code)
        return;
    call->code = bh_error_set(
        &call->error, why->code, "%s: the connection was lost while it ran (%s)",
        request->statement ? request->statement->name : "query", why->message);
    memcpy(call->error.sqlstate, why->sqlstate, sizeof(why->sqlstate));
}

/* Whether the loss tells something about the host, not only about what its holder did. */
static bool is_news(const struct bh_error *const why)
{
    return why->code != BH_EINVAL && strcmp(why->sqlstate, "25P03") != 0;
}

void bh_pg_connection_lose(struct bh_pg_connection *const connection,
                           const struct bh_error *const error)
{
    if (connection->state != BH_PG_OPEN && connection->state != BH_PG_CLOSING)
        return;
    connection->state = BH_PG_LOST;
    connection->is_gathering = false;
    if (connection->lost.code == 0)
        connection->lost = *error;
    const struct bh_error why = connection->lost;
    uv_poll_stop(&connection->poll);
    connection->watched = 0;
    struct bh_list orphans;
    bh_list_init(&orphans);
    for (struct bh_list *node; (node = bh_list_pop(&connection->requests));)
        bh_list_append(&orphans, node);
    if (connection->driver)
        bh_fiber_wake(connection->driver);
    if (is_news(&why))
        bh_pool_lost(&connection->pool, failure_of(&why), &why, bh_loop_now_us(connection->loop));
    for (struct bh_list *node; (node = bh_list_pop(&orphans));) {
        struct bh_pg_request *const request = BH_LIST_ENTRY(node, struct bh_pg_request, node);
        request->has_failed = true;
        call_lost(request, &why);
        request_end(connection, request);
    }
}

static void lose_by_libpq(struct bh_pg_connection *const connection)
{
    struct bh_error error = { 0 };
    bh_pg_error_connection(connection->pg, connection->config->where, &error);
    bh_pg_connection_lose(connection, &error);
}

int bh_pg_connection_lost_error(const struct bh_pg_connection *const connection,
                                const char *const what, struct bh_error *const reterr)
{
    const struct bh_error *const why = &connection->lost;
    bh_error_set(reterr, why->code, "%s: %s", what, why->message);
    if (reterr)
        memcpy(reterr->sqlstate, why->sqlstate, sizeof(why->sqlstate));
    return why->code;
}

/* ---- Results ---- */

/* The next use makes another under another name. What has become stale here is so on every
 * connection: none of them need find that out by itself. */
static void forget_preparation(const struct bh_pg_connection *const connection,
                               const struct bh_pg_request *const request)
{
    if (!request->slot)
        return;
    bh_assert(request->statement);
    unsigned version = request->version;
    atomic_compare_exchange_strong(&connection->config->versions[request->statement->index],
                                   &version, version + 1);
}

static void take_error(struct bh_pg_connection *const connection,
                       struct bh_pg_request *const request, const PGresult *const result)
{
    struct bh_error error = { 0 };
    const int code = bh_pg_error_result(
        result, request->statement ? request->statement->name : "query", &error);
    request->has_failed = true;
    if (connection->lost.code && error.sqlstate[0] == '\0')
        return; /* libpq's word for what the server has said better, as a notice */
    const bool is_stale = bh_pg_error_is_stale(result);
    if (is_stale || (request->prepares && request->commands == request->before))
        forget_preparation(connection, request);
    if (request->call) {
        if (!request->call->code) {
            request->call->is_to_repeat = is_stale;
            request->call->code = code;
            request->call->error = error;
        }
    }
    /* After a failover the host we write to may be one that does not take writes. */
    const bool is_wrong_role = strcmp(error.sqlstate, "25006") == 0 &&
                               connection->config->lane == BH_DB_WRITE;
    if (connection->lost.code == 0 && (bh_pg_error_is_fatal(result) || is_wrong_role))
        connection->lost = error;
}

/* Nothing of it has run. If that was its own failure, the call knows. */
static void take_skipped(struct bh_pg_request *const request)
{
    if (request->has_failed)
        return;
    if (request->prepares && request->commands == request->before &&
        request->slot->version == request->version)
        request->slot->is_prepared = false;
    struct bh_pg_call *const call = request->call;
    if (call && !call->code) {
        call->is_to_repeat = true;
        call->code = bh_error_set(&call->error, BH_EUNAVAILABLE,
                                  "statement \"%s\" was skipped: one sent with it failed",
                                  call->statement->name);
    }
}

static bool changes_rows(const char *const tag)
{
    return strncmp(tag, "INSERT", 6) == 0 || strncmp(tag, "UPDATE", 6) == 0 ||
           strncmp(tag, "DELETE", 6) == 0 || strncmp(tag, "MERGE", 5) == 0 ||
           strncmp(tag, "COPY", 4) == 0;
}

static int rows_refused(const struct bh_pg_call *const call, const int code,
                        const PGresult *const result, const int column,
                        struct bh_error *const reterr)
{
    const char *const name = call->statement->name;
    if (code == BH_ELIMIT)
        return bh_error_set(reterr, code,
                            "statement \"%s\": the result outgrows the memory of this request "
                            "after %zu rows; ask for less at a time",
                            name, call->rows.row_count);
    if (code == BH_EUNSUPPORTED)
        return bh_error_set(reterr, code,
                            "statement \"%s\": column \"%s\" has a type (%u) without counterpart; "
                            "cast it to text or bigint in the statement",
                            name, PQfname(result, column), PQftype(result, column));
    return bh_error_set(reterr, code, "statement \"%s\": column %d of the result cannot be read",
                        name, column + 1);
}

static void take_rows(struct bh_pg_request *const request, PGresult *const result)
{
    struct bh_pg_call *const call = request->call;
    if (!call || call->code || request->commands < request->before + request->prepares)
        return;
    if (changes_rows(PQcmdStatus(result)))
        call->changes += strtoll(PQcmdTuples(result), NULL, 10);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return;
    int column = 0;
    const int code = bh_pg_value_rows(&call->rows, result, &column);
    if (code)
        call->code = rows_refused(call, code, result, column, &call->error);
}

/* One result of the oldest request. Returns whether that has ended. */
static bool take_result(struct bh_pg_connection *const connection,
                        struct bh_pg_request *const request, PGresult *const result)
{
    switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
        bh_assert(request->ends_segment);
        return true;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        take_rows(request, result);
        break;
    case PGRES_PIPELINE_ABORTED: /* behind the command that failed */
        take_skipped(request);
        break;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        take_error(connection, request, result);
        break;
    default: /* COPY: only pg_plain.h speaks that */
        bh_error_set(&connection->lost, BH_EINVAL,
                     "it is a COPY; give it to bh_db_transaction_many");
        break;
    }
    request->in_result = true;
    return false;
}

/* Takes what has arrived. An ended request may have destroyed or lost the connection. */
static void take_results(struct bh_pg_connection *const connection)
{
    while (connection->state == BH_PG_OPEN && !bh_list_is_empty(&connection->requests) &&
           !PQisBusy(connection->pg)) {
        struct bh_pg_request *const request = BH_LIST_ENTRY(connection->requests.next,
                                                            struct bh_pg_request, node);
        PGresult *const result = PQgetResult(connection->pg);
        if (result) {
            const bool has_ended = take_result(connection, request, result);
            PQclear(result);
            if (connection->lost.code)
                bh_pg_connection_lose(connection, &connection->lost);
            else if (has_ended)
                request_end(connection, request);
        } else if (request->in_result) { /* the end of one command */
            request->in_result = false;
            request->commands++;
            if (request->commands == request->expected && !request->ends_segment)
                request_end(connection, request);
        } else if (PQstatus(connection->pg) != CONNECTION_OK) {
            lose_by_libpq(connection);
        }
    }
}

/* ---- The socket ---- */

static void has_hung_up(struct bh_pg_connection *const connection)
{
    if (connection->state == BH_PG_CLOSING) {
        bh_pool_closed(&connection->pool, bh_loop_now_us(connection->loop));
        return;
    }
    /* The server's last words may stand before the end of the stream. */
    (void)PQisBusy(connection->pg);
    take_results(connection);
    lose_by_libpq(connection);
}

static void on_event(uv_poll_t *const handle, const int status, const int events)
{
    struct bh_pg_connection *const connection = handle->data;
    bh_magic_check(connection, CONNECTION_MAGIC);
    /* A reset comes as a status alone; what the server had sent before is still to be read. */
    const bool is_to_read = status < 0 || (events & UV_READABLE);
    if ((is_to_read && !PQconsumeInput(connection->pg)) || status < 0) {
        has_hung_up(connection);
        return;
    }
    if (connection->driver) {
        bh_pg_connection_watch(connection);
        if (connection->driver)
            bh_fiber_wake(connection->driver);
        return;
    }
    if (bh_list_is_empty(&connection->requests))
        (void)PQisBusy(connection->pg); /* parses what the server says unasked */
    const struct bh_list *const oldest = connection->requests.next;
    take_results(connection);
    if (connection->state == BH_PG_OPEN && PQstatus(connection->pg) != CONNECTION_OK)
        lose_by_libpq(connection);
    bh_pg_connection_watch(connection);
    /* Only a part of an answer has come. The server sends 8 KB at a time and may be waiting for
     * this processor: after its turn the rest is there, not in pieces with a wake-up each. */
    if (!bh_list_is_empty(&connection->requests) && connection->requests.next == oldest)
        sched_yield();
}

void bh_pg_connection_watch(struct bh_pg_connection *const connection)
{
    if (connection->state != BH_PG_OPEN && connection->state != BH_PG_CLOSING)
        return;
    int wanted = UV_READABLE;
    if (connection->state == BH_PG_OPEN) {
        const int left = PQflush(connection->pg);
        if (left < 0) {
            lose_by_libpq(connection);
            return;
        }
        wanted |= left > 0 ? UV_WRITABLE : 0;
    }
    if (wanted == connection->watched)
        return;
    connection->watched = wanted;
    uv_poll_start(&connection->poll, wanted, on_event);
}

/* Sends the sync. false: the connection is lost. */
static bool close_segment(struct bh_pg_connection *const connection)
{
    connection->is_gathering = false;
    connection->gathered_us = 0;
    if (connection->state == BH_PG_OPEN && PQpipelineSync(connection->pg) != 1)
        lose_by_libpq(connection);
    bh_pg_connection_watch(connection);
    return connection->state == BH_PG_OPEN;
}

static void set_cork(struct bh_pg_connection *const connection, const bool is_corked)
{
    const int value = is_corked;
    setsockopt(PQsocket(connection->pg), IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
    connection->is_corked = is_corked;
}

static void turn_ends(struct bh_task *const task)
{
    struct bh_pg_connection *const connection = BH_CONTAINER_OF(task, struct bh_pg_connection,
                                                                turn_end);
    if (connection->is_gathering)
        (void)!close_segment(connection);
    if (connection->is_corked)
        set_cork(connection, false);
}

/* libpq sends each segment by itself. What follows the first one in a turn of the loop is held back
 * and leaves in one piece at the turn's end: the server wakes up once for it. */
static void hold_back(struct bh_pg_connection *const connection)
{
    if (bh_list_is_empty(&connection->turn_end.node))
        bh_loop_at_turn_end(connection->loop, &connection->turn_end);
    else if (!connection->is_corked)
        set_cork(connection, true);
}

/* What an idle connection is told: why the server will hang up. */
static void on_notice(void *const argument, const PGresult *const result)
{
    struct bh_pg_connection *const connection = argument;
    if (bh_pg_error_is_fatal(result))
        bh_pg_error_result(result, connection->config->where, &connection->lost);
}

int bh_pg_connection_adopt(struct bh_pg_connection *const connection, PGconn *const pg)
{
    connection->magic = CONNECTION_MAGIC;
    connection->prepared = calloc(connection->config->options->statement_count + 1,
                                  sizeof(*connection->prepared));
    if (!connection->prepared ||
        uv_poll_init(bh_loop_uv(connection->loop), &connection->poll, PQsocket(pg)) != 0)
        return BH_ENOMEM;
    connection->pg = pg;
    connection->has_poll = true;
    connection->poll.data = connection;
    connection->state = BH_PG_OPEN;
    PQsetNoticeReceiver(pg, on_notice, connection);
    connection->turn_end.run = turn_ends;
    connection->watched = UV_READABLE;
    uv_poll_start(&connection->poll, UV_READABLE, on_event);
    return 0;
}

struct bh_pg_connection *bh_pg_connection_of(const struct bh_pool_lease *const lease)
{
    struct bh_pg_connection *const connection = BH_CONTAINER_OF(lease->connection,
                                                                struct bh_pg_connection, pool);
    bh_magic_check(connection, CONNECTION_MAGIC);
    return connection;
}

/* ---- Sending ---- */

static struct bh_pg_prepared *slot_of(struct bh_pg_connection *const connection,
                                      const struct bh_statement *const statement)
{
    const struct bh_db_options *const options = connection->config->options;
    const bool is_ours = statement->index < options->statement_count &&
                         &options->statements[statement->index] == statement;
    if (!is_ours)
        return NULL;
    return &connection->prepared[statement->index];
}

static bool send_row(struct bh_pg_connection *const connection,
                     const struct bh_pg_request *const request, const char *const name,
                     const struct bh_pg_parameters *const parameters)
{
    if (request->slot)
        return PQsendQueryPrepared(connection->pg, name, parameters->count, parameters->values,
                                   parameters->lengths, parameters->formats, 1) == 1;
    return PQsendQueryParams(connection->pg, request->statement->postgres, parameters->count, NULL,
                             parameters->values, parameters->lengths, parameters->formats, 1) == 1;
}

static bool send_text(const struct bh_pg_connection *const connection, const char *const text)
{
    return PQsendQueryParams(connection->pg, text, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

static bool send_all(struct bh_pg_connection *const connection, struct bh_pg_request *const request,
                     const struct bh_pg_call *const call)
{
    char name[STATEMENT_NAME_SIZE] = "";
    struct bh_pg_prepared *const slot = request->slot;
    for (size_t i = 0; i < BH_COUNT_OF(call->before) && call->before[i]; i++) {
        if (!send_text(connection, call->before[i]))
            return false;
        request->before++;
    }
    if (slot) {
        request->version = atomic_load(&connection->config->versions[call->statement->index]);
        request->prepares = !slot->is_prepared || slot->version != request->version;
        slot->version = request->version;
        snprintf(name, sizeof(name), "s%u_%u", call->statement->index, slot->version);
        if (request->prepares &&
            PQsendPrepare(connection->pg, name, call->statement->postgres, 0, NULL) != 1)
            return false;
        slot->is_prepared = true;
    }
    struct bh_pg_parameters parameters;
    for (size_t row = 0; row < call->row_count; row++) {
        if (bh_pg_value_parameters(&call->parameters[row * call->parameter_count],
                                   call->parameter_count, &connection->texts, &parameters) != 0 ||
            !send_row(connection, request, name, &parameters))
            return false;
    }
    request->expected = request->before + request->prepares + call->row_count;
    return true;
}

/* Makes the next request the last of the open segment, or the first of a new one. false: the
 * connection is lost. */
static bool begin_segment(struct bh_pg_connection *const connection, const bool is_shared,
                          const uint64_t work_us)
{
    if (!is_shared)
        hold_back(connection);
    else if (bh_list_is_empty(&connection->turn_end.node))
        bh_loop_at_turn_end(connection->loop, &connection->turn_end);
    if (!connection->is_gathering)
        return true;
    struct bh_pg_request *const last = BH_LIST_ENTRY(connection->requests.prev,
                                                     struct bh_pg_request, node);
    const bool is_answered = last->commands == last->expected; /* libpq had sent it already */
    if (!is_shared || is_answered || connection->gathered_us + work_us > BH_PG_SEGMENT_US)
        return close_segment(connection);
    last->ends_segment = false;
    return true;
}

static void request_init(struct bh_pg_request *const request)
{
    request->slot = NULL;
    request->statement = NULL;
    request->before = 0;
    request->prepares = false;
    request->in_result = false;
    request->commands = 0;
    request->expected = 0;
    request->ends_segment = true;
    request->has_failed = false;
}

/* Half of a segment may be in libpq's buffer: nothing sensible can follow it. */
static int send_failed(struct bh_pg_connection *const connection, const char *const what,
                       struct bh_error *const reterr)
{
    lose_by_libpq(connection);
    return bh_pg_connection_lost_error(connection, what, reterr);
}

int bh_pg_connection_send(struct bh_pg_connection *const connection,
                          struct bh_pg_request *const request, struct bh_error *const reterr)
{
    const struct bh_pg_call *const call = request->call;
    const char *const name = call->statement->name;
    if (connection->state != BH_PG_OPEN)
        return bh_pg_connection_lost_error(connection, name, reterr);
    if (!call->statement->postgres)
        return bh_error_set(reterr, BH_EUNSUPPORTED, "statement \"%s\" has no text for postgresql",
                            name);
    for (size_t row = 0; row < call->row_count; row++) {
        const int result = bh_pg_value_check(name, &call->parameters[row * call->parameter_count],
                                             call->parameter_count, reterr);
        if (result)
            return result;
    }
    if (call->span)
        call->span->granted_us = bh_time_now_us();
    request_init(request);
    request->statement = call->statement;
    if (!begin_segment(connection, call->shares_segment, request->lease.work_us))
        return bh_pg_connection_lost_error(connection, name, reterr);
    request->slot = slot_of(connection, call->statement);
    if (!send_all(connection, request, call))
        return send_failed(connection, name, reterr);
    if (!call->shares_segment && PQpipelineSync(connection->pg) != 1)
        return send_failed(connection, name, reterr);
    bh_list_append(&connection->requests, &request->node);
    connection->is_gathering = call->shares_segment;
    if (connection->is_gathering)
        connection->gathered_us += request->lease.work_us;
    else
        bh_pg_connection_watch(connection);
    return 0;
}

int bh_pg_connection_send_texts(struct bh_pg_connection *const connection,
                                struct bh_pg_request *const request, const char *const *const texts,
                                const size_t count)
{
    request_init(request);
    bool is_sent = connection->state == BH_PG_OPEN;
    for (size_t i = 0; is_sent && i < count; i++)
        is_sent = send_text(connection, texts[i]);
    if (!is_sent || PQpipelineSync(connection->pg) != 1)
        return connection->state == BH_PG_OPEN ? send_failed(connection, "connection", NULL)
                                               : BH_EUNAVAILABLE;
    bh_list_append(&connection->requests, &request->node);
    bh_pg_connection_watch(connection);
    return 0;
}
