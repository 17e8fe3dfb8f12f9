/* The server: everything put together, from settings to the last goodbye. */
#pragma once

#include "ingest/ingest.h"
#include "settings.h"

enum tome_serve_role {
    TOME_SERVE_ALONE, /* one process: opens the listener */
    TOME_SERVE_WORKER /* a supervisor's: serves the listener it was given */
};

/* Serves until SIGTERM or SIGINT, or the supervisor's word. 0 after a graceful end. */
int tome_serve(const struct tome_settings *settings, enum tome_serve_role role,
               struct bh_error *reterr) BH_MUST_CHECK;

/* The ingest as the settings want it, for a server or a command. */
int tome_serve_create_ingest(const struct tome_settings *settings, struct bh_db *db,
                             struct tome_ingest **ret_ingest,
                             struct bh_error *reterr) BH_MUST_CHECK;
