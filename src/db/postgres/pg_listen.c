#include "db/postgres/pg_listen.h"

#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/driver.h"
#include "db/postgres/pg_error.h"

#define RETRY_US (500 * BH_MS_US)
#define ANSWER_US (5 * BH_SECOND_US) /* how long the server may take for LISTEN */

/* The connection; its memory goes as its handle closes. */
struct bh_pg_link {
    uv_poll_t poll;
    PGconn *pg;
    struct bh_fiber *fiber;
    bool is_broken;
};

/* ---- The connection ---- */

static void on_event(uv_poll_t *const handle, const int status, const int events)
{
    struct bh_pg_link *const link = handle->data;
    (void)events;
    link->is_broken |= status < 0;
    bh_fiber_wake(link->fiber);
}

static void on_closed(uv_handle_t *const handle)
{
    free(handle->data);
}

static void hang_up(struct bh_pg_listen *const listen)
{
    struct bh_pg_link *const link = listen->link;
    if (!link)
        return;
    listen->link = NULL;
    bh_listeners_lost(listen->db->listeners);
    uv_close((uv_handle_t *)&link->poll, on_closed);
    PQfinish(link->pg);
}

struct attempt {
    const struct bh_pg_config *config;
    PGconn *pg;
    struct bh_error error;
};

static int connect_on_worker(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct attempt *const attempt = argument;
    const struct bh_pg_patience patience = { bh_pg_config_until_us(attempt->config), NULL };
    return bh_pg_config_connect(attempt->config, &patience, &attempt->pg, &attempt->error);
}

static int adopt(struct bh_pg_listen *const listen, PGconn *const pg)
{
    struct bh_pg_link *const link = calloc(1, sizeof(*link));
    const bool is_plain = PQexitPipelineMode(pg) == 1;
    if (!link || !is_plain || uv_poll_init(bh_loop_uv(listen->loop), &link->poll, PQsocket(pg))) {
        free(link);
        PQfinish(pg);
        return BH_ENOMEM;
    }
    link->pg = pg;
    link->fiber = listen->fiber;
    link->poll.data = link;
    uv_poll_start(&link->poll, UV_READABLE, on_event);
    listen->link = link;
    return 0;
}

static int dial(struct bh_pg_listen *const listen, struct bh_error *const reterr)
{
    struct attempt attempt = { .config = listen->config };
    struct bh_pg_host *const host = listen->config->host;
    bh_pg_host_wait_for_turn(host);
    int code = bh_worker_run_uncancelable(listen->config->connectors, connect_on_worker, &attempt);
    atomic_store(&host->is_failing, code == BH_EUNAVAILABLE);
    *reterr = attempt.error;
    if (!code)
        code = adopt(listen, attempt.pg);
    return code;
}

/* ---- What is said on it ---- */

static int broken(const struct bh_pg_listen *const listen, struct bh_error *const reterr)
{
    return bh_pg_error_connection(listen->link->pg, listen->config->where, reterr);
}

/* Parks until the server has said something, or somebody pokes. */
static int hear(const struct bh_pg_listen *const listen, const uint64_t until_us,
                struct bh_error *const reterr)
{
    const struct bh_pg_link *const link = listen->link;
    if (bh_fiber_park_uncancelable_until(until_us) != 0)
        return bh_error_set(reterr, BH_ETIMEDOUT, "%s: no answer to LISTEN", listen->config->where);
    if (link->is_broken || !PQconsumeInput(link->pg) || PQstatus(link->pg) != CONNECTION_OK)
        return broken(listen, reterr);
    return atomic_load(&listen->is_ending) ? BH_ECANCELED : 0;
}

