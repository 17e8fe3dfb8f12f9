/* `tomehub check pool`: whether the database's pool keeps what its settings say. */
#pragma once

#include "cli/tally.h"
#include "settings.h"

/* Opens pools of its own, small ones, on the database of `settings`; takes a few seconds. */
void tome_check_pool(struct tome_tally *tally, const struct tome_settings *settings);
