/* The steps in their order: each is a function that answers or lets pass. */
#include "bulkhead/runtime/guard.h"

#include <stdlib.h>

struct bh_guard {
    const char *default_class; /* of routes without a policy */
};

int bh_guard_create(struct bh_guard **const ret_guard, struct bh_error *const reterr)
{
    struct bh_guard *const guard = calloc(1, sizeof(*guard));
    if (!guard)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the guard");
    guard->default_class = "default";
    *ret_guard = guard;
    return 0;
}

void bh_guard_destroy(struct bh_guard *const guard)
{
    free(guard);
}

int bh_guard_run(struct bh_request *const request, void *const argument)
{
    (void)argument;
    return bh_request_handle(request);
}
