#include "cli/tally.h"

#include <stdarg.h>
#include <stdio.h>

void tome_tally_tell(struct tome_tally *const tally, const bool passed, const char *const format,
                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    tally->total++;
    tally->passed += passed;
    fputs(passed ? "PASS: " : "FAIL: ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

bool tome_tally_end(const struct tome_tally *const tally)
{
    printf("Total: %u | Passed: %u | Failed: %u\n", tally->total, tally->passed,
           tally->total - tally->passed);
    return tally->passed == tally->total;
}
