/*
 * Running statements on a session, on its thread.
 */
#pragma once

#include "db/sqlite/sqlite_session.h"

/* Runs a statement to its end. Rows go into `arena`, of which nobody else makes use meanwhile: its
 * fiber is parked. Without `arena` and `ret_rows` rows are passed over. */
int bh_sqlite_query_run(struct bh_sqlite_session *session, const struct bh_statement *statement,
                        const struct bh_db_value *parameters, size_t parameter_count,
                        struct bh_arena *arena, struct bh_db_rows *ret_rows,
                        struct bh_error *reterr) BH_MUST_CHECK;

/* Runs it once for each of `row_count` rows of parameters. */
int bh_sqlite_query_many(struct bh_sqlite_session *session, const struct bh_statement *statement,
                         const struct bh_db_value *parameters, size_t parameter_count,
                         size_t row_count, int64_t *ret_changes,
                         struct bh_error *reterr) BH_MUST_CHECK;

/* Runs all statements of `text` inside the open transaction. */
int bh_sqlite_query_script(struct bh_sqlite_session *session, const char *name, const char *text,
                           struct bh_error *reterr) BH_MUST_CHECK;
