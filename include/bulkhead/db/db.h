/*
 * Databases behind one set of waiting calls. A repository is written once; its statements stand in
 * two files (sql/sqlite/NAME.sql, sql/postgres/NAME.sql) built into the binary.
 *
 * All calls come from a fiber; each waits within the fiber's deadline, and a client that leaves
 * cancels it (the database is interrupted). Rows are copied into the caller's arena, so their
 * memory is bounded by the arena's limit (BH_ELIMIT past it).
 *
 * Two pools: READ (many connections, read-only) and WRITE. On SQLite: N reader threads and one
 * writer thread over one WAL file. On PostgreSQL: connections on each loop, statements outside of
 * transactions pipelined on a few of them.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "bulkhead/base/error.h"

struct bh_db;             /* opaque: thread-safe, shared by all loops */
struct bh_db_transaction; /* opaque: of one fiber */

enum bh_db_lane { BH_DB_READ, BH_DB_WRITE };

/* ---- Statements ---- */

/* Constant for the life of the process, with its texts: statements are known by their address. */
struct bh_statement {
    const char *name;   /* "book_by_id": the file's name */
    const char *sqlite; /* text, or NULL where a backend has no such statement */
    const char *postgres;
    unsigned index;     /* position in its table; keys the prepared-statement cache */
    bool is_slow;       /* may run for long: gets a connection alone, is stopped if nobody waits */
    bool needs_primary; /* no replica answers it, outside of transactions: what it tells decides */
};

/* ---- Values ---- */

enum bh_db_type { BH_DB_NULL, BH_DB_INT, BH_DB_DOUBLE, BH_DB_TEXT, BH_DB_BLOB };

struct bh_db_value {
    enum bh_db_type type;
    union {
        int64_t integer;
        double real;
        struct bh_str text; /* TEXT (UTF-8) and BLOB; borrowed until the call returns */
    };
};

static inline struct bh_db_value bh_db_null(void)
{
    return (struct bh_db_value){ .type = BH_DB_NULL };
}
static inline struct bh_db_value bh_db_int(const int64_t value)
{
    return (struct bh_db_value){ .type = BH_DB_INT, .integer = value };
}
static inline struct bh_db_value bh_db_double(const double value)
{
    return (struct bh_db_value){ .type = BH_DB_DOUBLE, .real = value };
}
static inline struct bh_db_value bh_db_text(const struct bh_str value)
{
    return (struct bh_db_value){ .type = BH_DB_TEXT, .text = value };
}
static inline struct bh_db_value bh_db_blob(const struct bh_str value)
{
    return (struct bh_db_value){ .type = BH_DB_BLOB, .text = value };
}

/* ---- Rows ---- */

struct bh_db_rows {
    size_t row_count;
    size_t column_count;
    int64_t changes;                  /* rows inserted, updated or deleted */
    const struct bh_db_value *values; /* row_count × column_count, in the arena */
};

static inline const struct bh_db_value *bh_db_at(const struct bh_db_rows *const rows,
                                                 const size_t row, const size_t column)
{
    return &rows->values[row * rows->column_count + column];
}
/* Conversions for a column's declared type; NULL gives 0, 0.0, {NULL, 0}. */
int64_t bh_db_int_at(const struct bh_db_rows *rows, size_t row, size_t column);
double bh_db_double_at(const struct bh_db_rows *rows, size_t row, size_t column);
struct bh_str bh_db_text_at(const struct bh_db_rows *rows, size_t row, size_t column);
bool bh_db_is_null_at(const struct bh_db_rows *rows, size_t row, size_t column);

/* ---- Calls ---- */

/* Runs one statement outside of a transaction (on the WRITE lane: in one of its own).
 * `arena` and `ret_rows` may both be NULL where rows do not matter.
 * BH_EBUSY: no connection within the time-out, or too many wait. BH_ELIMIT: the arena is full (on
 * PostgreSQL a change is kept then).
 * BH_EEXISTS: a unique constraint. BH_ECONFLICT: a foreign key or check. BH_ENOSPACE: disk full.
 * BH_EUNAVAILABLE: the database cannot be reached or is locked past the deadline. BH_ECORRUPT. */
int bh_db_query(struct bh_db *db, enum bh_db_lane lane, const struct bh_statement *statement,
                const struct bh_db_value *parameters, size_t parameter_count,
                struct bh_arena *arena, struct bh_db_rows *ret_rows,
                struct bh_error *reterr) BH_MUST_CHECK;

/* A transaction holds its lane's connection alone: keep it short. READ: one snapshot.
 * End it by commit or rollback, whatever happens; both free it, also a commit that fails (nothing
 * is kept then). `bh_db_rollback(NULL)` is fine. After an error inside it only rollback is left: a
 * query or commit returns that error's code. A cancelled fiber's rollback still runs, and a commit
 * once begun is carried through, so its outcome is known. A transaction that is idle for longer
 * than `transaction_idle_timeout_us` is rolled back and its next call returns BH_ETIMEDOUT. */
int bh_db_begin(struct bh_db *db, enum bh_db_lane lane, struct bh_db_transaction **ret_transaction,
                struct bh_error *reterr) BH_MUST_CHECK;
int bh_db_commit(struct bh_db_transaction *transaction, struct bh_error *reterr) BH_MUST_CHECK;
void bh_db_rollback(struct bh_db_transaction *transaction);

int bh_db_transaction_query(struct bh_db_transaction *transaction,
                            const struct bh_statement *statement,
                            const struct bh_db_value *parameters, size_t parameter_count,
                            struct bh_arena *arena, struct bh_db_rows *ret_rows,
                            struct bh_error *reterr) BH_MUST_CHECK;

/* The same statement for `row_count` rows of parameters, in one step: no result rows, one
 * round trip. `ret_changes` may be NULL. */
int bh_db_transaction_many(struct bh_db_transaction *transaction,
                           const struct bh_statement *statement,
                           const struct bh_db_value *parameters, size_t parameter_count,
                           size_t row_count, int64_t *ret_changes,
                           struct bh_error *reterr) BH_MUST_CHECK;

/* ---- Life ---- */

struct bh_db_options {
    const char *url;             /* "sqlite:PATH", "postgresql://USER@HOST:PORT/DATABASE" */
    unsigned read_connections;   /* SQLite: reader threads */
    unsigned waiters_maximum;    /* calls that may wait for a connection; past it BH_EBUSY */
    uint64_t acquire_timeout_us; /* also: how long to wait for another process's lock at most */
    uint64_t transaction_idle_timeout_us; /* 0: 10 s */
    uint64_t leak_us; /* who has a connection for longer is logged; 0: 1 min; BH_NEVER_US: nobody */
    const struct bh_statement *statements; /* all the program will run: prepared on first use */
    size_t statement_count;
    const struct bh_postgres_options *postgres; /* bulkhead/db/postgres.h; NULL: its defaults */
    const struct bh_db_gate *gate;              /* bulkhead/db/gate.h; borrowed; NULL: none */
};

/* Opens and verifies the database, not from a fiber; errors name the file and the cure. Threads
 * without a loop (a command line) may make the calls above too: they block, without a deadline. */
int bh_db_open(const struct bh_db_options *options, struct bh_db **ret_db,
               struct bh_error *reterr) BH_MUST_CHECK;
/* No call may be running, and loops that made calls have ended. NULL is fine. */
void bh_db_close(struct bh_db *db);

/* "sqlite" or "postgresql". */
const char *bh_db_backend(const struct bh_db *db);
