/* `tomehub export`: the whole library as lines of JSON on standard output. */
#include "export.h"

#include <stdio.h>

#include "cli/commands.h"
#include "cli/session.h"

enum { OPTION_USER };
static const struct tome_option options[] = {
    [OPTION_USER] = TOME_OPTION_USER,
};

static int write_out(void *const argument, const struct bh_str text, struct bh_error *const reterr)
{
    return fwrite(text.data, 1, text.size, argument) == text.size
               ? 0
               : bh_error_set(reterr, BH_EIO, "cannot write to standard output");
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    struct bh_error error;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (!tome_session_open_for(command, given.values[OPTION_USER], &session))
        return TOME_EXIT_FAILED;
    int done = tome_export(session.db, session.owner_id, write_out, stdout, &error);
    if (done == 0 && fflush(stdout) != 0)
        done = bh_error_set(&error, BH_EIO, "cannot write to standard output");
    if (done != 0)
        tome_cli_error(command, "%s", error.message);
    tome_session_end(&session);
    return done == 0 ? TOME_EXIT_OK : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_export = {
    .name = "export",
    .arguments = "",
    .summary = "write the whole library as lines of JSON",
    .description =
        "A line {\"type\":\"library\"}, each book followed by its chunks, and a last line "
        "{\"type\":\"end\"}\nwith the counts: without it the export is not whole.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub export > library.ndjson\n"
                "  tomehub export --user ann > ann.ndjson\n"
                "  tomehub export | jq -r 'select(.type == \"book\") | .title'",
    .failures = "the library could not be read or the output not written",
    .run = run,
};
