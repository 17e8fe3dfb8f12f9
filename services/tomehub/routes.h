/* The table of TomeHub's HTTP interface. */
#pragma once

#include "bulkhead/http/router.h"
#include "settings.h"

/* A router with every route; limits come from `settings`. Its table lives as long as the process.
 * */
int tome_routes_create(const struct tome_settings *settings, struct bh_router **ret_router,
                       struct bh_error *reterr) BH_MUST_CHECK;
