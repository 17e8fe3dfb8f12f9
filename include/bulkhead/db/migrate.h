/*
 * Migrations: numbered, forward only, each in its own transaction under a lock that holds across
 * processes. `schema_migrations(version, name, checksum, applied_at)` records them; a recorded
 * migration whose text has changed, a database newer than the binary, or one that belongs to
 * another program stops the start with a clear message (BH_ECONFLICT).
 */
#pragma once

#include "bulkhead/db/db.h"

struct bh_migration {
    unsigned version; /* 1, 2, 3 … without gaps */
    const char *name; /* "0001_library" */
    const char *sqlite;
    const char *postgres;
};

struct bh_migrate_report {
    unsigned version_before, version_after, applied;
};

/* Brings the database to the newest of `migrations`. Several processes at once are fine: one
 * applies, the others wait. `ret_report` may be NULL. Not from a fiber. */
int bh_migrate(struct bh_db *db, const struct bh_migration *migrations, size_t count,
               struct bh_migrate_report *ret_report, struct bh_error *reterr) BH_MUST_CHECK;
