#include "runtime/authenticate.h"

#include <stdio.h>

static int refuse(struct bh_request *const request, const int status, const char *const challenge,
                  const char *const detail)
{
    bh_response_header(request, "WWW-Authenticate", bh_str_from(challenge));
    bh_response_header(request, "Cache-Control", BH_STR("no-store"));
    return bh_respond_error(request, status, "%s", detail);
}

int bh_authenticate(struct bh_auth *const auth, struct bh_request *const request,
                    struct bh_error *const reterr)
{
    struct bh_principal principal = { .user = BH_USER_DEFAULT, .scopes = BH_SCOPES_ALL };
    const int result = auth ? bh_auth_identify(auth, request, &principal, reterr) : 0;
    if (result == 0)
        bh_request_set_principal(request, &principal);
    return result;
}

int bh_authenticate_refuse(struct bh_request *const request, const char *const detail)
{
    const bool is_told = bh_request_header(request, "Authorization").data != NULL ||
                         bh_request_header(request, "X-API-Key").data != NULL;
    return refuse(
        request, 401,
        is_told ? "Bearer realm=\"api\", error=\"invalid_token\"" : "Bearer realm=\"api\"", detail);
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

unsigned bh_authorize(struct bh_request *const request, const struct bh_route_policy *const policy)
{
    return scope_of(request, policy) & ~bh_request_principal(request)->scopes;
}

int bh_authorize_refuse(struct bh_request *const request, const unsigned missing)
{
    const struct bh_str name = bh_scope_name((enum bh_scope)(missing & -missing));
    char challenge[80], detail[80];
    snprintf(challenge, sizeof(challenge),
             "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"%.*s\"",
             BH_STR_ARGS(name));
    snprintf(detail, sizeof(detail), "the key or token lacks the scope %.*s", BH_STR_ARGS(name));
    return refuse(request, 403, challenge, detail);
}