static int ask(const struct bh_pg_listen *const listen, const char *const channel,
               struct bh_error *const reterr)
{
    char text[BH_DB_CHANNEL_BYTES_MAX + 16];
    PGconn *const pg = listen->link->pg;
    const uint64_t until_us = bh_time_now_us() + ANSWER_US;
    snprintf(text, sizeof(text), "LISTEN \"%s\"", channel);
    if (PQsendQuery(pg, text) != 1)
        return broken(listen, reterr);
    for (int failed = 0;;) {
        while (PQflush(pg) > 0 || PQisBusy(pg)) {
            const int code = hear(listen, until_us, reterr);
            if (code)
                return code;
        }
        PGresult *const result = PQgetResult(pg);
        if (!result)
            return failed;
        if (!failed && PQresultStatus(result) != PGRES_COMMAND_OK)
            failed = bh_pg_error_result(result, text, reterr);
        PQclear(result);
    }
}

static int ask_for_all(const struct bh_pg_listen *const listen, struct bh_error *const reterr)
{
    char channel[BH_DB_CHANNEL_BYTES_MAX + 1];
    while (bh_listeners_next(listen->db->listeners, channel)) {
        const int code = ask(listen, channel, reterr);
        if (code)
            return code;
        bh_listeners_begun(listen->db->listeners, channel);
    }
    return 0;
}

static void tell_all(const struct bh_pg_listen *const listen)
{
    for (PGnotify *notify; (notify = PQnotifies(listen->link->pg));) {
        bh_listeners_tell(listen->db->listeners, notify->relname, bh_str_from(notify->extra));
        PQfreemem(notify);
    }
}

/* Until the connection breaks, or the end. */
static int serve(struct bh_pg_listen *const listen, struct bh_error *const reterr)
{
    for (;;) {
        int code = ask_for_all(listen, reterr);
        if (code)
            return code;
        if (listen->is_told)
            bh_log_info("db", "listening for other processes again");
        listen->is_told = false;
        tell_all(listen);
        code = hear(listen, BH_NEVER_US, reterr);
        if (code)
            return code;
    }
}

static void listen_in_fiber(void *const argument)
{
    struct bh_pg_listen *const listen = argument;
    listen->fiber = bh_fiber_current();
    while (!atomic_load(&listen->is_ending)) {
        if (!listen->is_wanted) {
            bh_fiber_park_uncancelable();
            continue;
        }
        struct bh_error error = { 0 };
        int code = dial(listen, &error);
        if (!code)
            code = serve(listen, &error);
        hang_up(listen);
        if (code == BH_ECANCELED)
            continue;
        if (!listen->is_told)
            bh_log_warning("db", "not listening for other processes, trying again: %s",
                           error.message);
        listen->is_told = true;
        (void)!bh_fiber_park_uncancelable_until(bh_time_now_us() + RETRY_US);
    }
    listen->fiber = NULL;
}

/* ---- Life ---- */

static void poked(struct bh_task *const task)
{
    struct bh_pg_listen *const listen = BH_CONTAINER_OF(task, struct bh_pg_listen, poke);
    atomic_store(&listen->is_poked, false);
    listen->is_wanted = true;
    if (listen->fiber)
        bh_fiber_wake(listen->fiber);
}

void bh_pg_listen_poke(struct bh_pg_listen *const listen)
{
    if (!atomic_exchange(&listen->is_poked, true))
        bh_loop_post(listen->loop, &listen->poke);
}

struct start {
    struct bh_pg_listen *listen;
    int code;
};

static void start_at_home(void *const argument)
{
    struct start *const start = argument;
    start->code = bh_fiber_spawn(bh_loop_current(), listen_in_fiber, start->listen);
}

int bh_pg_listen_start(struct bh_pg_listen *const listen, const struct bh_db *const db,
                       const struct bh_pg_config *const config, const struct bh_pg_home *const home)
{
    struct start start = { .listen = listen };
    listen->db = db;
    listen->config = config;
    listen->poke.run = poked;
    bh_list_init(&listen->poke.node);
    int code = bh_pg_home_run(home, start_at_home, &start);
    if (!code)
        code = start.code;
    if (!code)
        listen->loop = home->loop;
    return code;
}

void bh_pg_listen_stop(struct bh_pg_listen *const listen)
{
    if (!listen->loop)
        return;
    atomic_store(&listen->is_ending, true);
    bh_pg_listen_poke(listen);
}
