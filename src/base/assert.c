#include "bulkhead/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void bh_assert_failed(const char *const condition, const char *const file, const int line,
                      const char *const function)
{
    fprintf(stderr, "%s:%d: %s: broken invariant: %s; stopping before data is harmed\n", file, line,
            function, condition);
    abort();
}
