/* The list of commands, in the order of the help. */
#include "cli/commands.h"

const struct tome_command *const tome_commands[] = {
    &tome_command_serve,  &tome_command_status,  &tome_command_reload,  &tome_command_restart,
    &tome_command_ingest, &tome_command_search,  &tome_command_answer,  &tome_command_books,
    &tome_command_export, &tome_command_config,  &tome_command_keys,    &tome_command_migrate,
    &tome_command_check,  &tome_command_profile, &tome_command_version, &tome_command_extract,
    &tome_command_worker,
};

const size_t tome_command_count = BH_COUNT_OF(tome_commands);
