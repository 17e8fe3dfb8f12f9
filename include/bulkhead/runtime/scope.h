/* What whoever sends a request may do; a set is an unsigned of these bits. Any thread. */
#pragma once

#include "bulkhead/base/buf.h"

enum bh_scope {
    BH_SCOPE_READ = 1,  /* search and read one's own */
    BH_SCOPE_WRITE = 2, /* add, change and delete one's own */
    BH_SCOPE_ADMIN = 4  /* see the service itself: metrics, statements, health in full */
};
#define BH_SCOPES_ALL ((unsigned)(BH_SCOPE_READ | BH_SCOPE_WRITE | BH_SCOPE_ADMIN))

/* Who everybody is where there is no authentication. */
#define BH_USER_DEFAULT INT64_C(1)

/* "read", "write", "admin". */
struct bh_str bh_scope_name(enum bh_scope scope);

/* The scopes whose names stand in `text`, with `separator` between them; other names are passed
 * over. */
unsigned bh_scopes_parse(struct bh_str text, char separator);

/* The names, with `separator` between them. */
void bh_scopes_write(unsigned scopes, char separator, struct bh_buf *buf);
