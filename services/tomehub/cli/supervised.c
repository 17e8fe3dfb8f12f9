/* `tomehub status`, `reload` and `restart`: words to the supervisor of the running server. */
#include <linux/limits.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/time.h"
#include "bulkhead/runtime/control.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"

#define STATUS_TIMEOUT_US (10 * BH_SECOND_US)
#define REPLACE_MARGIN_US (10 * BH_SECOND_US)
#define ANSWER_DEPTH_MAX 4

enum { OPTION_JSON };
static const struct tome_option status_options[] = {
    [OPTION_JSON] = { .name = "json", .help = "print the figures as JSON" },
};

static int ask(const struct tome_session *const session, const char *const command,
               const uint64_t timeout_us, struct bh_buf *const text, json_t **const ret_answer,
               struct bh_error *const reterr)
{
    char path[PATH_MAX];
    int result = tome_settings_control_path(&session->settings, path, sizeof(path), reterr);
    if (result == 0)
        result = bh_control_ask(path, command, timeout_us, text, reterr);
    if (result == 0)
        result = bh_json_parse(bh_buf_peek(text), ANSWER_DEPTH_MAX, ret_answer, reterr);
    return result;
}

static const char *text_of(const json_t *const answer, const char *const name)
{
    const char *const text = json_string_value(json_object_get(answer, name));
    return text ? text : "";
}

static long long number_of(const json_t *const answer, const char *const name)
{
    return (long long)json_integer_value(json_object_get(answer, name));
}

static void write_status(const json_t *const answer, struct bh_buf *const text)
{
    bh_buf_clear(text);
    bh_buf_printf(text, "%-12s%s\n", "state", text_of(answer, "state"));
    bh_buf_printf(text, "%-12s%lld, up %lld s\n", "supervisor", number_of(answer, "supervisor_pid"),
                  number_of(answer, "uptime_seconds"));
    bh_buf_printf(text, "%-12s%lld, up %lld s, number %lld (%s)\n", "worker",
                  number_of(answer, "worker_pid"), number_of(answer, "worker_uptime_seconds"),
                  number_of(answer, "generation"), text_of(answer, "started_because"));
    bh_buf_printf(text, "%-12s%lld replaced, %lld crashed, %lld leaving\n", "workers",
                  number_of(answer, "replacements"), number_of(answer, "crashes"),
                  number_of(answer, "workers_leaving"));
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
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    const bool is_status = command == &tome_command_status;
    const uint64_t timeout_us = is_status
                                    ? STATUS_TIMEOUT_US
                                    : session.settings.worker_start_timeout_us + REPLACE_MARGIN_US;
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    bh_buf_init(&text, BH_CONTROL_ANSWER_MAX);
    json_t *BH_CLEANUP(bh_json_decref_cleanup) answer = NULL;
    if (ask(&session, command->name, timeout_us, &text, &answer, &error) != 0) {
        tome_cli_error(command, "%s", error.message);
        result = TOME_EXIT_FAILED;
    } else if (!json_is_true(json_object_get(answer, "ok"))) {
        tome_cli_error(command, "%s", text_of(answer, "message"));
        result = TOME_EXIT_FAILED;
    } else {
        if (!is_status) {
            bh_buf_clear(&text);
            bh_buf_printf(&text, "%s\n", text_of(answer, "message"));
        } else if (!given.values[OPTION_JSON])
            write_status(answer, &text);
        result = tome_output(&text);
    }
    tome_session_end(&session);
    return result;
}

const struct tome_command tome_command_status = {
    .name = "status",
    .arguments = "",
    .summary = "show how the running server's processes fare",
    .description = "Asks the supervisor of the server with the same DATABASE_URL and PORT.",
    .options = status_options,
    .option_count = BH_COUNT_OF(status_options),
    .examples = "  tomehub status\n  tomehub status --json",
    .failures = "no server answers",
    .run = run,
};

const struct tome_command tome_command_reload = {
    .name = "reload",
    .arguments = "",
    .summary = "take up changed settings without losing a request",
    .description = "Reads .env anew (not the environment, which a process keeps from its start) "
                   "and starts a new\nserver process; the old one leaves when the new one serves. "
                   "If a setting is wrong, all stays\nas it is. HOST and PORT take a stop and a "
                   "start. SIGHUP does the same.",
    .options = NULL,
    .option_count = 0,
    .examples = "  tomehub reload",
    .failures = "no server answers, or the old process goes on (the line says why)",
    .run = run,
};

const struct tome_command tome_command_restart = {
    .name = "restart",
    .arguments = "",
    .summary = "start a new server process, of a new program if there is one",
    .description = "Starts the program anew from its file; the old process leaves when the new one "
                   "serves, with what\nit has in flight. No connection is refused meanwhile.",
    .options = NULL,
    .option_count = 0,
    .examples = "  make build && tomehub restart",
    .failures = "no server answers, or the old process goes on (the line says why)",
    .run = run,
};
