/* `tomehub serve`. */
#include "serve.h"

#include "cli/commands.h"
#include "cli/session.h"

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    struct bh_error error;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    const int served = tome_serve(&session.settings, &error);
    if (served != 0)
        tome_cli_error(command, "%s", error.message);
    tome_session_end(&session);
    return served == 0 ? TOME_EXIT_OK : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve the library: the page and the HTTP API",
    .description =
        "Serves until SIGTERM or Ctrl-C, then finishes what is in flight (a second one ends it at "
        "once).\nThe address, the database and all else are settings: see tomehub config.",
    .options = NULL,
    .option_count = 0,
    .examples = "  tomehub serve                                 http://127.0.0.1:5001\n"
                "  PORT=8080 DATABASE_URL=sqlite:/srv/books.db tomehub serve",
    .failures = "it could not start (the line says why)",
    .run = run,
};
