#include "open.h"

#include "bulkhead/db/sqlite.h"
#include "bulkhead/db/trace.h"
#include "library/index.h"
#include "library/search_sqlite.h"
#include "tomehub_sql.h"

int tome_open(const struct tome_settings *const settings, const enum tome_open how,
              struct bh_migrate_report *const report, struct bh_db **const ret_db,
              struct bh_error *const reterr)
{
    const struct bh_db_options options = {
        .url = settings->database_url,
        .read_connections = (unsigned)settings->db_pool_read_size,
        .waiters_maximum = (unsigned)settings->db_pool_max_waiters,
        .acquire_timeout_us = settings->db_pool_timeout_us,
        .statements = tome_sql_statements,
        .statement_count = TOME_SQL_STATEMENT_COUNT,
    };
    struct bh_migrate_report applied;
    struct bh_db *db = NULL;
    bh_trace_setup(&(struct bh_trace_options){
        .slow_us = settings->slow_query_us,
        .runs_maximum = (unsigned)settings->query_repeat_limit,
    });
    bh_sqlite_set_connect_hook(tome_search_connect, NULL);
    int result = bh_db_open(&options, &db, reterr);
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
