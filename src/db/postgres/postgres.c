/*
 * The PostgreSQL driver's calls. Each packs its arguments into a struct on the caller's stack and
 * runs in its fiber; from a thread without a loop, as a fiber on the driver's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "db/db_metrics.h"
#include "db/postgres/pg_call.h"
#include "db/postgres/pg_database.h"
#include "db/postgres/pg_plain.h"

#define TRANSACTION_MAGIC 0x50475452u

#define MIGRATION_LOCK "7810171201" /* pg_advisory_xact_lock: all programs of this runtime */

struct transaction {
    struct bh_db_transaction base;
    BH_MAGIC_FIELD;
    struct bh_pg_database *database;
    enum bh_pg_pool pool;
    struct bh_pool_lease lease;
    struct bh_pg_connection *connection;
    char budget[64];    /* the text that limits its statements, while it is sent */
    uint64_t budget_ms; /* what the server lets each of them take */
    bool is_begun;      /* in the database too: with the first statement */
    bool is_running;    /* a statement nobody waits for */
    int failed;         /* 0, or the code of the error after which only rollback is left */
};

#define STATEMENT(statement_name, text)                                   \
    {                                                                     \
        .name = (statement_name), .postgres = (text), .index = UINT32_MAX \
    }

static const char *const begin_texts[BH_PG_POOLS] = {
    [BH_PG_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    [BH_PG_WRITE] = "BEGIN",
    [BH_PG_REPLICA] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
};
static const struct bh_statement commit_statement = STATEMENT("commit", "COMMIT");
static const struct bh_statement notify_statement = STATEMENT("notify", "SELECT pg_notify($1, $2)");
static const struct bh_statement no_timeout = STATEMENT("migration_lock",
                                                        "SET LOCAL statement_timeout = 0");
static const struct bh_statement migration_lock = STATEMENT(
    "migration_lock", "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")");

static struct transaction *transaction_of(struct bh_db_transaction *const base)
{
    struct transaction *const transaction = BH_CONTAINER_OF(base, struct transaction, base);
    bh_magic_check(transaction, TRANSACTION_MAGIC);
    return transaction;
}

/* ---- Single statements ---- */

/* Every failed call is counted where it ends. */
static int counted(const int code)
{
    if (code)
        bh_db_metrics_error(code);
    return code;
}

static unsigned class_of(const struct bh_pg_database *const database,
                         const struct bh_statement *const statement)
{
    const size_t count = database->options.statement_count;
    return statement->index < count ? statement->index : (unsigned)count;
}

struct query {
    struct bh_pg_database *database;
    enum bh_db_lane lane;
    struct bh_pg_call call;
    struct bh_error *reterr;
    int code;
};

static int query_in(struct query *const query, const enum bh_pg_pool which)
{
    struct bh_pool_loop *pool;
    const int code = bh_pg_shards_pool(&query->database->shards, which, &pool, query->reterr);
    return code ? code
                : bh_pg_call_alone(pool, class_of(query->database, query->call.statement),
                                   &query->call, query->reterr);
}

/* Whether the primary may do better: the replica is gone, or had to stop a statement that was in
 * the way of its replay. */
static bool is_replicas_fault(const int code)
{
    return code == BH_EUNAVAILABLE || code == BH_ECONFLICT;
}

static void query_in_fiber(void *const argument)
{
    struct query *const query = argument;
    struct bh_pg_replica *const replica = &query->database->replica;
    if (query->lane == BH_DB_WRITE) {
        query->code = query_in(query, BH_PG_WRITE);
        bh_pg_replica_note_seen(replica);
        return;
    }
    const unsigned turn = bh_pg_replica_turn(replica);
    if (!query->call.statement->needs_primary && bh_pg_replica_may_read(replica)) {
        const struct bh_pg_call unasked = query->call;
        query->code = query_in(query, BH_PG_REPLICA);
        const bool has_turned = bh_pg_replica_turn(replica) != turn;
        if (!has_turned && !is_replicas_fault(query->code))
            return;
        if (!has_turned)
            bh_pg_replica_failed(replica);
        query->call = unasked;
    }
    query->code = query_in(query, BH_PG_READ);
}

static int no_fiber(const int code, struct bh_error *const reterr)
{
    return bh_error_set(reterr, code, "no fiber for the call: too many run");
}

static void give_rows(const struct bh_pg_call *const call, struct bh_db_rows *const ret_rows)
{
    call->span->rows = call->rows.row_count > 0 ? call->rows.row_count : (uint64_t)call->changes;
    if (ret_rows)
        *ret_rows = (struct bh_db_rows){ .row_count = call->rows.row_count,
                                         .column_count = call->rows.column_count,
                                         .changes = call->changes,
                                         .values = call->rows.values };
}

static int database_query(struct bh_db *const db, const enum bh_db_lane lane,
                          const struct bh_statement *const statement,
                          const struct bh_db_value *const parameters, const size_t parameter_count,
                          struct bh_arena *const arena, struct bh_db_rows *const ret_rows,
                          struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct query query = { .database = bh_pg_database_of(db), .lane = lane, .reterr = reterr };
    bh_pg_call_init(&query.call, statement, parameters, parameter_count, ret_rows ? arena : NULL,
                    span);
    const int code = bh_pg_home_run(&query.database->home, query_in_fiber, &query);
    if (code)
        return no_fiber(code, reterr);
    if (!query.code)
        give_rows(&query.call, ret_rows);
    return counted(query.code);
}

static void database_note_seen(struct bh_db *const db)
{
    bh_pg_replica_note_seen(&bh_pg_database_of(db)->replica);
}

/* ---- Messages ---- */

static void database_listen(struct bh_db *const db)
{
    bh_pg_listen_poke(&bh_pg_database_of(db)->listen);
}

static void notify_in_fiber(void *const argument)
{
    struct query *const query = argument;
    query->code = query_in(query, BH_PG_WRITE);
}

/* No write that a replica's reader might miss: it does not keep reads from the replica. */
static int database_notify(struct bh_db *const db, const char *const channel,
                           const struct bh_str message, struct bh_trace_span *const span,
                           struct bh_error *const reterr)
{
    struct query query = { .database = bh_pg_database_of(db),
                           .lane = BH_DB_WRITE,
                           .reterr = reterr };
    const struct bh_db_value values[] = { bh_db_text(bh_str_from(channel)), bh_db_text(message) };
    bh_pg_call_init(&query.call, &notify_statement, values, 2, NULL, span);
    const int code = bh_pg_home_run(&query.database->home, notify_in_fiber, &query);
    return code ? no_fiber(code, reterr) : counted(query.code);
}

/* ---- Transactions ---- */

struct beginning {
    struct transaction *transaction;
    enum bh_db_lane lane;
    struct bh_trace_span *span;
    struct bh_error *reterr;
    int code;
};

static void give_back(struct transaction *const transaction)
{
    enum bh_pool_outcome outcome = transaction->is_begun ? BH_POOL_DIRTY : BH_POOL_CLEAN;
    if (transaction->is_running)
        outcome = BH_POOL_RUNNING;
    if (transaction->connection->state != BH_PG_OPEN)
        outcome = BH_POOL_BROKEN;
    bh_pool_return(&transaction->lease, outcome);
}

static int acquire(struct transaction *const transaction, const enum bh_pg_pool which,
                   struct bh_error *const reterr)
{
    struct bh_pool_loop *pool;
    transaction->pool = which;
    transaction->lease = (struct bh_pool_lease){ .lane = BH_POOL_LANE_EXCLUSIVE,
                                                 .deadline_us = bh_fiber_deadline() };
    bh_pool_stand(&transaction->lease);
    const int code = bh_pg_shards_pool(&transaction->database->shards, which, &pool, reterr);
    return code ? code : bh_pool_acquire(pool, &transaction->lease, reterr);
}

/* `turn`: whose it was when the replica could be read from. */
static int acquire_from_replica(struct transaction *const transaction, const unsigned turn,
                                struct bh_error *const reterr)
{
    struct bh_pg_replica *const replica = &transaction->database->replica;
    const int code = acquire(transaction, BH_PG_REPLICA, reterr);
    const bool has_turned = bh_pg_replica_turn(replica) != turn;
    if (!code && has_turned) {
        bh_pool_return(&transaction->lease, BH_POOL_CLEAN);
        return BH_EUNAVAILABLE;
    }
    if (!has_turned && is_replicas_fault(code))
        bh_pg_replica_failed(replica);
    return code;
}

static void begin_in_fiber(void *const argument)
{
    struct beginning *const beginning = argument;
    struct transaction *const transaction = beginning->transaction;
    struct bh_pg_replica *const replica = &transaction->database->replica;
    const unsigned turn = bh_pg_replica_turn(replica);
    const bool is_read = beginning->lane == BH_DB_READ;
    beginning->code = BH_EUNAVAILABLE;
    if (is_read && bh_pg_replica_may_read(replica))
        beginning->code = acquire_from_replica(transaction, turn, beginning->reterr);
    if (is_replicas_fault(beginning->code))
        beginning->code = acquire(transaction, is_read ? BH_PG_READ : BH_PG_WRITE,
                                  beginning->reterr);
    if (beginning->code)
        return;
    beginning->span->granted_us = bh_time_now_us();
    transaction->connection = bh_pg_connection_of(&transaction->lease);
    transaction->budget_ms = transaction->database->postgres.statement_timeout_us / BH_MS_US;
}

static int database_begin(struct bh_db *const db, const enum bh_db_lane lane,
                          struct bh_db_transaction **const ret_transaction,
                          struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct transaction *const transaction = calloc(1, sizeof(*transaction));
    if (!transaction)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a transaction");
    transaction->base.driver = &bh_postgres_driver;
    transaction->magic = TRANSACTION_MAGIC;
    transaction->database = bh_pg_database_of(db);
    struct beginning beginning = {
        .transaction = transaction, .lane = lane, .span = span, .reterr = reterr
    };
    int code = bh_pg_home_run(&transaction->database->home, begin_in_fiber, &beginning);
    if (code)
        no_fiber(code, reterr);
    else
        code = beginning.code;
    if (code) {
        free(transaction);
        return counted(code);
    }
    *ret_transaction = &transaction->base;
    return 0;
}

static void transaction_free(struct transaction *const transaction)
{
    transaction->magic = 0;
    free(transaction);
}

/* The pool resets the connection within its time limit; nobody has to wait for that. */
static void rollback_in_fiber(void *const argument)
{
    give_back(argument);
}

static void transaction_rollback(struct bh_db_transaction *const base,
                                 struct bh_trace_span *const span)
{
    (void)span; /* nobody waits */
    struct transaction *const transaction = transaction_of(base);
    const int code = bh_pg_home_run(&transaction->database->home, rollback_in_fiber, transaction);
    bh_assert(code == 0);
    transaction_free(transaction);
}

static int failed_before(const struct transaction *const transaction, struct bh_error *const reterr)
{
    return bh_error_set(reterr, transaction->failed,
                        "the transaction has failed before (%s): nothing of it is kept",
                        bh_error_text(transaction->failed));
}

struct held {
    struct transaction *transaction;
    struct bh_pg_call call;
    const struct bh_migration *migration; /* a script instead of a statement */
    struct bh_error *reterr;
    int code;
};

static void commit_in_fiber(void *const argument)
{
    struct held *const held = argument;
    struct transaction *const transaction = held->transaction;
    if (transaction->is_begun)
        held->code = bh_pg_call_held(transaction->connection, &held->call, true,
                                     &transaction->is_running, held->reterr);
    if (!held->code)
        transaction->is_begun = false;
    if (transaction->pool == BH_PG_WRITE)
        bh_pg_replica_note_seen(&transaction->database->replica);
    give_back(transaction);
}

static int transaction_commit(struct bh_db_transaction *const base,
                              struct bh_trace_span *const span, struct bh_error *const reterr)
{
    struct transaction *const transaction = transaction_of(base);
    const struct bh_fiber *const fiber = bh_fiber_current();
    if (!transaction->failed && fiber && bh_fiber_is_canceled(fiber))
        transaction->failed = BH_ECANCELED;
    int code = transaction->failed;
    if (code) {
        failed_before(transaction, reterr);
        transaction_rollback(base, span);
        return code;
    }
    struct held held = { .transaction = transaction, .reterr = reterr };
    bh_pg_call_init(&held.call, &commit_statement, NULL, 0, NULL, span);
    code = bh_pg_home_run(&transaction->database->home, commit_in_fiber, &held);
    bh_assert(code == 0);
    transaction_free(transaction);
    return counted(held.code);
}

/* ---- Inside a transaction ---- */

static bool is_pipelined(const struct held *const held)
{
    return !held->migration && !bh_pg_plain_is_copy(held->call.statement);
}

/* The text that holds the next statement to what is left until the fiber's deadline; NULL where
 * what the server knows will do: once begun, down to half of it. */
static const char *renew_budget(struct transaction *const transaction)
{
    const uint64_t set_ms = transaction->budget_ms;
    const uint64_t least_ms = transaction->is_begun ? set_ms / 2 : set_ms;
    const uint64_t budget_ms = bh_pg_call_budget_ms(transaction->connection);
    if (budget_ms >= least_ms && budget_ms <= set_ms)
        return NULL;
    transaction->budget_ms = budget_ms;
    snprintf(transaction->budget, sizeof(transaction->budget), "SET LOCAL statement_timeout = %llu",
             (unsigned long long)budget_ms);
    return transaction->budget;
}

/* With the first statement, in one round trip. What cannot be pipelined begins by itself. */
static void begin_with(struct held *const held)
{
    struct transaction *const transaction = held->transaction;
    const char *const texts[2] = { begin_texts[transaction->pool], renew_budget(transaction) };
    transaction->is_begun = true;
    if (!is_pipelined(held))
        held->code = bh_pg_plain_run(transaction->connection, "begin", texts, 2, held->reterr);
    else
        memcpy(held->call.before, texts, sizeof(texts));
}

static void held_in_fiber(void *const argument)
{
    struct held *const held = argument;
    struct transaction *const transaction = held->transaction;
    struct bh_pg_call *const call = &held->call;
    if (!transaction->is_begun)
        begin_with(held);
    else if (is_pipelined(held))
        call->before[0] = renew_budget(transaction);
    if (held->code)
        return;
    if (held->migration)
        held->code = bh_pg_plain_script(transaction->connection, held->migration->name,
                                        held->migration->postgres, held->reterr);
    else if (bh_pg_plain_is_copy(call->statement))
        held->code = bh_pg_plain_copy(transaction->connection, call->statement, call->parameters,
                                      call->parameter_count, call->row_count, &call->changes,
                                      held->reterr);
    else
        held->code = bh_pg_call_held(transaction->connection, call, false, &transaction->is_running,
                                     held->reterr);
}

static int run_held(struct held *const held)
{
    struct transaction *const transaction = held->transaction;
    if (transaction->failed)
        return failed_before(transaction, held->reterr);
    int code = bh_pg_home_run(&transaction->database->home, held_in_fiber, held);
    if (code)
        no_fiber(code, held->reterr);
    else
        code = held->code;
    if (code)
        transaction->failed = code;
    return counted(code);
}

static int transaction_query(struct bh_db_transaction *const base,
                             const struct bh_statement *const statement,
                             const struct bh_db_value *const parameters,
                             const size_t parameter_count, struct bh_arena *const arena,
                             struct bh_db_rows *const ret_rows, struct bh_trace_span *const span,
                             struct bh_error *const reterr)
{
    struct held held = { .transaction = transaction_of(base), .reterr = reterr };
    bh_pg_call_init(&held.call, statement, parameters, parameter_count, ret_rows ? arena : NULL,
                    span);
    const int code = run_held(&held);
    if (!code)
        give_rows(&held.call, ret_rows);
    return code;
}

static int transaction_many(struct bh_db_transaction *const base,
                            const struct bh_statement *const statement,
                            const struct bh_db_value *const parameters,
                            const size_t parameter_count, const size_t row_count,
                            int64_t *const ret_changes, struct bh_trace_span *const span,
                            struct bh_error *const reterr)
{
    struct held held = { .transaction = transaction_of(base), .reterr = reterr };
    bh_pg_call_init(&held.call, statement, parameters, parameter_count, NULL, span);
    held.call.row_count = row_count;
    int code = 0;
    if (row_count > 0 || held.transaction->failed)
        code = run_held(&held);
    span->rows = (uint64_t)held.call.changes;
    if (!code && ret_changes)
        *ret_changes = held.call.changes;
    return code;
}

/* ---- Texts and migrations ---- */

static const char *statement_text(const struct bh_statement *const statement)
{
    return statement->postgres;
}

static const char *migration_text(const struct bh_migration *const migration)
{
    return migration->postgres;
}

static int transaction_lock_migrations(struct bh_db_transaction *const base,
                                       struct bh_error *const reterr)
{
    struct bh_trace_span span = { 0 };
    const int code = transaction_query(base, &no_timeout, NULL, 0, NULL, NULL, &span, reterr);
    return code ? code
                : transaction_query(base, &migration_lock, NULL, 0, NULL, NULL, &span, reterr);
}

static int transaction_migrate(struct bh_db_transaction *const base,
                               const struct bh_migration *const migration,
                               struct bh_trace_span *const span, struct bh_error *const reterr)
{
    span->granted_us = bh_time_now_us();
    struct held held = { .transaction = transaction_of(base),
                         .migration = migration,
                         .reterr = reterr };
    return run_held(&held);
}

const struct bh_driver bh_postgres_driver = {
    .backend = "postgresql",
    .schemes = { "postgresql://", "postgres://" },
    .open = bh_pg_database_open,
    .close = bh_pg_database_close,
    .statistics = bh_pg_database_statistics,
    .note_seen = database_note_seen,
    .control = bh_pg_database_control,
    .resize = bh_pg_database_resize,
    .query = database_query,
    .listen = database_listen,
    .notify = database_notify,
    .begin = database_begin,
    .commit = transaction_commit,
    .rollback = transaction_rollback,
    .transaction_query = transaction_query,
    .transaction_many = transaction_many,
    .statement_text = statement_text,
    .speaks_postgres = true,
    .migration_text = migration_text,
    .transaction_lock_migrations = transaction_lock_migrations,
    .transaction_migrate = transaction_migrate,
};
