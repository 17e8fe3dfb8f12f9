#include "db/postgres/pg_plain.h"

#include <stdlib.h>
#include <strings.h>

#include "bulkhead/base/assert.h"
#include "db/postgres/pg_error.h"
#include "db/postgres/pg_script.h"

#define COPY_BUFFER_BYTES ((size_t)128 * 1024) /* data encoded before it is handed to libpq */

bool bh_pg_plain_is_copy(const struct bh_statement *const statement)
{
    return statement->postgres && strncasecmp(statement->postgres, "COPY ", 5) == 0;
}

/* Parks until what is watched for happens. An error means that the caller gives up. */
static int park(struct bh_pg_connection *const connection, const char *const name,
                struct bh_error *const reterr)
{
    const int stopped = connection->state == BH_PG_OPEN ? bh_fiber_park() : 0;
    if (connection->state != BH_PG_OPEN)
        return bh_pg_connection_lost_error(connection, name, reterr);
    return stopped ? bh_error_set(reterr, stopped, "%s: %s", name, bh_error_text(stopped)) : 0;
}

/* For an answer that the server owes. */
static int wait_to_read(struct bh_pg_connection *const connection, const char *const name,
                        struct bh_error *const reterr)
{
    bh_pg_connection_watch(connection);
    return park(connection, name, reterr);
}

/* For room to send what libpq has left. Watching tries to send it first; if that has worked,
 * nothing would end the wait: a server that waits for a COPY's data says nothing. */
static int wait_to_send(struct bh_pg_connection *const connection, const char *const name,
                        struct bh_error *const reterr)
{
    bh_pg_connection_watch(connection);
    const bool is_sent = connection->state == BH_PG_OPEN && !(connection->watched & UV_WRITABLE);
    return is_sent ? 0 : park(connection, name, reterr);
}

static int begin(struct bh_pg_connection *const connection, const char *const name,
                 struct bh_error *const reterr)
{
    if (connection->state != BH_PG_OPEN)
        return bh_pg_connection_lost_error(connection, name, reterr);
    bh_assert(bh_list_is_empty(&connection->requests));
    const int left = PQexitPipelineMode(connection->pg);
    bh_assert(left == 1);
    connection->driver = bh_fiber_current();
    return 0;
}

/* Back to pipelines, if everything was read; a connection left half-way is of no more use. */
static int end(struct bh_pg_connection *const connection, const char *const name, const int code,
               struct bh_error *const reterr)
{
    connection->driver = NULL;
    if (connection->state != BH_PG_OPEN)
        return code ? code : bh_pg_connection_lost_error(connection, name, reterr);
    if (PQtransactionStatus(connection->pg) != PQTRANS_ACTIVE &&
        PQenterPipelineMode(connection->pg) == 1)
        return code;
    struct bh_error error = { 0 };
    bh_error_set(&error, BH_EINVAL, "%s was given up half-way", name);
    bh_pg_connection_lose(connection, &error);
    return code ? code : bh_pg_connection_lost_error(connection, name, reterr);
}

/* The next result, or NULL at the end, once it has arrived. */
static int next_result(struct bh_pg_connection *const connection, const char *const name,
                       PGresult **const ret_result, struct bh_error *const reterr)
{
    while (PQflush(connection->pg) > 0 || PQisBusy(connection->pg)) {
        const int code = wait_to_read(connection, name, reterr);
        if (code)
            return code;
    }
    *ret_result = PQgetResult(connection->pg);
    return 0;
}

