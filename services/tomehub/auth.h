/* TomeHub's side of authentication: what settings ask for, and where keys and users are kept. */
#pragma once

#include "bulkhead/runtime/auth.h"
#include "settings.h"

struct bh_db;

/* Whether the settings may be served: who can be reached from other machines must know who comes,
 * unless told otherwise. BH_EACCESS with the ways out. */
int tome_auth_check_settings(const struct tome_settings *settings,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* `settings` and `db` are borrowed for its life. */
int tome_auth_create(const struct tome_settings *settings, struct bh_db *db,
                     struct bh_auth **ret_auth, struct bh_error *reterr) BH_MUST_CHECK;
