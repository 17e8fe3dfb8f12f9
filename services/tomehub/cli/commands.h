/* The commands, each in its own file (cli/NAME.c). */
#pragma once

#include "cli/command.h"

extern const struct tome_command tome_command_config;
extern const struct tome_command tome_command_version;
