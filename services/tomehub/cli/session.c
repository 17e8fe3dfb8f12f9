/* A command's beginning and end. */
#include "cli/session.h"

#include <unistd.h>

#include "bulkhead/base/log.h"
#include "cli/commands.h"
#include "library/library.h"
#include "library/users.h"

/* A server's log tells how it fares; a command's output is for the one who typed it, so only what
 * went wrong stands beside it. */
static void set_up_log(const struct tome_settings *const settings, const bool is_server)
{
    enum bh_log_level level = tome_settings_log_level(settings);
    enum bh_log_format format = tome_settings_log_format(settings);
    if (!is_server && level == BH_LOG_INFO)
        level = BH_LOG_WARNING;
    if (!is_server && format == BH_LOG_AUTO)
        format = BH_LOG_TEXT;
    bh_log_setup(level, format, STDERR_FILENO);
}

bool tome_session_begin(const struct tome_command *const command,
                        struct tome_session *const ret_session)
{
    struct bh_error error;
    *ret_session = (struct tome_session){ .owner_id = TOME_OWNER_DEFAULT };
    if (tome_settings_load(&ret_session->settings, &ret_session->origin, &error) != 0) {
        tome_cli_error(command, "%s", error.message);
        return false;
    }
    set_up_log(&ret_session->settings,
               command == &tome_command_serve || command == &tome_command_worker);
    return true;
}

bool tome_session_open(const struct tome_command *const command,
                       struct tome_session *const ret_session)
{
    struct bh_error error;
    if (!tome_session_begin(command, ret_session))
        return false;
    if (tome_open(&ret_session->settings, TOME_OPEN_CHECKED, NULL, &ret_session->db, &error) == 0)
        return true;
    tome_cli_error(command, "%s", error.message);
    tome_session_end(ret_session);
    return false;
}

bool tome_session_open_for(const struct tome_command *const command, const char *const user,
                           struct tome_session *const ret_session)
{
    struct bh_error error;
    if (!tome_session_open(command, ret_session))
        return false;
    if (user == NULL)
        return true;
    const int result = tome_users_look_up(ret_session->db, bh_str_from(user),
                                          &ret_session->owner_id, &error);
    if (result == 0)
        return true;
    tome_cli_error(command, "%s%s", error.message,
                   result == BH_ENOTFOUND ? " (tomehub keys create --user NAME adds one)" : "");
    tome_session_end(ret_session);
    return false;
}

void tome_session_end(struct tome_session *const session)
{
    bh_db_close(session->db);
    bh_log_flush();
    bh_settings_origin_destroy(session->origin);
    *session = (struct tome_session){ 0 };
}
