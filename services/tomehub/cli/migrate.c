/* `tomehub migrate`: brings the database's schema to this program's. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/session.h"

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    struct bh_migrate_report report;
    struct bh_error error;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    const int opened = tome_open(&session.settings, TOME_OPEN_UNCHECKED, &report, &session.db,
                                 &error);
    if (opened != 0)
        tome_cli_error(command, "%s", error.message);
    else if (report.applied == 0)
        printf("schema version %u: nothing to do\n", report.version_after);
    else
        printf("schema version %u → %u: %u migrations applied\n", report.version_before,
               report.version_after, report.applied);
    tome_session_end(&session);
    return opened == 0 ? TOME_EXIT_OK : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_migrate = {
    .name = "migrate",
    .arguments = "",
    .summary = "bring the database to the newest schema",
    .description = "serve and the other commands do so by themselves; this does nothing else, and "
                   "says what it did.",
    .options = NULL,
    .option_count = 0,
    .examples = "  tomehub migrate\n  DATABASE_URL=sqlite:/srv/books.db tomehub migrate",
    .failures = "the database could not be opened or changed",
    .run = run,
};
