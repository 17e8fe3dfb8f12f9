/* `tomehub check`: whether everything a server needs is in order, one line each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "cli/check_pool.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/tally.h"
#include "extract/extract_process.h"
#include "library/index.h"
#include "tomehub_sql.h"

#define DISK_BYTES_MIN (UINT64_C(64) << 20)
#define SAMPLE "A sentence to be read by the extractor.\n"

enum { OPTION_REBUILD };
static const struct tome_option options[] = {
    [OPTION_REBUILD] = { .name = "rebuild-index",
                         .help = "make the search index anew from the books" },
};

/* ---- The checks ---- */

static void check_integrity(struct tome_tally *const tally, struct bh_db *const db)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    struct bh_error error = { .message = "out of memory" };
    struct bh_db_rows rows;
    int result = bh_arena_create(1 << 20, &arena);
    if (result == 0)
        result = bh_db_query(db, BH_DB_READ, &TOME_SQL_INTEGRITY, NULL, 0, arena, &rows, &error);
    if (result != 0)
        tome_tally_tell(tally, false, "database integrity: %s", error.message);
    else if (bh_str_equal(bh_db_text_at(&rows, 0, 0), BH_STR("ok")))
        tome_tally_tell(tally, true, "database integrity");
    else
        tome_tally_tell(tally, false, "database integrity: %.*s; restore it from a backup",
                        BH_STR_ARGS(bh_db_text_at(&rows, 0, 0)));
}

static void check_database(struct tome_tally *const tally, struct tome_session *const session)
{
    struct bh_error error;
    struct bh_migrate_report report;
    if (tome_open(&session->settings, TOME_OPEN_UNCHECKED, &report, &session->db, &error) != 0) {
        tome_tally_tell(tally, false, "database: %s", error.message);
        return;
    }
    tome_tally_tell(tally, true, "database opens (%s, schema version %u)",
                    bh_db_backend(session->db), report.version_after);
    check_integrity(tally, session->db);
    if (tome_index_check_version(session->db, &error) == 0)
        tome_tally_tell(tally, true, "search index fits this program");
    else
        tome_tally_tell(tally, false, "search index: %s", error.message);
}

/* Has the extractor read a few words, as it would a book. */
static int run_extractor(const struct tome_settings *const settings, const int file,
                         struct bh_error *const reterr)
{
    const struct tome_extract_options wanted = {
        .source = TOME_SOURCE_TEXT,
        .memory_limit_bytes = (uint64_t)settings->extract_memory_mb << 20,
        .deadline_us = bh_time_now_us() + 10 * BH_SECOND_US,
    };
    struct tome_extract *extract = NULL;
    struct tome_frame frame;
    bool has_page = false;
    int result = tome_extract_start(file, &wanted, &extract, reterr);
    if (result != 0)
        return result;
    while ((result = tome_extract_next(extract, &frame, reterr)) == 1)
        has_page |= frame.type == TOME_FRAME_PAGE;
    tome_extract_destroy(extract);
    return result == 0 && !has_page ? bh_error_set(reterr, BH_EINTERNAL, "it found no text")
                                    : result;
}

static void check_extractor(struct tome_tally *const tally,
                            const struct tome_settings *const settings)
{
    struct bh_error error = { .message = "no temporary file can be made" };
    int result = BH_EIO;
    const int file = memfd_create("sample", MFD_CLOEXEC);
    if (file >= 0 && write(file, SAMPLE, sizeof(SAMPLE) - 1) == sizeof(SAMPLE) - 1 &&
        lseek(file, 0, SEEK_SET) == 0)
        result = run_extractor(settings, file, &error);
    if (file >= 0)
        close(file);
    if (result == 0)
        tome_tally_tell(tally, true, "extractor reads a file in its sandbox");
    else
        tome_tally_tell(tally, false, "extractor: %s", error.message);
}

static void check_disk(struct tome_tally *const tally, const struct tome_settings *const settings)
{
    char path[PATH_MAX];
    struct statvfs disk;
    struct bh_error error;
    const bool is_postgres = tome_settings_is_postgres(settings);
    int result = is_postgres ? tome_settings_data_dir(settings, path, sizeof(path), &error)
                             : tome_settings_database_path(settings, path, sizeof(path), &error);
    /* The server's disk cannot be seen from here: what counts is where uploads go. */
    if (result == 0 && is_postgres)
        result = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : BH_EIO;
    if (result != 0 || statvfs(path, &disk) != 0) {
        tome_tally_tell(tally, false, "disk space: the disk of %s cannot be looked at",
                        is_postgres ? "DATA_DIR" : "the database");
        return;
    }
    const uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    tome_tally_tell(tally, free_bytes >= DISK_BYTES_MIN, "disk space: %llu MB free",
                    (unsigned long long)(free_bytes >> 20));
}

static void check_all(struct tome_tally *const tally, struct tome_session *const session)
{
    check_database(tally, session);
    check_extractor(tally, &session->settings);
    check_disk(tally, &session->settings);
}

static int rebuild(const struct tome_command *const command, struct tome_session *const session)
{
    struct bh_error error;
    int result = tome_open(&session->settings, TOME_OPEN_UNCHECKED, NULL, &session->db, &error);
    if (result == 0)
        result = tome_index_rebuild(session->db, &error);
    if (result != 0)
        tome_cli_error(command, "%s", error.message);
    else
        puts("search index rebuilt");
    return result;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    struct tome_tally tally = { 0 };
    struct bh_error error;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    const bool is_pool = given.argument_count > 0;
    if (is_pool && strcmp(given.arguments[0], "pool") != 0) {
        tome_cli_error(command, "\"%s\" is no part that can be checked by itself; there is: pool",
                       given.arguments[0]);
        return TOME_EXIT_USAGE;
    }
    if (given.values[OPTION_REBUILD] != NULL) {
        if (!tome_session_begin(command, &session))
            return TOME_EXIT_FAILED;
        const int rebuilt = rebuild(command, &session);
        tome_session_end(&session);
        return rebuilt == 0 ? TOME_EXIT_OK : TOME_EXIT_FAILED;
    }
    session = (struct tome_session){ 0 };
    if (tome_settings_load(&session.settings, &session.origin, &error) == 0) {
        tome_tally_tell(&tally, true, "settings");
        if (is_pool) {
            bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, STDERR_FILENO);
            tome_check_pool(&tally, &session.settings);
        } else {
            check_all(&tally, &session);
        }
    } else {
        tome_tally_tell(&tally, false, "settings: %s", error.message);
    }
    tome_session_end(&session);
    return tome_tally_end(&tally) ? TOME_EXIT_OK : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_check = {
    .name = "check",
    .arguments = "[pool]",
    .arguments_maximum = 1,
    .summary = "check settings, database, extractor and disk, or how the pool behaves",
    .description = "One line PASS: or FAIL: for each check, and their counts. The database is made "
                   "if it is not there.\n\"check pool\" opens small pools beside a running "
                   "server's and tries them: several\nconnections at once, waiting, giving up, "
                   "renewal.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub check\n  tomehub check pool\n  tomehub check --rebuild-index",
    .failures = "a check failed",
    .run = run,
};
