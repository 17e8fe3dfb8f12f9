/* The guard's first step: who sends the request, and whether that is enough for the route. */
#pragma once

#include "bulkhead/runtime/guard.h"

/* True: the request has its principal and may go on. False: it was answered (401, 403, or why it
 * could not be found out), with *ret_result as a handler returns it. `auth` and `policy` may be
 * NULL. From the request's fiber. */
bool bh_authenticate(struct bh_auth *auth, struct bh_request *request,
                     const struct bh_route_policy *policy, int *ret_result) BH_MUST_CHECK;
