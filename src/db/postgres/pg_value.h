/*
 * Values on the wire: parameters into what libpq sends, results out of what it received.
 *
 * Parameters carry no type of their own: the statement's text decides ($1 beside an int4 column is
 * an int4; `$1::bigint` where nothing else tells). Numbers and texts go as text, which every type
 * reads; a BLOB goes binary and fits a bytea. Results come binary.
 */
#pragma once

#include <libpq-fe.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/db/db.h"

/* The longest value: the server's own limit is 1 GB a row. */
#define BH_PG_VALUE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define BH_PG_PARAMETERS_MAX 128

/* One row of parameters as PQsendQueryPrepared takes it; the texts live in `texts`. */
struct bh_pg_parameters {
    int count;
    const char *values[BH_PG_PARAMETERS_MAX];
    int lengths[BH_PG_PARAMETERS_MAX];
    int formats[BH_PG_PARAMETERS_MAX];
};

/* Refuses what PostgreSQL cannot take, before anything is sent. BH_EINVAL: a NUL byte in a text;
 * BH_ELIMIT: a value too long, too many parameters. */
int bh_pg_value_check(const char *statement_name, const struct bh_db_value *values, size_t count,
                      struct bh_error *reterr) BH_MUST_CHECK;

/* `texts` is cleared and filled; the parameters borrow it and `values`. BH_ENOMEM, BH_ELIMIT. */
int bh_pg_value_parameters(const struct bh_db_value *values, size_t count, struct bh_buf *texts,
                           struct bh_pg_parameters *ret_parameters) BH_MUST_CHECK;

/* Appends one row in COPY's binary format: INT as int8, DOUBLE as float8, TEXT as text, BLOB as
 * bytea. The buffer's error tells a failure. */
void bh_pg_value_copy_row(struct bh_buf *buf, const struct bh_db_value *values, size_t count);
void bh_pg_value_copy_header(struct bh_buf *buf);
void bh_pg_value_copy_trailer(struct bh_buf *buf);

/* Rows as they grow, doubled inside the arena, so that its limit bounds them. */
struct bh_pg_rows {
    struct bh_arena *arena; /* NULL: rows are passed over */
    struct bh_db_value *values;
    size_t row_count, row_capacity, column_count;
};

/* Copies all rows of `result`. BH_ELIMIT: the arena is full. BH_EUNSUPPORTED: a column's type has
 * no counterpart; *ret_column is then that column. */
int bh_pg_value_rows(struct bh_pg_rows *rows, const PGresult *result,
                     int *ret_column) BH_MUST_CHECK;
