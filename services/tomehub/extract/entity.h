/* Entities of HTML and XML in running text: "&amp;", "&#351;", "&#x15F;". Pure, any thread. */
#pragma once

#include "bulkhead/base/buf.h"

/* Appends what the entity at `at` (an "&") stands for. Returns what follows it, or 0 when it is
 * none. */
size_t tome_entity_append(struct bh_buf *out, struct bh_str text, size_t at);

/* Appends `text` with its entities resolved. */
void tome_entities_append(struct bh_buf *out, struct bh_str text);
