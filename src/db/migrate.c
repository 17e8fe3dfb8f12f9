/*
 * Migrations. Each runs in one write transaction together with its record, so a crash leaves it
 * applied or not. The lock among processes is SQLite's write lock, on PostgreSQL an advisory one:
 * whoever gets it reads the records again and finds what another has done meanwhile.
 */
#include "bulkhead/db/migrate.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/driver.h"

#define LOCK_WAIT_US (600 * BH_SECOND_US) /* another process may be migrating much data */
#define RECORDS_BYTES_MAX (1024 * 1024)
#define CHECKSUM_SIZE 33 /* 128 bits in hex, terminated */

static const struct bh_statement has_records = {
    .name = "migrations_table",
    .sqlite =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'),"
        "       EXISTS (SELECT 1 FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\')",
    .postgres = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema()"
                "                AND tablename = 'schema_migrations'),"
                "       EXISTS (SELECT 1 FROM pg_class c"
                "               WHERE c.relnamespace = current_schema()::regnamespace"
                "                 AND c.relkind IN ('r', 'p', 'v', 'm')"
                "                 AND NOT EXISTS (SELECT 1 FROM pg_depend d"
                "                                 WHERE d.objid = c.oid AND d.deptype = 'e'))",
    .index = UINT32_MAX,
};

static const struct bh_statement create_records = {
    .name = "migrations_create",
    .sqlite = "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
              " checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
    .postgres = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, name text NOT NULL,"
                " checksum text NOT NULL, applied_at bigint NOT NULL)",
    .index = UINT32_MAX,
};

static const struct bh_statement list_records = {
    .name = "migrations_list",
    .sqlite = "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
    .postgres = "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
    .index = UINT32_MAX,
};

static const struct bh_statement add_record = {
    .name = "migrations_add",
    .sqlite = "INSERT INTO schema_migrations VALUES (?1, ?2, ?3, ?4)",
    .postgres = "INSERT INTO schema_migrations VALUES ($1, $2, $3, $4)",
    .index = UINT32_MAX,
};

struct plan {
    struct bh_db *db;
    const struct bh_migration *migrations;
    size_t count;
    struct bh_arena *arena; /* emptied for each look at the records */
};

static void checksum_of(const struct bh_db *const db, const struct bh_migration *const migration,
                        char checksum[CHECKSUM_SIZE])
{
    const char *const text = db->driver->migration_text(migration);
    const XXH128_hash_t hash = XXH3_128bits(text, strlen(text));
    snprintf(checksum, CHECKSUM_SIZE, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

/* The binary's own list: a mistake of the programmer, told before anything is touched. */
static int check_list(const struct plan *const plan, struct bh_error *const reterr)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct bh_migration *const migration = &plan->migrations[i];
        if (migration->version != i + 1)
            return bh_error_set(reterr, BH_EINVAL,
                                "migration \"%s\" has version %u where %zu is due", migration->name,
                                migration->version, i + 1);
        if (!plan->db->driver->migration_text(migration))
            return bh_error_set(reterr, BH_EUNSUPPORTED, "migration \"%s\" has no text for %s",
                                migration->name, bh_db_backend(plan->db));
    }
    return 0;
}

static int check_records(const struct plan *const plan, const struct bh_db_rows *const rows,
                         struct bh_error *const reterr)
{
    for (size_t i = 0; i < rows->row_count; i++) {
        const int64_t version = bh_db_int_at(rows, i, 0);
        const struct bh_str name = bh_db_text_at(rows, i, 1);
        if (version != (int64_t)i + 1)
            return bh_error_set(reterr, BH_ECORRUPT,
                                "the database's record of migrations has a gap: %lld stands where "
                                "%zu is due; restore the database from a backup",
                                (long long)version, i + 1);
        if (i >= plan->count)
            return bh_error_set(reterr, BH_ECONFLICT,
                                "the database is newer than this program: it has migration "
                                "\"%.*s\", this program knows %zu; start the newer program",
                                BH_STR_ARGS(name), plan->count);
        char checksum[CHECKSUM_SIZE];
        checksum_of(plan->db, &plan->migrations[i], checksum);
        if (!bh_str_equal(bh_db_text_at(rows, i, 2), bh_str_from(checksum)))
            return bh_error_set(reterr, BH_ECONFLICT,
                                "migration \"%.*s\" has changed since it was applied to this "
                                "database; undo that change and put it into a new migration",
                                BH_STR_ARGS(name));
    }
    return 0;
}

/* How many migrations the database has, checked against ours. Zero, and *ret_has_table false, when
 * it is new. */
static int read_records(const struct plan *const plan, struct bh_db_transaction *const transaction,
                        size_t *const ret_applied, bool *const ret_has_table,
                        struct bh_error *const reterr)
{
    bh_arena_reset(plan->arena);
    struct bh_db_rows rows;
    int result = bh_db_transaction_query(transaction, &has_records, NULL, 0, plan->arena, &rows,
                                         reterr);
    if (result)
        return result;
    const bool has_table = bh_db_int_at(&rows, 0, 0) != 0;
    const bool has_others = bh_db_int_at(&rows, 0, 1) != 0;
    if (!has_table && has_others)
        return bh_error_set(reterr, BH_ECONFLICT,
                            "the database holds tables but no record of migrations: it belongs to "
                            "another program; name another database");
    rows.row_count = 0;
    if (has_table) {
        result = bh_db_transaction_query(transaction, &list_records, NULL, 0, plan->arena, &rows,
                                         reterr);
        if (!result)
            result = check_records(plan, &rows, reterr);
        if (result)
            return result;
    }
    *ret_applied = rows.row_count;
    *ret_has_table = has_table;
    return 0;
}

