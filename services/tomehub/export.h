/* The whole library as lines of JSON, for a client or a file. */
#pragma once

#include "bulkhead/db/db.h"

/* Takes some whole lines; may wait. An error ends the export. */
typedef int tome_export_write(void *argument, struct bh_str text, struct bh_error *reterr);

/* Writes the owner's library. Memory is bounded by a few rows. */
int tome_export(struct bh_db *db, int64_t owner_id, tome_export_write *write, void *argument,
                struct bh_error *reterr) BH_MUST_CHECK;
