/* Checks, told one line each and counted. */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/macro.h"

struct tome_tally {
    unsigned total, passed;
};

/* "PASS: …" or "FAIL: …" on standard output. */
void tome_tally_tell(struct tome_tally *tally, bool passed, const char *format, ...)
    BH_PRINTF(3, 4);

/* The closing line. True: all passed. */
bool tome_tally_end(const struct tome_tally *tally);
