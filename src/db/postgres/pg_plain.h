/*
 * What pipeline mode cannot do, on a connection somebody holds alone: COPY, and texts of several
 * statements. The calling fiber leaves pipeline mode, drives the socket itself, and goes back.
 *
 * Whoever stops half-way leaves a connection that is LOST: the server hears of it as the socket
 * closes, and undoes what was begun.
 */
#pragma once

#include "db/postgres/pg_connection.h"

/* Whether the statement's text is a COPY … FROM STDIN. */
bool bh_pg_plain_is_copy(const struct bh_statement *statement);

/* Runs the texts (NULL behind the last), each by itself. */
int bh_pg_plain_run(struct bh_pg_connection *connection, const char *name, const char *const *texts,
                    size_t count, struct bh_error *reterr) BH_MUST_CHECK;

/* The rows as COPY data in binary format. *ret_changes: how many the server took. */
int bh_pg_plain_copy(struct bh_pg_connection *connection, const struct bh_statement *statement,
                     const struct bh_db_value *parameters, size_t parameter_count, size_t row_count,
                     int64_t *ret_changes, struct bh_error *reterr) BH_MUST_CHECK;

/* Runs all statements of `text` in the open transaction. BH_EINVAL: one of them would end it; none
 * has run then. */
int bh_pg_plain_script(struct bh_pg_connection *connection, const char *name, const char *text,
                       struct bh_error *reterr) BH_MUST_CHECK;
