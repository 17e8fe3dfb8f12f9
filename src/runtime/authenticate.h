/* The guard's first question: who sends the request, and whether that is enough for the route. From
 * the request's fiber. */
#pragma once

#include "bulkhead/runtime/guard.h"

/* Gives the request its principal; `auth` NULL: everybody is BH_USER_DEFAULT. Errors are those of
 * bh_auth_identify. */
int bh_authenticate(struct bh_auth *auth, struct bh_request *request,
                    struct bh_error *reterr) BH_MUST_CHECK;

/* Answers a request that came from nobody (401); `detail` says why. As a handler returns it. */
int bh_authenticate_refuse(struct bh_request *request, const char *detail);

/* The scopes (enum bh_scope) that the route needs and the request's principal lacks; 0: none. */
unsigned bh_authorize(struct bh_request *request, const struct bh_route_policy *policy);

/* Answers a request that lacks `missing` (403). As a handler returns it. */
int bh_authorize_refuse(struct bh_request *request, unsigned missing);
