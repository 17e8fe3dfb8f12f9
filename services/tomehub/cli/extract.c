/* `tomehub extract`: what the server starts for each file; see extract/extractor.h. Not listed. */
#include "cli/commands.h"
#include "extract/extractor.h"

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    (void)command;
    return (enum tome_exit)tome_extract_main(argc, argv);
}

const struct tome_command tome_command_extract = { .name = "extract", .run = run };
