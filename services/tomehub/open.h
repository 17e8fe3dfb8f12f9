/* Opening a library: the database, brought to the newest schema, ready for search. */
#pragma once

#include "bulkhead/db/gate.h"
#include "bulkhead/db/migrate.h"
#include "bulkhead/redis/redis.h"
#include "settings.h"

enum tome_open {
    TOME_OPEN_CHECKED,  /* the index must fit this program */
    TOME_OPEN_UNCHECKED /* for repairing it */
};

/* `report` may be NULL. The caller closes *ret_db with bh_db_close. Not from a fiber. */
int tome_open(const struct tome_settings *settings, enum tome_open how,
              struct bh_migrate_report *report, struct bh_db **ret_db,
              struct bh_error *reterr) BH_MUST_CHECK;

/* The same, checked, for a server: with a gate before the database's calls (NULL: none), which must
 * outlive it. */
int tome_open_gated(const struct tome_settings *settings, const struct bh_db_gate *gate,
                    struct bh_db **ret_db, struct bh_error *reterr) BH_MUST_CHECK;

/* Its database alone, as it is. */
int tome_open_database(const struct tome_settings *settings, struct bh_db **ret_db,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* The Redis that servers share; *ret_redis is NULL without REDIS_URL. Connects to nothing yet.
 * `gate`: NULL: none. */
int tome_open_redis(const struct tome_settings *settings, const struct bh_redis_gate *gate,
                    struct bh_redis **ret_redis, struct bh_error *reterr) BH_MUST_CHECK;
