/* `tomehub config`: the settings in force and where each came from; also the texts made from the
 * table. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "settings.h"

enum { OPTION_EXAMPLE, OPTION_REFERENCE };
static const struct tome_option options[] = {
    [OPTION_EXAMPLE] = { .name = "example", .help = "print the text of .env.example" },
    [OPTION_REFERENCE] = { .name = "reference", .help = "print the reference page (Markdown)" },
};

static const struct bh_str reference_head = BH_STR(
    "# TomeHub's settings\n\n"
    "A setting comes from the environment, else from `.env` in the working directory, else "
    "it has its default.\n(Printed by `tomehub config --reference`.)\n\n");

static enum tome_exit print_settings(const struct tome_command *const command,
                                     struct bh_buf *const text)
{
    struct tome_settings settings;
    struct bh_settings_origin *origin;
    struct bh_error error;
    if (tome_settings_load(&settings, &origin, &error) != 0) {
        tome_cli_error(command, "%s", error.message);
        return TOME_EXIT_FAILED;
    }
    bh_settings_print(tome_settings_table, tome_settings_count, origin, text);
    bh_settings_origin_destroy(origin);
    return tome_output(text);
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    bh_buf_init(&text, 1 << 20);
    if (given.values[OPTION_EXAMPLE] != NULL)
        bh_settings_example(tome_settings_table, tome_settings_count, &text);
    else if (given.values[OPTION_REFERENCE] != NULL) {
        bh_buf_append_str(&text, reference_head);
        bh_settings_reference(tome_settings_table, tome_settings_count, &text);
    } else
        return print_settings(command, &text);
    return tome_output(&text);
}

const struct tome_command tome_command_config = {
    .name = "config",
    .arguments = "",
    .summary = "show the settings and where each comes from",
    .description = "A setting comes from the environment, else from .env in the working directory, "
                   "else from\nthe built-in table. One that is unknown or out of range is refused.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub config                      the settings in force\n"
                "  PORT=8080 tomehub config            with one of them changed\n"
                "  tomehub config --example > .env     a file to edit, with every default",
    .failures = "a setting is wrong (the line says which)",
    .run = run,
};
