/* The steps in their order: each is a function that answers or lets pass. */
#include "bulkhead/runtime/guard.h"

#include <stdlib.h>

#include "bulkhead/runtime/streams.h"
#include "runtime/authenticate.h"

struct bh_guard {
    const char *default_class;          /* of routes without a policy */
    struct bh_auth *auth;               /* NULL: everybody is the same user */
    struct bh_stream_gate *stream_gate; /* NULL: none */
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

void bh_guard_set_auth(struct bh_guard *const guard, struct bh_auth *const auth)
{
    guard->auth = auth;
}

void bh_guard_set_stream_gate(struct bh_guard *const guard, struct bh_stream_gate *const gate)
{
    guard->stream_gate = gate;
}

static int handle_stream(const struct bh_guard *const guard, struct bh_request *const request)
{
    BH_CLEANUP(bh_stream_slot_leave) struct bh_stream_slot slot = { 0 };
    int result = bh_stream_gate_enter(guard->stream_gate, &slot);
    if (result)
        return bh_streams_refuse(request, result);
    result = bh_request_handle(request);
    return result ? result : bh_stream_wait_sent(request);
}

int bh_guard_run(struct bh_request *const request, void *const argument)
{
    const struct bh_guard *const guard = argument;
    const struct bh_route_policy *const policy = bh_request_route(request)->policy;
    int result = 0;
    if (!bh_authenticate(guard->auth, request, policy, &result))
        return result;
    if (guard->stream_gate && policy && policy->is_stream)
        return handle_stream(guard, request);
    return bh_request_handle(request);
}
