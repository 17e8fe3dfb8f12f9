/* `tomehub serve`: the supervisor, or the server alone; and `tomehub worker`, which the supervisor
 * starts. */
#include "serve.h"

#include <linux/limits.h>
#include <unistd.h>

#include "bulkhead/runtime/supervisor.h"
#include "auth.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "tls.h"

/* After the time to finish, before a worker that does not end is killed. */
#define LEAVE_MARGIN_US (10 * BH_SECOND_US)

enum { OPTION_ALONE };
static const struct tome_option options[] = {
    [OPTION_ALONE] = { .name = "no-supervisor", .help = "one process, as SUPERVISOR=off" },
};

static enum tome_exit serve(const struct tome_command *const command,
                            const struct tome_session *const session,
                            const enum tome_serve_role role)
{
    struct bh_error error;
    const int served = tome_serve(&session->settings, role, &error);
    if (served == 0)
        return TOME_EXIT_OK;
    tome_cli_error(command, "%s", error.message);
    if (role == TOME_SERVE_WORKER)
        bh_supervisor_tell_failure(error.message);
    return TOME_EXIT_FAILED;
}

/* ---- The supervisor ---- */

static struct bh_supervisor_settings supervisor_settings(const struct tome_settings *const settings)
{
    return (struct bh_supervisor_settings){
        .host = settings->host,
        .port = (unsigned)settings->port,
        .start_timeout_us = settings->worker_start_timeout_us,
        .hang_timeout_us = settings->worker_hang_timeout_us,
        .leave_timeout_us = settings->shutdown_delay_us + settings->shutdown_timeout_us +
                            LEAVE_MARGIN_US,
        .restart_limit = (unsigned)settings->worker_restart_limit,
    };
}

/* The worker reads the settings for itself; they are read here first so that a wrong one is told
 * before anything is started. */
static int reload(void *const argument, struct bh_supervisor_settings *const ret_settings,
                  struct bh_error *const reterr)
{
    struct tome_session *const newest = argument;
    struct tome_settings settings;
    struct bh_settings_origin *origin = NULL;
    int result = tome_settings_load(&settings, &origin, reterr);
    if (result == 0)
        result = tome_auth_check_settings(&settings, reterr);
    if (result == 0)
        result = tome_tls_check(&settings, reterr);
    if (result != 0) {
        bh_settings_origin_destroy(origin);
        return result;
    }
    bh_settings_origin_destroy(newest->origin);
    newest->settings = settings;
    newest->origin = origin;
    *ret_settings = supervisor_settings(&settings);
    return 0;
}

static int supervise(const struct tome_session *const session, int *const ret_status,
                     struct bh_error *const reterr)
{
    char program[PATH_MAX] = "", control_path[PATH_MAX];
    struct tome_session newest = { 0 };
    int result = tome_auth_check_settings(&session->settings, reterr);
    if (result == 0)
        result = tome_tls_check(&session->settings, reterr);
    if (result == 0)
        result = tome_settings_control_path(&session->settings, control_path, sizeof(control_path),
                                            reterr);
    if (result == 0 && readlink("/proc/self/exe", program, sizeof(program) - 1) < 1)
        result = bh_error_set(reterr, BH_EIO, "cannot tell this program's path: is /proc mounted?");
    if (result != 0)
        return result;
    const struct bh_supervisor_options supervisor = {
        .program = program,
        .command = tome_command_worker.name,
        .control_path = control_path,
        .settings = supervisor_settings(&session->settings),
        .reload = reload,
        .argument = &newest,
    };
    result = bh_supervisor_run(&supervisor, ret_status, reterr);
    bh_settings_origin_destroy(newest.origin);
    return result;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    if (session.settings.supervisor && !given.values[OPTION_ALONE]) {
        struct bh_error error;
        int status = TOME_EXIT_FAILED;
        if (supervise(&session, &status, &error) != 0)
            tome_cli_error(command, "%s", error.message);
        result = (enum tome_exit)status;
    } else {
        result = serve(command, &session, TOME_SERVE_ALONE);
    }
    tome_session_end(&session);
    return result;
}

const struct tome_command tome_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve the library: the page and the HTTP API",
    .description =
        "Serves until SIGTERM or Ctrl-C, then finishes what is in flight (a second one ends it at "
        "once).\nSIGHUP or tomehub reload takes up changed settings, tomehub restart a new "
        "program, "
        "without losing\na request. The address, the database and all else are settings: see "
        "tomehub config.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub serve                                 http://127.0.0.1:5001\n"
                "  PORT=8080 DATABASE_URL=sqlite:/srv/books.db tomehub serve",
    .failures = "it could not start (the line says why), 3 the server ended again and again,\n"
                "128 + N it was ended by signal N",
    .run = run,
};

/* ---- The worker ---- */

enum { OPTION_GENERATION, OPTION_CRASHES };
static const struct tome_option worker_options[] = {
    [OPTION_GENERATION] = { .name = "generation",
                            .argument = "N",
                            .help = "how many workers the supervisor has started, with this one" },
    [OPTION_CRASHES] = { .name = "crashes",
                         .argument = "N",
                         .help = "how many of them ended unasked" },
};

static enum tome_exit run_worker(const struct tome_command *const command, const int argc,
                                 char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    int64_t generation = 0, crashes = 0;
    if (!tome_cli_number(command, &given, OPTION_GENERATION, 1, INT32_MAX, 1, &generation) ||
        !tome_cli_number(command, &given, OPTION_CRASHES, 0, INT32_MAX, 0, &crashes))
        return TOME_EXIT_USAGE;
    if (!bh_supervisor_is_parent()) {
        tome_cli_error(command, "only tomehub serve starts this");
        return TOME_EXIT_USAGE;
    }
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    bh_supervisor_register_metrics((unsigned)generation, (unsigned)crashes);
    result = serve(&tome_command_serve, &session, TOME_SERVE_WORKER);
    tome_session_end(&session);
    return result;
}

const struct tome_command tome_command_worker = {
    .name = "worker",
    .arguments = "",
    .summary = NULL,
    .description = "The process that serves; tomehub serve starts it.",
    .options = worker_options,
    .option_count = BH_COUNT_OF(worker_options),
    .examples = "  tomehub serve",
    .failures = "it could not start",
    .run = run_worker,
};
