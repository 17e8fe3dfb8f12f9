/*
 * `tomehub profile`: what the statements of the running server cost in a window of time. The server
 * counts from its start; two answers, one at the window's begin and one at its end, make the
 * window. It is asked in between as well, so that something is left when it goes away.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/time.h"
#include "cli/commands.h"
#include "cli/fetch.h"
#include "cli/output.h"
#include "cli/profile_table.h"
#include "cli/progress.h"
#include "cli/session.h"

#define TARGET "/api/admin/queries?top=513&durations=true"
#define ANSWER_MAX (4u << 20)
#define ANSWER_DEPTH_MAX 8
#define ANSWER_TIMEOUT_US (10 * BH_SECOND_US)
#define TICK_US (250 * BH_MS_US)
#define ASK_EVERY_US (5 * BH_SECOND_US)

enum { OPTION_DURATION, OPTION_TOP, OPTION_JSON };
static const struct tome_option options[] = {
    [OPTION_DURATION] = { .name = "duration",
                          .letter = 'd',
                          .argument = "SECONDS",
                          .help = "how long to watch, 1 to 86400 (300)" },
    [OPTION_TOP] = { .name = "top",
                     .letter = 'n',
                     .argument = "N",
                     .help = "statements shown, 1 to 513 (20)" },
    [OPTION_JSON] = { .name = "json", .help = "print the figures as JSON" },
};

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(const int signal)
{
    (void)signal;
    is_interrupted = 1;
}

/* The first Ctrl-C ends the window, the second the program. */
static void catch_interrupt(void)
{
    const struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int ask(const struct tome_fetch_address *const address, json_t **const ret_answer,
               struct bh_error *const reterr)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf body;
    bh_buf_init(&body, ANSWER_MAX);
    const int result = tome_fetch(address, TARGET, &body, reterr);
    return result != 0 ? result
                       : bh_json_parse(bh_buf_peek(&body), ANSWER_DEPTH_MAX, ret_answer, reterr);
}

/* Asks anew and keeps the answer in *latest. */
static int ask_again(const struct tome_fetch_address *const address, json_t **const latest,
                     struct bh_error *const reterr)
{
    json_t *answer = NULL;
    const int result = ask(address, &answer, reterr);
    if (result != 0)
        return result;
    json_decref(*latest);
    *latest = answer;
    return 0;
}

/* Waits for the window's end, or Ctrl-C, or the server's end. *latest gets the last answer. */
static int watch(const struct tome_fetch_address *const address, const uint64_t duration_us,
                 json_t **const latest, struct bh_error *const reterr)
{
    struct tome_progress progress;
    tome_progress_init(&progress);
    const uint64_t begun_us = bh_time_now_us();
    uint64_t ask_us = begun_us + ASK_EVERY_US;
    int result = 0;
    for (uint64_t now_us = begun_us; result == 0 && !is_interrupted; now_us = bh_time_now_us()) {
        const uint64_t past_us = now_us - begun_us;
        if (past_us >= duration_us)
            break;
        tome_progress_draw(&progress, past_us / BH_SECOND_US, duration_us / BH_SECOND_US, 0,
                           "seconds (Ctrl-C ends it)");
        const uint64_t left_us = duration_us - past_us;
        const uint64_t pause_us = left_us < TICK_US ? left_us : TICK_US;
        const struct timespec pause = { .tv_nsec = (long)pause_us * 1000 };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        if (now_us >= ask_us) {
            ask_us += ASK_EVERY_US;
            result = ask_again(address, latest, reterr);
        }
    }
    tome_progress_clear(&progress);
    return result == 0 ? ask_again(address, latest, reterr) : result;
}

static enum tome_exit show(const struct tome_command *const command, const json_t *const before,
                           const json_t *const after, const size_t top, const bool as_json)
{
    struct tome_profile profile;
    struct bh_error error;
    struct winsize size;
    if (tome_profile_between(before, after, &profile, &error) != 0) {
        tome_cli_error(command, "%s", error.message);
        return TOME_EXIT_FAILED;
    }
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, ANSWER_MAX);
    if (as_json) {
        struct bh_json json;
        bh_json_init(&json, &text);
        tome_profile_json(&profile, top, &json);
        bh_buf_append_byte(&text, '\n');
    } else {
        const bool is_terminal = isatty(STDOUT_FILENO) == 1 &&
                                 ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
        tome_profile_print(&profile, top, is_terminal ? size.ws_col : 0, &text);
    }
    tome_profile_fini(&profile);
    return tome_output(&text);
}

static enum tome_exit watch_and_show(const struct tome_command *const command,
                                     const struct tome_fetch_address *const address,
                                     const uint64_t duration_us, const size_t top,
                                     const bool as_json)
{
    struct bh_error error;
    json_t *BH_CLEANUP(bh_json_decref_cleanup) before = NULL;
    if (ask(address, &before, &error) != 0) {
        tome_cli_error(command, "%s\nStart it with tomehub serve, or name its HOST and PORT.",
                       error.message);
        return TOME_EXIT_FAILED;
    }
    json_t *BH_CLEANUP(bh_json_decref_cleanup) latest = json_incref(before);
    catch_interrupt();
    if (watch(address, duration_us, &latest, &error) == 0)
        return show(command, before, latest, top, as_json);
    tome_cli_error(command, "%s; the figures end there", error.message);
    (void)show(command, before, latest, top, as_json);
    return TOME_EXIT_FAILED;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    struct tome_session session;
    int64_t duration = 0, top = 0;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (!tome_cli_number(command, &given, OPTION_DURATION, 1, 86400, 300, &duration) ||
        !tome_cli_number(command, &given, OPTION_TOP, 1, 513, 20, &top))
        return TOME_EXIT_USAGE;
    if (!tome_session_begin(command, &session))
        return TOME_EXIT_FAILED;
    const struct tome_fetch_address address = { .host = session.settings.host,
                                                .api_key = session.settings.api_key,
                                                .tls_cert_file = session.settings.tls_cert_file,
                                                .port = (unsigned)session.settings.port,
                                                .timeout_us = ANSWER_TIMEOUT_US };
    result = watch_and_show(command, &address, (uint64_t)duration * BH_SECOND_US, (size_t)top,
                            given.values[OPTION_JSON] != NULL);
    tome_session_end(&session);
    return result;
}

const struct tome_command tome_command_profile = {
    .name = "profile",
    .arguments = "",
    .summary = "show what the running server's statements cost",
    .description =
        "Watches the server that HOST and PORT name and prints the statements that ran in that\n"
        "time, the most total time first: executions, seconds in all and on average, SQL. "
        "Constants\nstand as ?; parameters are never shown. Ctrl-C ends the watching early.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub profile --duration 60\n"
                "  PORT=8080 tomehub profile -d 10 --json | jq '.queries[0]'",
    .failures = "no server answered, or it went away",
    .arguments_minimum = 0,
    .arguments_maximum = 0,
    .run = run,
};
