/* The list of commands, in the order of the help. */
#include "cli/commands.h"

const struct tome_command *const tome_commands[] = {
    &tome_command_config,
    &tome_command_version,
};

const size_t tome_command_count = BH_COUNT_OF(tome_commands);
