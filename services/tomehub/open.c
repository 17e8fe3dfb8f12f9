#include "open.h"

#include "bulkhead/base/time.h"
#include "bulkhead/db/postgres.h"
#include "bulkhead/db/sqlite.h"
#include "bulkhead/db/trace.h"
#include "library/index.h"
#include "library/search_sqlite.h"
#include "tomehub_sql.h"

#define SQLITE_READERS 4

/* The sizes of PostgreSQL's pools: both within DB_POOL_MAX. */
static int pool_sizes(const struct tome_settings *const settings,
                      struct bh_postgres_options *const postgres, struct bh_error *const reterr)
{
    const int64_t write = settings->db_pool_write_size, most = settings->db_pool_max;
    const int64_t read = settings->db_pool_read_size ? settings->db_pool_read_size : most - write;
    if (read < 1 || read + write > most)
        return bh_error_set(reterr, BH_EINVAL,
                            "DB_POOL_READ_SIZE=%lld and DB_POOL_WRITE_SIZE=%lld do not fit into "
                            "DB_POOL_MAX=%lld: raise that, or lower these",
                            (long long)settings->db_pool_read_size, (long long)write,
                            (long long)most);
    if (settings->db_pool_min > read)
        return bh_error_set(reterr, BH_EINVAL,
                            "DB_POOL_MIN=%lld is more than the %lld connections that read",
                            (long long)settings->db_pool_min, (long long)read);
    postgres->read_minimum = (unsigned)settings->db_pool_min;
    postgres->read_maximum = (unsigned)read;
    postgres->write_maximum = (unsigned)write;
    postgres->write_minimum = write < 2 ? 1 : 2;
    return 0;
}

static int open_database(const struct tome_settings *const settings,
                         const struct bh_db_gate *const gate, struct bh_db **const ret_db,
                         struct bh_error *const reterr)
{
    bh_sqlite_set_connect_hook(tome_search_connect, NULL);
    struct bh_postgres_options postgres = {
        .read_url = settings->database_read_url,
        .loops = (unsigned)settings->loops,
        .overflow = (unsigned)settings->db_pool_overflow,
        .connect_timeout_us = settings->db_connect_timeout_us,
        .statement_timeout_us = settings->db_statement_timeout_us,
        .lifetime_us = settings->db_pool_recycle_us,
        .idle_timeout_us = settings->db_pool_idle_timeout_us,
        .no_ping = !settings->db_pool_pre_ping,
    };
    const bool is_postgres = tome_settings_is_postgres(settings);
    const int result = is_postgres ? pool_sizes(settings, &postgres, reterr) : 0;
    if (result)
        return result;
    const int64_t readers = settings->db_pool_read_size;
    const struct bh_db_options options = {
        .url = settings->database_url,
        .read_connections = readers ? (unsigned)readers : SQLITE_READERS,
        .waiters_maximum = (unsigned)settings->db_pool_max_waiters,
        .acquire_timeout_us = settings->db_pool_timeout_us,
        .leak_us = settings->db_pool_leak_us ? settings->db_pool_leak_us : BH_NEVER_US,
        .statements = tome_sql_statements,
        .statement_count = TOME_SQL_STATEMENT_COUNT,
        .postgres = &postgres,
        .gate = gate,
    };
    return bh_db_open(&options, ret_db, reterr);
}

int tome_open_database(const struct tome_settings *const settings, struct bh_db **const ret_db,
                       struct bh_error *const reterr)
{
    return open_database(settings, NULL, ret_db, reterr);
}

static int open_library(const struct tome_settings *const settings,
                        const struct bh_db_gate *const gate, const enum tome_open how,
                        struct bh_migrate_report *const report, struct bh_db **const ret_db,
                        struct bh_error *const reterr)
{
    struct bh_migrate_report applied;
    struct bh_db *db = NULL;
    bh_trace_setup(&(struct bh_trace_options){
        .slow_us = settings->slow_query_us,
        .runs_maximum = (unsigned)settings->query_repeat_limit,
    });
    int result = open_database(settings, gate, &db, reterr);
    if (result == 0)
        result = bh_migrate(db, tome_sql_migrations, TOME_SQL_MIGRATION_COUNT, &applied, reterr);
    if (result == 0 && how == TOME_OPEN_CHECKED)
        result = tome_index_check_version(db, reterr);
    if (result != 0) {
        bh_db_close(db);
        return result;
    }
    if (report != NULL)
        *report = applied;
    *ret_db = db;
    return 0;
}

int tome_open(const struct tome_settings *const settings, const enum tome_open how,
              struct bh_migrate_report *const report, struct bh_db **const ret_db,
              struct bh_error *const reterr)
{
    return open_library(settings, NULL, how, report, ret_db, reterr);
}

int tome_open_gated(const struct tome_settings *const settings, const struct bh_db_gate *const gate,
                    struct bh_db **const ret_db, struct bh_error *const reterr)
{
    return open_library(settings, gate, TOME_OPEN_CHECKED, NULL, ret_db, reterr);
}

int tome_open_redis(const struct tome_settings *const settings,
                    const struct bh_redis_gate *const gate, struct bh_redis **const ret_redis,
                    struct bh_error *const reterr)
{
    *ret_redis = NULL;
    if (settings->redis_url[0] == '\0')
        return 0;
    const struct bh_redis_options options = { .url = settings->redis_url,
                                              .ca_file = settings->redis_ca_file,
                                              .gate = gate };
    struct bh_error error;
    const int result = bh_redis_create(&options, ret_redis, &error);
    return result ? bh_error_set(reterr, result, "REDIS_URL: %s", error.message) : 0;
}