static int record(const struct plan *const plan, struct bh_db_transaction *const transaction,
                  const struct bh_migration *const migration, struct bh_error *const reterr)
{
    char checksum[CHECKSUM_SIZE];
    checksum_of(plan->db, migration, checksum);
    const struct bh_db_value values[] = {
        bh_db_int(migration->version),
        bh_db_text(bh_str_from(migration->name)),
        bh_db_text(bh_str_from(checksum)),
        bh_db_int(bh_time_wall_us()),
    };
    return bh_db_transaction_query(transaction, &add_record, values, BH_COUNT_OF(values), NULL,
                                   NULL, reterr);
}

static int apply(const struct plan *const plan, struct bh_db_transaction *const transaction,
                 const struct bh_migration *const migration, struct bh_error *const reterr)
{
    const struct bh_driver *const driver = plan->db->driver;
    struct bh_trace_span span;
    bh_trace_begin(&span, migration->name, driver->migration_text(migration));
    const int result = driver->transaction_migrate(transaction, migration, &span, reterr);
    bh_trace_end(&span, result);
    return result;
}

/* Applies the first migration that is missing. Under the write lock. */
static int apply_next(const struct plan *const plan, struct bh_db_transaction *const transaction,
                      size_t *const ret_applied, bool *const ret_did, struct bh_error *const reterr)
{
    bool has_table;
    int (*const lock)(struct bh_db_transaction *,
                      struct bh_error *) = plan->db->driver->transaction_lock_migrations;
    int result = lock ? lock(transaction, reterr) : 0;
    if (!result)
        result = read_records(plan, transaction, ret_applied, &has_table, reterr);
    if (result)
        return result;
    *ret_did = *ret_applied < plan->count;
    if (!*ret_did)
        return 0;
    if (!has_table)
        result = bh_db_transaction_query(transaction, &create_records, NULL, 0, NULL, NULL, reterr);
    const struct bh_migration *const migration = &plan->migrations[*ret_applied];
    if (!result)
        result = apply(plan, transaction, migration, reterr);
    if (!result)
        result = record(plan, transaction, migration, reterr);
    return result;
}

/* Where beginning waits for the lock. */
static int begin_patiently(const struct plan *const plan,
                           struct bh_db_transaction **const ret_transaction,
                           struct bh_error *const reterr)
{
    const uint64_t until_us = bh_time_now_us() + LOCK_WAIT_US;
    for (;;) {
        const int result = bh_db_begin(plan->db, BH_DB_WRITE, ret_transaction, reterr);
        const bool may_be_locked = result == BH_EUNAVAILABLE &&
                                   !plan->db->driver->transaction_lock_migrations;
        if (!may_be_locked || bh_time_now_us() >= until_us)
            return result;
        bh_log_warning("db", "another process holds the database's lock; waiting to migrate");
    }
}

/* One step under the lock; the lock is given back between migrations. */
static int step(const struct plan *const plan, size_t *const ret_applied, bool *const ret_did,
                struct bh_error *const reterr)
{
    struct bh_db_transaction *transaction;
    int result = begin_patiently(plan, &transaction, reterr);
    if (result)
        return result;
    result = apply_next(plan, transaction, ret_applied, ret_did, reterr);
    if (result) {
        bh_db_rollback(transaction);
        return result;
    }
    return bh_db_commit(transaction, reterr);
}

/* Without the write lock, so that an up-to-date program starts while another one writes. */
static int look(const struct plan *const plan, size_t *const ret_applied,
                struct bh_error *const reterr)
{
    struct bh_db_transaction *transaction;
    int result = bh_db_begin(plan->db, BH_DB_READ, &transaction, reterr);
    if (result)
        return result;
    bool has_table;
    result = read_records(plan, transaction, ret_applied, &has_table, reterr);
    bh_db_rollback(transaction);
    return result;
}

static int migrate(const struct plan *const plan, struct bh_migrate_report *const report,
                   struct bh_error *const reterr)
{
    size_t applied = 0;
    int result = check_list(plan, reterr);
    if (!result)
        result = look(plan, &applied, reterr);
    report->version_before = (unsigned)applied;
    while (!result && applied < plan->count) {
        bool did = false;
        result = step(plan, &applied, &did, reterr);
        if (!result && did) {
            bh_log_info("db", "migration %s applied", plan->migrations[applied].name);
            report->applied++;
            applied++;
        }
    }
    report->version_after = (unsigned)applied;
    return result;
}

int bh_migrate(struct bh_db *const db, const struct bh_migration *const migrations,
               const size_t count, struct bh_migrate_report *const ret_report,
               struct bh_error *const reterr)
{
    struct bh_arena *arena;
    if (bh_arena_create(RECORDS_BYTES_MAX, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to read the migrations");
    const struct plan plan = { db, migrations, count, arena };
    struct bh_migrate_report report = { 0 };
    const int result = migrate(&plan, &report, reterr);
    bh_arena_destroy(arena);
    if (!result && ret_report)
        *ret_report = report;
    return result;
}
