/*
 * What the pool asks of a connection: open, ping, reset, cancel, close, destroy.
 *
 * Opening and cancelling run on worker threads, in a fiber of their own that a job's memory
 * outlives; `destroy` only cuts the job loose.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/postgres/pg_connection.h"
#include "db/postgres/pg_error.h"

/* The worker's answer comes before the pool gives up: it knows which host was silent. */
#define POOL_LEAD_US (20 * BH_MS_US)

/* A connection as good as new; pipelined behind a rollback, all in one segment. */
static const char *const reset_texts[] = {
    "ROLLBACK",    "RESET ALL",  "SELECT pg_advisory_unlock_all()",
    "CLOSE ALL",   "UNLISTEN *", "DISCARD SEQUENCES",
    "DISCARD TEMP"
};

struct bh_pg_job {
    struct bh_pg_connection *connection; /* NULL: destroyed meanwhile */
    const struct bh_pg_config *config;
    struct bh_loop *loop;
    PGconn *pg;              /* opening: the result */
    uint64_t until_us;       /* opening: when the pool gives it up */
    atomic_bool is_given_up; /* opening: for the worker thread */
    PGcancel *cancel;        /* cancelling */
    int code;
    struct bh_error error;
};

static struct bh_pg_connection *of(struct bh_pool_connection *const connection)
{
    return BH_CONTAINER_OF(connection, struct bh_pg_connection, pool);
}

static struct bh_pg_job *start_job(struct bh_pg_connection *const connection,
                                   bh_fiber_function *const function)
{
    struct bh_pg_job *const job = calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    *job = (struct bh_pg_job){ .connection = connection,
                               .config = connection->config,
                               .loop = connection->loop };
    connection->job = job;
    if (function && bh_fiber_spawn(connection->loop, function, job) != 0) {
        connection->job = NULL;
        free(job);
        return NULL;
    }
    return job;
}

/* ---- Opening ---- */

static int connect_on_worker(struct bh_worker_job *const worker_job, void *const argument)
{
    (void)worker_job;
    struct bh_pg_job *const job = argument;
    const struct bh_pg_patience patience = { .until_us = job->until_us,
                                             .is_given_up = &job->is_given_up };
    if (atomic_load(&job->is_given_up)) /* while it was in the queue */
        return BH_ECANCELED;
    return bh_pg_config_connect(job->config, &patience, &job->pg, &job->error);
}

static enum bh_pool_failure connect_failure(const struct bh_error *const error)
{
    if (strcmp(error->sqlstate, "53300") == 0)
        return BH_POOL_TOO_MANY;
    if (error->code == BH_EACCESS || error->code == BH_ENOTFOUND || error->code == BH_EUNSUPPORTED)
        return BH_POOL_DENIED;
    return BH_POOL_UNREACHABLE;
}

static void opened(struct bh_pg_job *const job)
{
    struct bh_pg_connection *const connection = job->connection;
    if (!connection) { /* nobody wants it any more */
        if (job->pg)
            PQfinish(job->pg);
        return;
    }
    connection->job = NULL;
    if (!job->code) {
        job->code = bh_pg_connection_adopt(connection, job->pg);
        if (!job->code) {
            bh_pool_connected(&connection->pool, bh_loop_now_us(job->loop));
            return;
        }
        if (!connection->pg)
            PQfinish(job->pg);
        bh_error_set(&job->error, job->code, "the new connection cannot be used");
    }
    bh_pool_connect_failed(&connection->pool, connect_failure(&job->error), &job->error,
                           bh_loop_now_us(job->loop));
}

/* The primary is another one: the one of before may live on without knowing it, and what is read
 * there misses what is written now. */
static void evict_if_moved(struct bh_pg_host *const host)
{
    if (!atomic_exchange(&host->has_moved, false))
        return;
    for (size_t i = 0; i < BH_COUNT_OF(host->pools); i++) {
        if (host->pools[i])
            bh_pool_evict(host->pools[i]);
    }
    bh_log_info("db", "connected to another of the hosts; all connections are replaced");
}

static void connect_in_fiber(void *const argument)
{
    struct bh_pg_job *const job = argument;
    bh_fiber_yield(); /* the pool's call has to return before it is answered */
    bh_pg_host_wait_for_turn(job->config->host);
    if (job->connection) {
        job->until_us = job->connection->pool.due_us - POOL_LEAD_US;
        job->code = bh_worker_run_uncancelable(job->config->connectors, connect_on_worker, job);
    }
    if (job->connection || job->pg)
        atomic_store(&job->config->host->is_failing, job->code == BH_EUNAVAILABLE);
    if (job->connection && !job->code)
        evict_if_moved(job->config->host);
    if (job->code && job->error.code == 0)
        bh_error_set(&job->error, job->code, "no thread to connect on");
    opened(job);
    free(job);
}

