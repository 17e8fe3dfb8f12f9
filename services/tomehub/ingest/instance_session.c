#include "ingest/instance_session.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/thread.h"
#include "tomehub_sql.h"

#define NUMBER_BITS 52 /* exact in every JSON reader; two of millions differ */
#define RETRY_MS 1000

struct tome_instance_session {
    char *url;
    int64_t number;
    int stop; /* an eventfd: becomes readable at the end */
    bool is_running;
    pthread_t thread;
    PGconn *connection; /* of the creator, then of the thread */
};

/* ---- The connection ---- */

/* The server's message without its line end. */
static int fail(const PGconn *const connection, struct bh_error *const reterr)
{
    const struct bh_str message = bh_str_trim(bh_str_from(PQerrorMessage(connection)));
    return bh_error_set(reterr, BH_EUNAVAILABLE,
                        "cannot lock this process's number in the database: %.*s",
                        BH_STR_ARGS(message));
}

static int connect_to(const char *const url, PGconn **const ret_connection,
                      struct bh_error *const reterr)
{
    static const char *const keywords[] = { "dbname",          "fallback_application_name",
                                            "connect_timeout", "keepalives_idle",
                                            "client_encoding", NULL };
    const char *const values[] = { url, "tomehub jobs", "10", "30", "UTF8", NULL };
    PGconn *const connection = PQconnectdbParams(keywords, values, 1);
    if (PQstatus(connection) != CONNECTION_OK) {
        const int result = fail(connection, reterr);
        PQfinish(connection);
        return result;
    }
    *ret_connection = connection;
    return 0;
}

/* 1: locked; 0: another session has it. */
static int lock_number(PGconn *const connection, const int64_t number,
                       struct bh_error *const reterr)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    const char *const values[] = { text };
    PGresult *const result = PQexecParams(connection, "SELECT pg_try_advisory_lock($1::bigint)", 1,
                                          NULL, values, NULL, NULL, 0);
    int locked;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        locked = PQgetvalue(result, 0, 0)[0] == 't';
    else
        locked = fail(connection, reterr);
    PQclear(result);
    return locked;
}

/* ---- The thread ---- */

/* True: the end has come. */
static bool wait_for(const struct tome_instance_session *const session, const int socket,
                     const int timeout_ms)
{
    struct pollfd fds[] = { { .fd = session->stop, .events = POLLIN },
                            { .fd = socket, .events = POLLIN } };
    (void)!poll(fds, socket >= 0 ? 2 : 1, timeout_ms);
    return (fds[0].revents & POLLIN) != 0;
}

/* True: the lock is held again. */
static bool lock_again(struct tome_instance_session *const session)
{
    struct bh_error error = { 0 };
    PGconn *connection = NULL;
    if (connect_to(session->url, &connection, &error) < 0)
        return false;
    if (lock_number(connection, session->number, &error) != 1) {
        PQfinish(connection);
        return false;
    }
    session->connection = connection;
    bh_log_info("ingest", "This process's jobs are its own again");
    return true;
}

static void *watch(void *const argument)
{
    struct tome_instance_session *const session = argument;
    for (;;) {
        if (session->connection == NULL) {
            if (wait_for(session, -1, RETRY_MS))
                return NULL;
            (void)lock_again(session);
            continue;
        }
        if (wait_for(session, PQsocket(session->connection), -1))
            return NULL;
        if (PQconsumeInput(session->connection) == 1 &&
            PQstatus(session->connection) == CONNECTION_OK)
            continue;
        PQfinish(session->connection);
        session->connection = NULL;
        bh_log_warning("ingest", "The connection that keeps this process's jobs its own broke; "
                                 "connecting again, others may take them over meanwhile");
    }
}

/* ---- Life ---- */

static int lock_any(struct tome_instance_session *const session, struct bh_error *const reterr)
{
    int result = connect_to(session->url, &session->connection, reterr);
    for (int locked = 0; result == 0 && locked == 0;) {
        uint64_t random = 0;
        if (uv_random(NULL, NULL, &random, sizeof(random), 0, NULL) != 0)
            return bh_error_set(reterr, BH_EINTERNAL, "the system gives no random number");
        session->number = (int64_t)(random >> (64 - NUMBER_BITS)) + 1;
        locked = lock_number(session->connection, session->number, reterr);
        result = locked < 0 ? locked : 0;
    }
    return result;
}

int tome_instance_session_create(const char *const url,
                                 struct tome_instance_session **const ret_session,
                                 int64_t *const ret_number, struct bh_error *const reterr)
{
    struct tome_instance_session *const session = calloc(1, sizeof(*session));
    if (session == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the process's number");
    session->url = strdup(url);
    session->stop = eventfd(0, EFD_CLOEXEC);
    int result = session->url == NULL || session->stop < 0
                     ? bh_error_set(reterr, BH_ENOMEM, "no memory for the process's number")
                     : lock_any(session, reterr);
    if (result == 0 && bh_thread_start(watch, session, &session->thread) != 0)
        result = bh_error_set(reterr, BH_ENOMEM, "cannot start a thread");
    session->is_running = result == 0;
    if (result != 0) {
        tome_instance_session_destroy(session);
        return result;
    }
    *ret_session = session;
    *ret_number = session->number;
    return 0;
}

void tome_instance_session_destroy(struct tome_instance_session *const session)
{
    if (session == NULL)
        return;
    if (session->is_running) {
        const uint64_t one = 1;
        (void)!write(session->stop, &one, sizeof(one));
        pthread_join(session->thread, NULL);
    }
    PQfinish(session->connection);
    if (session->stop >= 0)
        close(session->stop);
    free(session->url);
    free(session);
}

bool tome_instance_session_is_alive(struct bh_db *const db, const int64_t number)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    const struct bh_db_value parameters[] = { bh_db_int(number) };
    struct bh_db_rows rows;
    if (bh_arena_create(4096, &arena) < 0 ||
        bh_db_query(db, BH_DB_READ, &TOME_SQL_INSTANCE_IS_ALIVE, parameters, 1, arena, &rows,
                    NULL) != 0)
        return true;
    return rows.row_count == 0 || bh_db_int_at(&rows, 0, 0) != 0;
}
