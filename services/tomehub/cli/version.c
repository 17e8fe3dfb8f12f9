/* `tomehub version`: what this binary is and what it was built with. */
#include <sqlite3.h>
#include <stdio.h>
#include <uv.h>

#include "bulkhead/base/json.h"
#include "cli/commands.h"
#include "cli/output.h"

enum { OPTION_JSON };
static const struct tome_option options[] = {
    [OPTION_JSON] = { .name = "json", .help = "print it as JSON" },
};

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    if (given.values[OPTION_JSON] == NULL) {
        printf("tomehub %s (SQLite %s, libuv %s)\n", BH_VERSION, sqlite3_libversion(),
               uv_version_string());
        return TOME_EXIT_OK;
    }
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct bh_json json;
    bh_buf_init(&text, 4096);
    bh_json_init(&json, &text);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "name", BH_STR("tomehub"));
    bh_json_kv_string(&json, "version", BH_STR(BH_VERSION));
    bh_json_kv_string(&json, "sqlite", bh_str_from(sqlite3_libversion()));
    bh_json_kv_string(&json, "libuv", bh_str_from(uv_version_string()));
    bh_json_object_end(&json);
    return tome_output_line(&text);
}

const struct tome_command tome_command_version = {
    .name = "version",
    .arguments = "",
    .summary = "say which version this is",
    .description = "",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub version\n  tomehub version --json",
    .failures = "it could not be printed",
    .run = run,
};
