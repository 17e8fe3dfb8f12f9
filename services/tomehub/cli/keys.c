/* `tomehub keys`: makes, lists and revokes API keys. */
#include <stdio.h>
#include <string.h>

#include "bulkhead/base/time.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "library/keys.h"
#include "library/users.h"
#include "views.h"

#define ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define DAY_US INT64_C(86400000000)
#define DAYS_MAX 36500

enum { OPTION_JSON, OPTION_NAME, OPTION_USER, OPTION_SCOPES, OPTION_DAYS };
static const struct tome_option options[] = {
    [OPTION_JSON] = { .name = "json", .help = "one JSON object a line" },
    [OPTION_NAME] = { .name = "name",
                      .argument = "TEXT",
                      .help = "create: what the key is for, for people" },
    [OPTION_USER] = { .name = "user",
                      .argument = "NAME",
                      .help = "create: whose library it opens (this machine's own)" },
    [OPTION_SCOPES] = { .name = "scopes",
                        .argument = "LIST",
                        .help = "create: read, write, admin, with commas (read,write)" },
    [OPTION_DAYS] = { .name = "days",
                      .argument = "N",
                      .help = "create: how long it is valid (for good)" },
};

/* ---- Create ---- */

static bool read_scopes(const struct tome_command *const command, const char *const text,
                        unsigned *const ret_scopes)
{
    struct bh_str rest = bh_str_from(text != NULL ? text : "read,write");
    unsigned scopes = 0;
    while (rest.size > 0) {
        const struct bh_str name = bh_str_trim(bh_str_split(&rest, ','));
        const unsigned scope = bh_scopes_parse(name, ',');
        if (scope == 0) {
            tome_cli_error(command, "--scopes takes read, write and admin, not \"%.*s\"",
                           BH_STR_ARGS(name));
            return false;
        }
        scopes |= scope;
    }
    *ret_scopes = scopes;
    return scopes != 0;
}

static enum tome_exit print_new(const struct bh_auth_new_key *const key,
                                const struct tome_key_wish *const wish, const bool as_json)
{
    struct bh_buf text BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&text, 4096);
    if (!as_json) {
        fprintf(stderr, "This key is shown once and kept nowhere. Its id is %s.\n", key->id);
        bh_buf_append_str(&text, bh_str_from(key->text));
        return tome_output_line(&text);
    }
    struct bh_json json;
    bh_json_init(&json, &text);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "id", bh_str_from(key->id));
    bh_json_kv_string(&json, "key", bh_str_from(key->text));
    tome_view_time(&json, "expires_at", wish->expires_us);
    bh_json_object_end(&json);
    return tome_output_line(&text);
}

static int create(const struct tome_session *const session, struct tome_key_wish wish,
                  const char *const user, const bool as_json, enum tome_exit *const ret_exit,
                  struct bh_error *const reterr)
{
    struct bh_auth_new_key key;
    wish.owner_id = session->owner_id;
    int result = user != NULL
                     ? tome_users_find(session->db, bh_str_from(user), &wish.owner_id, reterr)
                     : 0;
    if (result == 0)
        result = tome_keys_create(session->db, &wish, &key, reterr);
    if (result != 0)
        return result;
    *ret_exit = print_new(&key, &wish, as_json);
    bh_auth_key_wipe(&key);
    return 0;
}

/* ---- List ---- */

static void append_json(struct bh_buf *const text, const struct tome_key *const key)
{
    struct bh_json json;
    bh_json_init(&json, text);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "id", key->id);
    bh_json_kv_string(&json, "name", key->name);
    if (key->user.data != NULL)
        bh_json_kv_string(&json, "user", key->user);
    else
        bh_json_kv_null(&json, "user");
    bh_json_kv_array(&json, "scopes");
    for (unsigned scope = 1; scope <= BH_SCOPE_ADMIN; scope <<= 1)
        if ((key->scopes & scope) != 0)
            bh_json_string(&json, bh_scope_name((enum bh_scope)scope));
    bh_json_array_end(&json);
    tome_view_time(&json, "created_at", key->created_us);
    tome_view_time(&json, "expires_at", key->expires_us);
    tome_view_time(&json, "revoked_at", key->revoked_us);
    bh_json_object_end(&json);
    bh_buf_append_byte(text, '\n');
}

static void append_line(struct bh_buf *const text, const struct tome_key *const key)
{
    const bool is_over = key->expires_us != 0 && key->expires_us <= bh_time_wall_us();
    char created[BH_TIME_TEXT_SIZE];
    bh_time_text(key->created_us, created);
    bh_buf_printf(text, "%.*s  %.10s  %-8s", BH_STR_ARGS(key->id), created,
                  key->revoked_us != 0 ? "revoked"
                  : is_over            ? "expired"
                                       : "valid");
    bh_scopes_write(key->scopes, ',', text);
    if (key->user.data != NULL)
        bh_buf_printf(text, "  user %.*s", BH_STR_ARGS(key->user));
    if (key->name.size > 0)
        bh_buf_printf(text, "  %.*s", BH_STR_ARGS(key->name));
    bh_buf_append_byte(text, '\n');
}

