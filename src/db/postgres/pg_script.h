/* Looking through a text of several statements. */
#pragma once

#include <stdbool.h>

/* Whether a statement of `text` begins or ends a transaction. A function's body counts as text only
 * in quotes ($$ … $$), not behind BEGIN ATOMIC. */
bool bh_pg_script_has_transaction(const char *text);
