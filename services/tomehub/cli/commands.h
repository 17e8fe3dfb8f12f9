/* The commands, each in its own file (cli/NAME.c). */
#pragma once

#include "cli/command.h"

extern const struct tome_command tome_command_answer;
extern const struct tome_command tome_command_books;
extern const struct tome_command tome_command_check;
extern const struct tome_command tome_command_config;
extern const struct tome_command tome_command_export;
extern const struct tome_command tome_command_extract;
extern const struct tome_command tome_command_ingest;
extern const struct tome_command tome_command_keys;
extern const struct tome_command tome_command_migrate;
extern const struct tome_command tome_command_profile;
extern const struct tome_command tome_command_reload;
extern const struct tome_command tome_command_restart;
extern const struct tome_command tome_command_search;
extern const struct tome_command tome_command_serve;
extern const struct tome_command tome_command_status;
extern const struct tome_command tome_command_version;
extern const struct tome_command tome_command_worker;
