/* tomehub: see cli/commands.c for what it can do. */
#include "cli/command.h"

int main(const int argc, char **const argv)
{
    return tome_cli_main(argc, argv);
}
