/* What a command works with: the settings, the log, and the library opened. */
#pragma once

#include <linux/limits.h>

#include "cli/command.h"
#include "open.h"

struct tome_session {
    struct tome_settings settings;
    struct bh_settings_origin *origin;
    struct bh_db *db; /* NULL where only the settings were asked for */
};

/* Reads the settings and sets up the log. On failure the reason has been told; leave with FAILED.
 * */
bool tome_session_begin(const struct tome_command *command,
                        struct tome_session *ret_session) BH_MUST_CHECK;

/* Begins, and opens the library. */
bool tome_session_open(const struct tome_command *command,
                       struct tome_session *ret_session) BH_MUST_CHECK;

void tome_session_end(struct tome_session *session);