/* Reads all results; the first error counts. */
static int read_results(struct bh_pg_connection *const connection, const char *const name,
                        int64_t *const changes, struct bh_error *const reterr)
{
    int failed = 0;
    for (;;) {
        PGresult *result;
        const int code = next_result(connection, name, &result, reterr);
        if (code)
            return code;
        if (!result)
            return failed;
        const ExecStatusType status = PQresultStatus(result);
        if (!failed && (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE))
            failed = bh_pg_error_result(result, name, reterr);
        else if (!failed && (status == PGRES_COPY_IN || status == PGRES_COPY_OUT))
            failed = bh_error_set(reterr, BH_EINVAL, "%s: a COPY cannot stand here", name);
        if (!failed)
            *changes += strtoll(PQcmdTuples(result), NULL, 10);
        PQclear(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
            return failed; /* left half-way */
    }
}

/* ---- COPY ---- */

/* The server's permission to send. */
static int begin_copy(struct bh_pg_connection *const connection,
                      const struct bh_statement *const statement, struct bh_error *const reterr)
{
    const char *const name = statement->name;
    if (PQsendQueryParams(connection->pg, statement->postgres, 0, NULL, NULL, NULL, NULL, 0) != 1)
        return bh_pg_error_connection(connection->pg, name, reterr);
    PGresult *result;
    int code = next_result(connection, name, &result, reterr);
    if (code)
        return code;
    const bool is_ready = PQresultStatus(result) == PGRES_COPY_IN;
    if (!is_ready)
        code = PQresultStatus(result) == PGRES_FATAL_ERROR
                   ? bh_pg_error_result(result, name, reterr)
                   : bh_error_set(reterr, BH_EINVAL, "statement \"%s\" is no COPY … FROM STDIN",
                                  name);
    PQclear(result);
    int64_t ignored = 0;
    if (!is_ready)
        (void)!read_results(connection, name, &ignored, NULL);
    return code;
}

static int put(struct bh_pg_connection *const connection, const char *const name,
               struct bh_buf *const data, struct bh_error *const reterr)
{
    if (bh_buf_error(data))
        return bh_error_set(reterr, bh_buf_error(data), "%s: no memory for the rows", name);
    int taken;
    while ((taken = PQputCopyData(connection->pg, data->data, (int)data->size)) == 0) {
        const int code = wait_to_send(connection, name, reterr);
        if (code)
            return code;
    }
    if (taken < 0)
        return bh_pg_error_connection(connection->pg, name, reterr);
    bh_buf_clear(data);
    /* What libpq could not send waits in its memory: no more before that is gone. */
    while (PQflush(connection->pg) > 0) {
        const int code = wait_to_send(connection, name, reterr);
        if (code)
            return code;
    }
    return 0;
}

static int put_rows(struct bh_pg_connection *const connection, const char *const name,
                    const struct bh_db_value *const parameters, const size_t parameter_count,
                    const size_t row_count, struct bh_error *const reterr)
{
    struct bh_buf data;
    bh_buf_init(&data, BH_PG_VALUE_BYTES_MAX * 8);
    bh_pg_value_copy_header(&data);
    int code = 0;
    for (size_t row = 0; !code && row < row_count; row++) {
        bh_pg_value_copy_row(&data, &parameters[row * parameter_count], parameter_count);
        if (data.size >= COPY_BUFFER_BYTES)
            code = put(connection, name, &data, reterr);
    }
    bh_pg_value_copy_trailer(&data);
    if (!code)
        code = put(connection, name, &data, reterr);
    bh_buf_fini(&data);
    return code;
}

static int copy(struct bh_pg_connection *const connection,
                const struct bh_statement *const statement,
                const struct bh_db_value *const parameters, const size_t parameter_count,
                const size_t row_count, int64_t *const changes, struct bh_error *const reterr)
{
    const char *const name = statement->name;
    int code = begin_copy(connection, statement, reterr);
    if (!code)
        code = put_rows(connection, name, parameters, parameter_count, row_count, reterr);
    if (code)
        return code;
    int ended;
    while ((ended = PQputCopyEnd(connection->pg, NULL)) == 0) {
        code = wait_to_send(connection, name, reterr);
        if (code)
            return code;
    }
    return ended < 0 ? bh_pg_error_connection(connection->pg, name, reterr)
                     : read_results(connection, name, changes, reterr);
}

int bh_pg_plain_copy(struct bh_pg_connection *const connection,
                     const struct bh_statement *const statement,
                     const struct bh_db_value *const parameters, const size_t parameter_count,
                     const size_t row_count, int64_t *const ret_changes,
                     struct bh_error *const reterr)
{
    for (size_t row = 0; row < row_count; row++) {
        const int refused = bh_pg_value_check(statement->name, &parameters[row * parameter_count],
                                              parameter_count, reterr);
        if (refused)
            return refused;
    }
    int64_t changes = 0;
    int code = begin(connection, statement->name, reterr);
    if (code)
        return code;
    code = copy(connection, statement, parameters, parameter_count, row_count, &changes, reterr);
    code = end(connection, statement->name, code, reterr);
    if (!code)
        *ret_changes = changes;
    return code;
}

/* ---- Scripts ---- */

static int run_text(struct bh_pg_connection *const connection, const char *const name,
                    const char *const text, struct bh_error *const reterr)
{
    int64_t ignored = 0;
    if (PQsendQuery(connection->pg, text) != 1)
        return bh_pg_error_connection(connection->pg, name, reterr);
    return read_results(connection, name, &ignored, reterr);
}

int bh_pg_plain_run(struct bh_pg_connection *const connection, const char *const name,
                    const char *const *const texts, const size_t count,
                    struct bh_error *const reterr)
{
    int code = begin(connection, name, reterr);
    if (code)
        return code;
    for (size_t i = 0; !code && i < count && texts[i]; i++)
        code = run_text(connection, name, texts[i], reterr);
    return end(connection, name, code, reterr);
}

int bh_pg_plain_script(struct bh_pg_connection *const connection, const char *const name,
                       const char *const text, struct bh_error *const reterr)
{
    if (bh_pg_script_has_transaction(text))
        return bh_error_set(reterr, BH_EINVAL,
                            "%s: it runs in a transaction already; remove its BEGIN, COMMIT or "
                            "ROLLBACK",
                            name);
    return bh_pg_plain_run(connection, name, &text, 1, reterr);
}
