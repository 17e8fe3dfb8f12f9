/*
 * What an operator does to a database's connections while it serves. PostgreSQL's; on SQLite, whose
 * lanes have as many threads as they began with, each returns BH_EUNSUPPORTED. Of the READ lane a
 * replica's connections are meant too. Any thread; it takes effect on each loop in its next turn.
 */
#pragma once

#include "bulkhead/db/db.h"

enum bh_db_action {
    BH_DB_PAUSE,  /* calls wait, each no longer than its deadline; what is held goes on */
    BH_DB_RESUME, /* ends one pause; calls go on once each has been ended */
    BH_DB_EVICT /* every connection made before is replaced: idle ones now, others once returned */
};

int bh_db_control(struct bh_db *db, enum bh_db_lane lane, enum bh_db_action action,
                  struct bh_error *reterr) BH_MUST_CHECK;

/* Other sizes than bh_postgres_options said. A smaller lane closes idle connections now, others as
 * they are returned. BH_EINVAL: minimum above maximum, or nothing left beside the reserve. */
int bh_db_resize(struct bh_db *db, enum bh_db_lane lane, unsigned minimum, unsigned maximum,
                 struct bh_error *reterr) BH_MUST_CHECK;
