/* Parsing by getopt_long from a command's table, the generated help, and suggestions for slips. */
#include "cli/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bulkhead/base/str.h"

#define NAME_MAX_BYTES 64
#define SLIPS_MAX 2 /* letters that may be wrong for a name to be suggested */

void tome_cli_error(const struct tome_command *const command, const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "tomehub %s: ", command->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* ---- Suggestions ---- */

static size_t smaller(const size_t a, const size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, drop or change to make `a` of `b` (Levenshtein 1966). */
static size_t edit_distance(const char *const a, const char *const b)
{
    const size_t width = strlen(b);
    size_t row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            const size_t change = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = smaller(change, smaller(row[j], row[j + 1]) + 1);
        }
    }
    return row[width];
}

const char *tome_cli_nearest(const char *const word, const char *const *const names,
                             const size_t count)
{
    const char *nearest = NULL;
    size_t least = SLIPS_MAX + 1;
    if (strlen(word) > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t distance = edit_distance(word, names[i]);
        if (distance < least && distance < strlen(names[i])) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

/* ---- Help ---- */

static void print_option(const struct tome_option *const option)
{
    char names[NAME_MAX_BYTES];
    char letter[5] = "    ";
    if (option->letter != 0)
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    snprintf(names, sizeof(names), "%s--%s%s%s", letter, option->name,
             option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");
    printf("  %-24s %s\n", names, option->help);
}

static void print_help(const struct tome_command *const command)
{
    printf("tomehub %s: %s\n\nUsage: tomehub %s%s%s%s\n", command->name, command->summary,
           command->name, command->option_count > 0 ? " [OPTION]…" : "",
           command->arguments[0] != '\0' ? " " : "", command->arguments);
    if (command->description[0] != '\0')
        printf("\n%s\n", command->description);
    printf("\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++)
        print_option(&command->options[i]);
    print_option(&(struct tome_option){ .name = "help", .letter = 'h', .help = "show this" });
    printf("\nExamples:\n%s\n\nExit codes: 0 done, 1 %s, 2 called wrongly\n", command->examples,
           command->failures);
}

/* ---- Parsing ---- */

static enum tome_exit refuse_option(const struct tome_command *const command,
                                    const char *const word)
{
    const char *names[TOME_OPTIONS_MAX + 1] = { "help" };
    for (size_t i = 0; i < command->option_count; i++)
        names[i + 1] = command->options[i].name;
    char name[NAME_MAX_BYTES + 1] = "";
    if (strncmp(word, "--", 2) == 0)
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *const nearest = name[0] != '\0'
                                    ? tome_cli_nearest(name, names, command->option_count + 1)
                                    : NULL;
    if (nearest != NULL)
        tome_cli_error(command, "unknown option %s; did you mean --%s?", word, nearest);
    else
        tome_cli_error(command, "unknown option %s; see tomehub %s --help", word, command->name);
    return TOME_EXIT_USAGE;
}

/* What getopt_long takes, made from the table; long options answer 256 + place. */
struct getopt_tables {
    struct option longs[TOME_OPTIONS_MAX + 2];
    char letters[2 * TOME_OPTIONS_MAX + 4];
};

static void fill_tables(const struct tome_command *const command,
                        struct getopt_tables *const tables)
{
    char *letter = tables->letters;
    *letter++ = ':'; /* tell a missing value from an unknown option */
    *letter++ = 'h';
    for (size_t i = 0; i < command->option_count; i++) {
        const struct tome_option *const option = &command->options[i];
        tables->longs[i] = (struct option){ .name = option->name,
                                            .has_arg = option->argument != NULL ? 1 : 0,
                                            .val = 256 + (int)i };
        if (option->letter == 0)
            continue;
        *letter++ = option->letter;
        if (option->argument != NULL)
            *letter++ = ':';
    }
    *letter = '\0';
    tables->longs[command->option_count] = (struct option){ .name = "help", .val = 'h' };
    tables->longs[command->option_count + 1] = (struct option){ 0 };
}

static size_t option_place(const struct tome_command *const command, const int found)
{
    if (found >= 256)
        return (size_t)(found - 256);
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].letter == found)
            return i;
    return command->option_count;
}

static bool check_arguments(const struct tome_command *const command, const size_t count)
{
    if (count >= command->arguments_minimum && count <= command->arguments_maximum)
        return true;
    if (count < command->arguments_minimum)
        tome_cli_error(command, "needs %s; see tomehub %s --help", command->arguments,
                       command->name);
    else
        tome_cli_error(command,
                       "too many arguments (quote a query of several words); see tomehub %s --help",
                       command->name);
    return false;
}

bool tome_cli_parse(const struct tome_command *const command, const int argc, char **const argv,
                    struct tome_options *const ret_options, enum tome_exit *const ret_exit)
{
    struct getopt_tables tables;
    struct tome_options options = { .arguments = argv };
    fill_tables(command, &tables);
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1;) {
        if (found == 'h') {
            print_help(command);
            *ret_exit = TOME_EXIT_OK;
            return false;
        }
        *ret_exit = TOME_EXIT_USAGE;
        if (found == ':') {
            tome_cli_error(command, "%s needs a value", argv[optind - 1]);
            return false;
        }
        const size_t place = found == '?' ? command->option_count : option_place(command, found);
        if (place >= command->option_count) {
            *ret_exit = refuse_option(command, argv[optind - 1]);
            return false;
        }
        options.values[place] = optarg != NULL ? optarg : "";
    }
    options.arguments = argv + optind;
    options.argument_count = (size_t)(argc - optind);
    if (!check_arguments(command, options.argument_count)) {
        *ret_exit = TOME_EXIT_USAGE;
        return false;
    }
    *ret_options = options;
    return true;
}

bool tome_cli_number(const struct tome_command *const command,
                     const struct tome_options *const options, const size_t option,
                     const int64_t minimum, const int64_t maximum, const int64_t fallback,
                     int64_t *const ret_value)
{
    const char *const text = options->values[option];
    if (text == NULL) {
        *ret_value = fallback;
        return true;
    }
    int64_t value = 0;
    if (bh_str_to_int64(bh_str_from(text), minimum, maximum, &value) != 0) {
        tome_cli_error(command, "--%s takes a number from %lld to %lld, not \"%s\"",
                       command->options[option].name, (long long)minimum, (long long)maximum, text);
        return false;
    }
    *ret_value = value;
    return true;
}

/* ---- The program ---- */

static void print_commands(FILE *const out)
{
    fputs("TomeHub: a library you can search.\n\nUsage: tomehub COMMAND [OPTION]…\n\nCommands:\n",
          out);
    for (size_t i = 0; i < tome_command_count; i++)
        if (tome_commands[i]->summary != NULL)
            fprintf(out, "  %-10s %s\n", tome_commands[i]->name, tome_commands[i]->summary);
    fputs("\ntomehub COMMAND --help shows a command's options and examples.\n"
          "Settings come from the environment and .env; tomehub config shows them.\n",
          out);
}

static int refuse_command(const char *const word)
{
    const char *names[32];
    size_t count = 0;
    for (size_t i = 0; i < tome_command_count && count < BH_COUNT_OF(names); i++)
        if (tome_commands[i]->summary != NULL)
            names[count++] = tome_commands[i]->name;
    const char *const nearest = tome_cli_nearest(word, names, count);
    if (nearest != NULL)
        fprintf(stderr, "tomehub: unknown command %s; did you mean %s?\n", word, nearest);
    else
        fprintf(stderr, "tomehub: unknown command %s; see tomehub --help\n", word);
    return TOME_EXIT_USAGE;
}

int tome_cli_main(const int argc, char **const argv)
{
    if (argc < 2) {
        print_commands(stderr);
        return TOME_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_commands(stdout);
        return TOME_EXIT_OK;
    }
    if (strcmp(word, "--version") == 0)
        word = "version";
    for (size_t i = 0; i < tome_command_count; i++)
        if (strcmp(word, tome_commands[i]->name) == 0)
            return (int)tome_commands[i]->run(tome_commands[i], argc - 1, argv + 1);
    return refuse_command(word);
}
