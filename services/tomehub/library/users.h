/* Who the owners are. Every call is a fiber's, or of a thread without a loop. */
#pragma once

#include "library/library.h"

#define TOME_IDENTITY_MAX 1000 /* bytes */

/* The owner with this identity (see migrations/0004_users.sql); made if there is none.
 * BH_EINVAL: empty, too long, or with control characters. */
int tome_users_find(struct bh_db *db, struct bh_str identity, int64_t *ret_owner_id,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* The same, but none is made. BH_ENOTFOUND, with a message that names some of those there are. */
int tome_users_look_up(struct bh_db *db, struct bh_str identity, int64_t *ret_owner_id,
                       struct bh_error *reterr) BH_MUST_CHECK;
