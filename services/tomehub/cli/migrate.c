/* `tomehub migrate`: brings the database's schema to this program's, or moves a library. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "library/index_merge.h"
#include "library/transfer.h"

#define TITLE_BYTES_MAX 120
#define DRAW_US (BH_SECOND_US / 10)

enum { OPTION_FROM, OPTION_TO };
static const struct tome_option options[] = {
    [OPTION_FROM] = { .name = "from",
                      .argument = "URL",
                      .help = "move the library that is kept there (with --to)" },
    [OPTION_TO] = { .name = "to", .argument = "URL", .help = "the empty database it is moved to" },
};

/* ---- The schema ---- */

static int bring_schema(struct tome_session *const session, struct bh_error *const reterr)
{
    struct bh_migrate_report report;
    const int result = tome_open(&session->settings, TOME_OPEN_UNCHECKED, &report, &session->db,
                                 reterr);
    if (result != 0)
        return result;
    if (report.applied == 0)
        printf("schema version %u: nothing to do\n", report.version_after);
    else
        printf("schema version %u → %u: %u migrations applied\n", report.version_before,
               report.version_after, report.applied);
    return 0;
}

/* ---- A library ---- */

struct drawing {
    struct tome_progress progress;
    uint64_t drawn_us;
};

static void draw(void *const argument, const struct tome_transfer_counts *const done,
                 const struct tome_transfer_counts *const total, const struct bh_str title)
{
    struct drawing *const drawing = argument;
    const uint64_t now_us = bh_time_now_us();
    char name[TITLE_BYTES_MAX];
    if (now_us - drawing->drawn_us < DRAW_US)
        return;
    drawing->drawn_us = now_us;
    snprintf(name, sizeof(name), "%.*s", BH_STR_ARGS(title));
    tome_progress_draw(&drawing->progress, (size_t)done->chunks, (size_t)total->chunks, 0, name);
}

static int open_target(struct tome_settings settings, const char *const url,
                       struct bh_db **const ret_db, struct bh_error *const reterr)
{
    settings.database_url = url;
    return tome_open(&settings, TOME_OPEN_UNCHECKED, NULL, ret_db, reterr);
}

/* A mistyped path must not become a new, empty library. */
static int open_source(struct tome_settings settings, const char *const url,
                       struct bh_db **const ret_db, struct bh_error *const reterr)
{
    char path[PATH_MAX];
    settings.database_url = url;
    if (!tome_settings_is_postgres(&settings)) {
        const int result = tome_settings_database_path(&settings, path, sizeof(path), reterr);
        if (result != 0)
            return result;
        if (access(path, F_OK) != 0)
            return bh_error_set(reterr, BH_ENOTFOUND, "there is no library at %s", path);
    }
    return open_target(settings, url, ret_db, reterr);
}

static int move(const struct tome_session *const session, const char *const from,
                const char *const to, struct bh_error *const reterr)
{
    const uint64_t begun_us = bh_time_now_us();
    struct drawing drawing = { 0 };
    struct tome_transfer_counts counts;
    struct bh_db *source = NULL, *target = NULL;
    struct bh_error ignored;
    if (strcmp(from, to) == 0)
        return bh_error_set(reterr, BH_EINVAL, "--from and --to are the same database");
    tome_progress_init(&drawing.progress);
    int result = open_source(session->settings, from, &source, reterr);
    if (result == 0)
        result = open_target(session->settings, to, &target, reterr);
    if (result == 0)
        result = tome_transfer(source, target, draw, &drawing, &counts, reterr);
    if (result == 0 && tome_index_merge_all(target, &ignored) != 0)
        bh_log_debug("migrate", "rows of the index are merged later: %s", ignored.message);
    tome_progress_clear(&drawing.progress);
    bh_db_close(target);
    bh_db_close(source);
    if (result == 0)
        printf("%lld books with %lld chunks moved in %.1f s; counts agree\n",
               (long long)counts.books, (long long)counts.chunks,
               (double)(bh_time_now_us() - begun_us) / 1e6);
    return result;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit exit_code;
    struct tome_session session;
    struct bh_error error;
    if (!tome_cli_parse(command, argc, argv, &given, &exit_code))
        return exit_code;
    const char *const from = given.values[OPTION_FROM], *const to = given.values[OPTION_TO];
    if ((from == NULL) != (to == NULL)) {
        tome_cli_error(command, "--from and --to go together");
        return TOME_EXIT_USAGE;
    }
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    const int result = from != NULL ? move(&session, from, to, &error)
                                    : bring_schema(&session, &error);
    if (result != 0)
        tome_cli_error(command, "%s", error.message);
    tome_session_end(&session);
    return result == 0 ? TOME_EXIT_OK : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_migrate = {
    .name = "migrate",
    .arguments = "",
    .summary = "bring the database to the newest schema, or move a library to another one",
    .description =
        "Without options: the schema; serve and the other commands do so by themselves.\nWith "
        "--from and --to: copies the libraries of all users to an empty database, all or nothing, "
        "and\nmakes their index anew there. The source stays as it is; stop servers that write to "
        "it meanwhile.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub migrate\n"
                "  tomehub migrate --from sqlite:library.db --to postgresql://me@localhost/tome",
    .failures = "a database could not be opened or changed, or is not empty",
    .run = run,
};
