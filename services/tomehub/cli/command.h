/*
 * One command of `tomehub`: its table of options, from which parsing and `--help` come.
 *
 * Exit codes, the same for all commands: 0 it worked, 1 it failed, 2 it was called wrongly.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bulkhead/base/macro.h"

enum tome_exit { TOME_EXIT_OK = 0, TOME_EXIT_FAILED = 1, TOME_EXIT_USAGE = 2 };

#define TOME_OPTIONS_MAX 16

struct tome_option {
    const char *name;     /* "json" for --json */
    char letter;          /* 'j' for -j; 0: none */
    const char *argument; /* "N": takes a value, so called in the help; NULL: a switch */
    const char *help;
};

struct tome_command {
    const char *name;
    const char *arguments;   /* "PATH…"; "" for none */
    const char *summary;     /* one line, without a full stop; NULL: not listed */
    const char *description; /* paragraphs for --help; "" for none */
    const struct tome_option *options;
    size_t option_count;
    const char *examples; /* lines for --help */
    const char *failures; /* when the exit code is 1, completing "1 …" */
    size_t arguments_minimum, arguments_maximum;
    enum tome_exit (*run)(const struct tome_command *command, int argc, char **argv);
};

/* Every command, in the order of the help. */
extern const struct tome_command *const tome_commands[];
extern const size_t tome_command_count;

/* Runs what the command line says; the process's exit code. */
int tome_cli_main(int argc, char **argv);

/* ---- For commands ---- */

struct tome_options {
    const char *values[TOME_OPTIONS_MAX]; /* by place in the table: "" for a switch given, the
                                             value, or NULL when it was not given */
    char **arguments;
    size_t argument_count;
};

/* Reads the command line. True: *ret_options is filled. False: help was printed or the call was
 * wrong (told on standard error); leave with *ret_exit. */
bool tome_cli_parse(const struct tome_command *command, int argc, char **argv,
                    struct tome_options *ret_options, enum tome_exit *ret_exit) BH_MUST_CHECK;

/* A value as a number within bounds, `fallback` if not given. False: told on standard error. */
bool tome_cli_number(const struct tome_command *command, const struct tome_options *options,
                     size_t option, int64_t minimum, int64_t maximum, int64_t fallback,
                     int64_t *ret_value) BH_MUST_CHECK;

/* "tomehub NAME: message" on standard error. */
void tome_cli_error(const struct tome_command *command, const char *format, ...) BH_PRINTF(2, 3);

/* The name in `names` nearest to `word`, or NULL when none is near enough to be meant. */
const char *tome_cli_nearest(const char *word, const char *const *names, size_t count);
