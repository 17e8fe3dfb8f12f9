/* What whoever sends a request may do; a set is an unsigned of these bits. */
#pragma once

#include "bulkhead/base/str.h"

enum bh_scope {
    BH_SCOPE_READ = 1,  /* search and read one's own */
    BH_SCOPE_WRITE = 2, /* add, change and delete one's own */
    BH_SCOPE_ADMIN = 4  /* see the service itself: metrics, statements, health in full */
};
#define BH_SCOPES_ALL ((unsigned)(BH_SCOPE_READ | BH_SCOPE_WRITE | BH_SCOPE_ADMIN))

/* Who everybody is where there is no authentication. */
#define BH_USER_DEFAULT INT64_C(1)