static int list(const struct tome_session *const session, const bool as_json,
                enum tome_exit *const ret_exit, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    struct tome_keys keys;
    bh_buf_init(&text, ARENA_BYTES_MAX);
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory");
    const int result = tome_keys_list(session->db, arena, &keys, reterr);
    if (result != 0)
        return result;
    for (size_t i = 0; i < keys.count; i++)
        (as_json ? append_json : append_line)(&text, &keys.keys[i]);
    if (keys.count == 0 && !as_json)
        bh_buf_append_str(&text, BH_STR("No keys yet: tomehub keys create makes one.\n"));
    *ret_exit = tome_output(&text);
    return 0;
}

/* ---- The command ---- */

static int run_verb(const struct tome_session *const session,
                    const struct tome_options *const given, const struct tome_key_wish *const wish,
                    enum tome_exit *const ret_exit, struct bh_error *const reterr)
{
    const char *const verb = given->arguments[0];
    const bool as_json = given->values[OPTION_JSON] != NULL;
    if (strcmp(verb, "create") == 0)
        return create(session, *wish, given->values[OPTION_USER], as_json, ret_exit, reterr);
    if (strcmp(verb, "list") == 0)
        return list(session, as_json, ret_exit, reterr);
    const int result = tome_keys_revoke(session->db, bh_str_from(given->arguments[1]), reterr);
    if (result == 0)
        fprintf(stderr, "Revoked: servers refuse it within a second.\n");
    return result;
}

/* Whether the verb has the arguments it takes. */
static bool check_verb(const struct tome_command *const command,
                       const struct tome_options *const given)
{
    const char *const verb = given->arguments[0];
    const bool is_revoke = strcmp(verb, "revoke") == 0;
    if (!is_revoke && strcmp(verb, "create") != 0 && strcmp(verb, "list") != 0)
        tome_cli_error(command, "there is no \"%s\": create, list or revoke", verb);
    else if (is_revoke != (given->argument_count == 2))
        tome_cli_error(command,
                       is_revoke ? "revoke takes the id of a key"
                                 : "%s takes no arguments, only options",
                       verb);
    else
        return true;
    return false;
}

static enum tome_exit run(const struct tome_command *const command, const int argc,
                          char **const argv)
{
    struct tome_options given;
    enum tome_exit result = TOME_EXIT_OK;
    struct tome_session session;
    struct bh_error error;
    struct tome_key_wish wish = { 0 };
    int64_t days = 0;
    if (!tome_cli_parse(command, argc, argv, &given, &result))
        return result;
    const char *const name = given.values[OPTION_NAME];
    wish.name = bh_str_from(name != NULL ? name : "");
    if (!check_verb(command, &given) ||
        !read_scopes(command, given.values[OPTION_SCOPES], &wish.scopes) ||
        !tome_cli_number(command, &given, OPTION_DAYS, 1, DAYS_MAX, 0, &days))
        return TOME_EXIT_USAGE;
    if (wish.name.size > TOME_KEY_NAME_MAX || !bh_str_is_utf8(wish.name)) {
        tome_cli_error(command, "--name takes at most %d bytes of UTF-8", TOME_KEY_NAME_MAX);
        return TOME_EXIT_USAGE;
    }
    wish.expires_us = days != 0 ? bh_time_wall_us() + days * DAY_US : 0;
    if (!tome_session_open(command, &session))
        return TOME_EXIT_FAILED;
    const int done = run_verb(&session, &given, &wish, &result, &error);
    if (done != 0)
        tome_cli_error(command, "%s", error.message);
    tome_session_end(&session);
    return done == 0 ? result : TOME_EXIT_FAILED;
}

const struct tome_command tome_command_keys = {
    .name = "keys",
    .arguments = "create|list|revoke [ID]",
    .summary = "make, list and revoke API keys",
    .description =
        "Keys are for servers with AUTH=keys, which need not be started anew. A new key is printed "
        "on\nstandard output, once: only its SHA-256 is kept.",
    .options = options,
    .option_count = BH_COUNT_OF(options),
    .examples = "  tomehub keys create --name laptop\n"
                "  tomehub keys create --user ann --scopes read --days 90\n"
                "  tomehub keys create --name prometheus --scopes admin > /etc/prometheus/key\n"
                "  tomehub keys list\n"
                "  tomehub keys revoke 3f9a0c1d2e4b",
    .failures = "the database could not be read or written, or there is no such key",
    .arguments_minimum = 1,
    .arguments_maximum = 2,
    .run = run,
};