static struct bh_pool_connection *pool_connect(struct bh_pool_shard *const shard,
                                               void *const context)
{
    struct bh_pg_connection *const connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->config = context;
    connection->loop = bh_loop_current();
    connection->pool.shard = shard;
    connection->state = BH_PG_OPENING;
    bh_list_init(&connection->requests);
    bh_list_init(&connection->own.node);
    bh_list_init(&connection->turn_end.node);
    bh_buf_init(&connection->texts, SIZE_MAX / 2);
    if (!start_job(connection, connect_in_fiber)) {
        bh_buf_fini(&connection->texts);
        free(connection);
        return NULL;
    }
    return &connection->pool;
}

/* ---- Ping and reset ---- */

static void own_ended(struct bh_pg_request *const request,
                      struct bh_pg_connection *const connection)
{
    if (connection->state != BH_PG_OPEN)
        return; /* lost, and told */
    if (request->has_failed) {
        bh_error_set(&connection->lost, BH_EUNAVAILABLE, "%s: it could not be reset",
                     connection->config->where);
        bh_pg_connection_lose(connection, &connection->lost);
        return;
    }
    bh_pool_ready(&connection->pool, bh_loop_now_us(connection->loop));
}

static void send_own(struct bh_pg_connection *const connection, const char *const *const texts,
                     const size_t count)
{
    connection->own = (struct bh_pg_request){ .ended = own_ended };
    bh_list_init(&connection->own.node);
    /* A failure is told as the loss of the connection. */
    (void)!bh_pg_connection_send_texts(connection, &connection->own, texts, count);
}

static void pool_ping(struct bh_pool_connection *const connection)
{
    send_own(of(connection), NULL, 0);
}

static void pool_reset(struct bh_pool_connection *const connection)
{
    send_own(of(connection), reset_texts, BH_COUNT_OF(reset_texts));
}

/* ---- Cancelling ---- */

static int cancel_on_worker(struct bh_worker_job *const worker_job, void *const argument)
{
    (void)worker_job;
    const struct bh_pg_job *const job = argument;
    char message[256];
    /* Returns when the server has passed it on: none is on its way after that. */
    return PQcancel(job->cancel, message, sizeof(message)) == 1 ? 0 : BH_EUNAVAILABLE;
}

static void cancel_in_fiber(void *const argument)
{
    struct bh_pg_job *const job = argument;
    bh_fiber_yield();
    if (job->connection && job->connection->state == BH_PG_OPEN)
        job->cancel = PQgetCancel(job->connection->pg);
    if (job->cancel)
        (void)!bh_worker_run_uncancelable(job->config->cancelers, cancel_on_worker, job);
    PQfreeCancel(job->cancel);
    struct bh_pg_connection *const connection = job->connection;
    if (connection) {
        connection->job = NULL;
        /* Behind the statement in the pipeline: it runs once that has ended. */
        if (connection->state == BH_PG_OPEN)
            pool_reset(&connection->pool);
    }
    free(job);
}

static void pool_cancel(struct bh_pool_connection *const connection)
{
    /* Without memory the pool's time limit ends it. */
    (void)start_job(of(connection), cancel_in_fiber);
}

/* ---- The end ---- */

static void pool_give_up(struct bh_pool_connection *const base)
{
    struct bh_pg_connection *const connection = of(base);
    struct bh_error error = { 0 };
    bh_error_set(&error, BH_EUNAVAILABLE, "%s: no answer", connection->config->where);
    bh_pg_connection_lose(connection, &error);
}

static void pool_close(struct bh_pool_connection *const base)
{
    struct bh_pg_connection *const connection = of(base);
    connection->state = BH_PG_CLOSING;
    /* The server's process leaves when it has read to the end; we see that as our end of stream. */
    if (shutdown(PQsocket(connection->pg), SHUT_WR) != 0 && errno == ENOTCONN)
        connection->watched = 0;
    bh_pg_connection_watch(connection);
}

static void free_connection(struct bh_pg_connection *const connection)
{
    if (connection->pg)
        PQfinish(connection->pg);
    free(connection->prepared);
    bh_buf_fini(&connection->texts);
    connection->magic = 0;
    free(connection);
}

static void poll_closed(uv_handle_t *const handle)
{
    free_connection(handle->data);
}

static void pool_destroy(struct bh_pool_connection *const base)
{
    struct bh_pg_connection *const connection = of(base);
    connection->state = BH_PG_GONE;
    bh_list_unlink(&connection->turn_end.node);
    if (connection->job) {
        connection->job->connection = NULL;
        atomic_store(&connection->job->is_given_up, true);
    }
    for (struct bh_list *node; (node = bh_list_pop(&connection->requests));) {
        struct bh_pg_request *const request = BH_LIST_ENTRY(node, struct bh_pg_request, node);
        request->ended(request, connection);
    }
    if (connection->has_poll)
        uv_close((uv_handle_t *)&connection->poll, poll_closed);
    else
        free_connection(connection);
}

const struct bh_pool_driver bh_pg_pool_driver = {
    .connect = pool_connect,
    .ping = pool_ping,
    .reset = pool_reset,
    .cancel = pool_cancel,
    .give_up = pool_give_up,
    .close = pool_close,
    .destroy = pool_destroy,
};
