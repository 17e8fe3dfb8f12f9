/* The server: everything put together, from settings to the last goodbye. */
#pragma once

#include "ingest/ingest.h"
#include "settings.h"

/* Serves until SIGTERM or SIGINT. 0 after a graceful end. */
int tome_serve(const struct tome_settings *settings, struct bh_error *reterr) BH_MUST_CHECK;

/* The ingest as the settings want it, for a server or a command. */
int tome_serve_create_ingest(const struct tome_settings *settings, struct bh_db *db,
                             struct tome_ingest **ret_ingest,
                             struct bh_error *reterr) BH_MUST_CHECK;
