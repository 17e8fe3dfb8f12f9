/*
 * Each check opens the database with the one setting changed that it is about, and looks at the
 * pool's own figures. This thread has no loop, so its calls block; a second thread does what must
 * happen at the same time.
 */
#include "cli/check_pool.h"

#include <stdio.h>
#include <time.h>

#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/statistics.h"
#include "open.h"

#define HELD_AT_ONCE 3
#define PATIENCE_US (10 * BH_SECOND_US)
#define SHORT_TIMEOUT_US (200 * BH_MS_US)
#define SHORT_LIFE_US (200 * BH_MS_US)
#define OVERRIDDEN "DB_POOL_TIMEOUT"

static const struct bh_statement ask = {
    .name = "check_pool", .sqlite = "SELECT 1", .postgres = "SELECT 1", .index = UINT32_MAX
};

static void pause_briefly(void)
{
    const struct timespec pause = { .tv_nsec = 2000000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static int query(struct bh_db *const db, struct bh_error *const reterr)
{
    return bh_db_query(db, BH_DB_READ, &ask, NULL, 0, NULL, NULL, reterr);
}

static struct bh_db_statistics read_lane(struct bh_db *const db)
{
    struct bh_db_statistics statistics;
    bh_db_statistics(db, BH_DB_READ, &statistics);
    return statistics;
}

/* A pool of one connection to read by. */
static struct tome_settings of_one(const struct tome_settings *const settings)
{
    struct tome_settings one = *settings;
    one.db_pool_min = 0;
    one.db_pool_read_size = 1;
    one.db_pool_overflow = 0;
    return one;
}

static bool open_or_tell(struct tome_tally *const tally, const struct tome_settings *const settings,
                         const char *const what, struct bh_db **const ret_db)
{
    struct bh_error error;
    const bool is_open = tome_open_database(settings, ret_db, &error) == 0;
    if (!is_open)
        tome_tally_tell(tally, false, "%s: %s", what, error.message);
    return is_open;
}

/* ---- The checks ---- */

/* Several at a time, and given back. */
static void check_several(struct tome_tally *const tally, struct bh_db *const db)
{
    struct bh_db_transaction *held[HELD_AT_ONCE] = { NULL };
    struct bh_error error;
    const unsigned size = read_lane(db).size;
    const unsigned wanted = size < HELD_AT_ONCE ? size : HELD_AT_ONCE;
    unsigned count = 0;
    while (count < wanted && bh_db_begin(db, BH_DB_READ, &held[count], &error) == 0)
        count++;
    const unsigned in_use = read_lane(db).in_use;
    for (unsigned i = 0; i < count; i++)
        bh_db_rollback(held[i]);
    if (count < wanted)
        tome_tally_tell(tally, false, "connection %u of %u at once: %s", count + 1, wanted,
                        error.message);
    else
        tome_tally_tell(tally, in_use >= wanted, "%u connections at once (%u in use)", wanted,
                        in_use);
}

struct latecomer {
    struct bh_db *db;
    int result;
    struct bh_error error;
};

static void *come_late(void *const argument)
{
    struct latecomer *const latecomer = argument;
    latecomer->result = query(latecomer->db, &latecomer->error);
    return NULL;
}

/* The only connection is held until somebody waits for it. */
static bool serves_after_waiting(struct bh_db *const db, struct bh_error *const reterr)
{
    struct latecomer latecomer = { .db = db };
    struct bh_db_transaction *holder = NULL;
    pthread_t thread;
    int result = bh_db_begin(db, BH_DB_READ, &holder, reterr);
    if (result == 0)
        result = bh_thread_start(come_late, &latecomer, &thread);
    if (result != 0) {
        bh_db_rollback(holder);
        return false;
    }
    const uint64_t until_us = bh_time_now_us() + PATIENCE_US;
    bool has_waited = false;
    while (!has_waited && bh_time_now_us() < until_us) {
        has_waited = read_lane(db).waiting > 0;
        pause_briefly();
    }
    bh_db_rollback(holder);
    pthread_join(thread, NULL);
    if (latecomer.result != 0)
        *reterr = latecomer.error;
    else if (!has_waited)
        bh_error_set(reterr, BH_EINTERNAL, "the second call was seen to wait at no time");
    return has_waited && latecomer.result == 0;
}

static void check_waiting(struct tome_tally *const tally,
                          const struct tome_settings *const settings)
{
    struct tome_settings one = of_one(settings);
    one.db_pool_timeout_us = PATIENCE_US;
    struct bh_error error = { .message = "no connection, or no thread" };
    struct bh_db *db;
    if (!open_or_tell(tally, &one, "waiting", &db))
        return;
    if (serves_after_waiting(db, &error))
        tome_tally_tell(tally, true, "a call waits for a connection and gets it");
    else
        tome_tally_tell(tally, false, "a call waits for a connection: %s", error.message);
    bh_db_close(db);
}

static void check_timeout(struct tome_tally *const tally,
                          const struct tome_settings *const settings)
{
    struct tome_settings one = of_one(settings);
    one.db_pool_timeout_us = SHORT_TIMEOUT_US;
    struct bh_error error;
    struct bh_db *db;
    if (!open_or_tell(tally, &one, "giving up", &db))
        return;
    struct bh_db_transaction *holder = NULL;
    int result = bh_db_begin(db, BH_DB_READ, &holder, &error);
    const bool is_held = result == 0;
    if (is_held)
        result = query(db, &error);
    bh_db_rollback(holder);
    if (is_held && result == BH_EBUSY)
        tome_tally_tell(tally, true, "a call gives up at its time-out: %s", error.message);
    else
        tome_tally_tell(tally, false, "a call gives up at its time-out: %s",
                        result == 0 ? "it was served" : error.message);
    bh_db_close(db);
}

static void check_environment(struct tome_tally *const tally,
                              const struct tome_settings *const settings)
{
    const uint64_t wanted_us = (settings->db_pool_timeout_us == 7 * BH_SECOND_US ? 8 : 7) *
                               BH_SECOND_US;
    char text[64];
    snprintf(text, sizeof(text), OVERRIDDEN "=%us", (unsigned)(wanted_us / BH_SECOND_US));
    char *const environment[] = { text, NULL };
    struct tome_settings changed;
    struct bh_settings_origin *origin = NULL;
    struct bh_error error;
    if (bh_settings_load(tome_settings_table, tome_settings_count, ".env", environment, &changed,
                         &origin, &error) != 0)
        tome_tally_tell(tally, false, "the environment overrides: %s", error.message);
    else
        tome_tally_tell(tally, changed.db_pool_timeout_us == wanted_us,
                        "the environment overrides (%s)", text);
    bh_settings_origin_destroy(origin);
}

static void check_recycling(struct tome_tally *const tally,
                            const struct tome_settings *const settings)
{
    struct tome_settings one = of_one(settings);
    one.db_pool_recycle_us = SHORT_LIFE_US;
    struct bh_error error;
    struct bh_db *db;
    if (!open_or_tell(tally, &one, "recycling", &db))
        return;
    const uint64_t until_us = bh_time_now_us() + PATIENCE_US;
    int result = query(db, &error);
    while (result == 0 && read_lane(db).connected < 2 && bh_time_now_us() < until_us) {
        pause_briefly();
        result = query(db, &error);
    }
    const bool is_renewed = read_lane(db).connected >= 2;
    if (result != 0)
        tome_tally_tell(tally, false, "an old connection is renewed: %s", error.message);
    else
        tome_tally_tell(tally, is_renewed, "an old connection is renewed between two calls");
    bh_db_close(db);
}

void tome_check_pool(struct tome_tally *const tally, const struct tome_settings *const settings)
{
    struct bh_error error;
    struct bh_db *db;
    if (!open_or_tell(tally, settings, "the pool starts", &db))
        return;
    const bool answers = query(db, &error) == 0;
    const struct bh_db_statistics lane = read_lane(db);
    if (answers)
        tome_tally_tell(tally, lane.total > 0, "the pool starts (%s: %u of %u connections)",
                        bh_db_backend(db), lane.total, lane.size);
    else
        tome_tally_tell(tally, false, "the pool starts: %s", error.message);
    if (lane.room > 0 && lane.wanted > lane.room)
        printf("WARN: %u connections may be opened, but the server has room for %u: lower "
               "DB_POOL_MAX or DB_POOL_OVERFLOW, or raise its max_connections\n",
               lane.wanted, lane.room);
    check_several(tally, db);
    bh_db_close(db);
    check_waiting(tally, settings);
    check_timeout(tally, settings);
    check_environment(tally, settings);
    if (tome_settings_is_postgres(settings))
        check_recycling(tally, settings);
    else
        tome_tally_tell(tally, true,
                        "recycling: nothing to do, SQLite's connections are threads of this "
                        "process and stay");
}
