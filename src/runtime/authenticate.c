#include "runtime/authenticate.h"

#include <stdio.h>

static int refuse(struct bh_request *const request, const int status, const char *const challenge,
                  const char *const detail)
{
    bh_response_header(request, "WWW-Authenticate", bh_str_from(challenge));
    bh_response_header(request, "Cache-Control", BH_STR("no-store"));
    return bh_respond_error(request, status, "%s", detail);
}

static unsigned scope_of(struct bh_request *const request,
                         const struct bh_route_policy *const policy)
{
    const struct bh_str method = bh_request_method(request);
    if (policy && policy->scope != 0)
        return policy->scope;
    return bh_str_equal(method, BH_STR("GET")) || bh_str_equal(method, BH_STR("HEAD"))
               ? BH_SCOPE_READ
               : BH_SCOPE_WRITE;
}

bool bh_authenticate(struct bh_auth *const auth, struct bh_request *const request,
                     const struct bh_route_policy *const policy, int *const ret_result)
{
    struct bh_principal principal = { .user = BH_USER_DEFAULT, .scopes = BH_SCOPES_ALL };
    struct bh_error error = { 0 };
    if (policy && policy->is_public)
        return true;
    const int result = auth ? bh_auth_identify(auth, request, &principal, &error) : 0;
    if (result == BH_EACCESS) {
        const bool is_told = bh_request_header(request, "Authorization").data != NULL ||
                             bh_request_header(request, "X-API-Key").data != NULL;
        *ret_result = refuse(request, 401,
                             is_told ? "Bearer realm=\"api\", error=\"invalid_token\""
                                     : "Bearer realm=\"api\"",
                             error.message);
        return false;
    }
    if (result != 0) {
        *ret_result = bh_respond_failure(request, &error);
        return false;
    }
    bh_request_set_principal(request, &principal);
    const unsigned missing = scope_of(request, policy) & ~principal.scopes;
    if (missing == 0)
        return true;
    const struct bh_str name = bh_scope_name((enum bh_scope)(missing & -missing));
    char challenge[80], detail[80];
    snprintf(challenge, sizeof(challenge),
             "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"%.*s\"",
             BH_STR_ARGS(name));
    snprintf(detail, sizeof(detail), "the key or token lacks the scope %.*s", BH_STR_ARGS(name));
    *ret_result = refuse(request, 403, challenge, detail);
    return false;
}
