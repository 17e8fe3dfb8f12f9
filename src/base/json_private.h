/* What the JSON writer shares with the reader and the log. */
#pragma once

#include "bulkhead/base/str.h"

/* Bytes at the front of `text` that stand in a JSON string as they are: no quote, backslash or
 * control character, and well-formed UTF-8. Any thread. */
size_t bh_json_plain_run(struct bh_str text);

/* The same, and ASCII. */
size_t bh_json_ascii_run(struct bh_str text);
