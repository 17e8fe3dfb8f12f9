/* What a command works with: the settings, the log, and the library opened. */
#pragma once

#include <linux/limits.h>

#include "cli/command.h"
#include "open.h"

struct tome_session {
    struct tome_settings settings;
    struct bh_settings_origin *origin;
    struct bh_db *db; /* NULL where only the settings were asked for */
    int64_t owner_id; /* whose library */
};

/* Reads the settings and sets up the log. On failure the reason has been told; leave with FAILED.
 * */
bool tome_session_begin(const struct tome_command *command,
                        struct tome_session *ret_session) BH_MUST_CHECK;

/* Begins, and opens the library. */
bool tome_session_open(const struct tome_command *command,
                       struct tome_session *ret_session) BH_MUST_CHECK;

/* The same for the library of the user named by this option; NULL: the first owner's. */
#define TOME_OPTION_USER                                                 \
    {                                                                    \
        .name = "user", .argument = "NAME",                              \
        .help = "whose library, as in tomehub keys (this machine's own)" \
    }
bool tome_session_open_for(const struct tome_command *command, const char *user,
                           struct tome_session *ret_session) BH_MUST_CHECK;

void tome_session_end(struct tome_session *session);
