/*
 * The seam between the calls of db.h and a database: one table of functions for each backend.
 *
 * A driver's database and transaction objects begin with the structs below, so that db.c finds the
 * table without a look-up. What each function promises stands in db.h.
 *
 * db.c times each call by a span that comes with it; the driver notes in it when the call got its
 * connection, when the database was done, and how many rows there were (db/trace.h).
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/time.h"
#include "bulkhead/db/control.h"
#include "bulkhead/db/db.h"
#include "bulkhead/db/migrate.h"
#include "bulkhead/db/statistics.h"
#include "db/listen.h"
#include "db/passage.h"
#include "db/trace.h"

#define BH_DB_LEAK_US (60 * BH_SECOND_US) /* where options say nothing */

struct bh_driver {
    const char *backend;    /* "sqlite": what bh_db_backend tells */
    const char *schemes[2]; /* "sqlite:": how a URL of this driver begins */

    /* `location`: the URL behind the scheme. */
    int (*open)(const char *location, const struct bh_db_options *options, struct bh_db **ret_db,
                struct bh_error *reterr);
    void (*close)(struct bh_db *db);
    void (*statistics)(struct bh_db *db, enum bh_db_lane lane,
                       struct bh_db_statistics *ret_statistics);
    bool (*change_mark)(struct bh_db *db, uint64_t *ret_mark); /* NULL: there is none */
    void (*note_seen)(struct bh_db *db); /* NULL: no read is older than another */

    /* Of bulkhead/db/control.h. Both NULL: there are no connections to be controlled. */
    void (*control)(struct bh_db *db, enum bh_db_lane lane, enum bh_db_action action);
    int (*resize)(struct bh_db *db, enum bh_db_lane lane, unsigned minimum, unsigned maximum,
                  struct bh_error *reterr);

    int (*query)(struct bh_db *db, enum bh_db_lane lane, const struct bh_statement *statement,
                 const struct bh_db_value *parameters, size_t parameter_count,
                 struct bh_arena *arena, struct bh_db_rows *ret_rows, struct bh_trace_span *span,
                 struct bh_error *reterr);

    int (*begin)(struct bh_db *db, enum bh_db_lane lane, struct bh_db_transaction **ret_transaction,
                 struct bh_trace_span *span, struct bh_error *reterr);
    int (*commit)(struct bh_db_transaction *transaction, struct bh_trace_span *span,
                  struct bh_error *reterr);
    void (*rollback)(struct bh_db_transaction *transaction, struct bh_trace_span *span);
    int (*transaction_query)(struct bh_db_transaction *transaction,
                             const struct bh_statement *statement,
                             const struct bh_db_value *parameters, size_t parameter_count,
                             struct bh_arena *arena, struct bh_db_rows *ret_rows,
                             struct bh_trace_span *span, struct bh_error *reterr);
    int (*transaction_many)(struct bh_db_transaction *transaction,
                            const struct bh_statement *statement,
                            const struct bh_db_value *parameters, size_t parameter_count,
                            size_t row_count, int64_t *ret_changes, struct bh_trace_span *span,
                            struct bh_error *reterr);

    /* Somebody listens on a channel that was not asked for yet (db/listen.h), and messages to those
     * who do. Both NULL: they stay within the process. */
    void (*listen)(struct bh_db *db);
    int (*notify)(struct bh_db *db, const char *channel, struct bh_str message,
                  struct bh_trace_span *span, struct bh_error *reterr);

    /* A statement's text for this backend, or NULL; whether PostgreSQL's grammar reads it. */
    const char *(*statement_text)(const struct bh_statement *statement);
    bool speaks_postgres;

    /* Keeps other processes from migrating until the transaction ends. NULL: its begin does. */
    int (*transaction_lock_migrations)(struct bh_db_transaction *transaction,
                                       struct bh_error *reterr);
    /* A migration's text for this backend, or NULL. */
    const char *(*migration_text)(const struct bh_migration *migration);
    /* Runs that text: several statements, none of which may end the transaction. */
    int (*transaction_migrate)(struct bh_db_transaction *transaction,
                               const struct bh_migration *migration, struct bh_trace_span *span,
                               struct bh_error *reterr);
};

struct bh_db {
    const struct bh_driver *driver;
    const struct bh_db_gate *gate;  /* set by db.c after open; NULL: none */
    struct bh_listeners *listeners; /* db.c's; set once it is open */
};

struct bh_db_transaction {
    const struct bh_driver *driver;
    struct bh_db_passage passage; /* set by db.c after begin */
};

extern const struct bh_driver bh_sqlite_driver;
extern const struct bh_driver bh_postgres_driver;
