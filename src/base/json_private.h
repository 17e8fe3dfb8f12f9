/* What the JSON writer and reader share. */
#pragma once

#include "bulkhead/base/str.h"

/* Bytes at the front of `text` that stand in a JSON string as they are: no quote, backslash or
 * control character, and well-formed UTF-8. Any thread. */
size_t bh_json_plain_run(struct bh_str text);
