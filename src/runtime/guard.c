/* The steps in their order: each is a function that answers or lets pass. */
#include "bulkhead/runtime/guard.h"

#include <stdlib.h>

struct bh_guard {
    const char *default_class;     /* of routes without a policy */
    struct bh_principal anonymous; /* who everybody is without authentication */
};

int bh_guard_create(struct bh_guard **const ret_guard, struct bh_error *const reterr)
{
    struct bh_guard *const guard = calloc(1, sizeof(*guard));
    if (!guard)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the guard");
    guard->default_class = "default";
    guard->anonymous = (struct bh_principal){ .user = BH_USER_DEFAULT, .scopes = BH_SCOPES_ALL };
    *ret_guard = guard;
    return 0;
}

void bh_guard_destroy(struct bh_guard *const guard)
{
    free(guard);
}

int bh_guard_run(struct bh_request *const request, void *const argument)
{
    const struct bh_guard *const guard = argument;
    bh_request_set_principal(request, &guard->anonymous);
    return bh_request_handle(request);
}
