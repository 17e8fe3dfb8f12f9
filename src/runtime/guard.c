/* The steps in their order: each is a function that answers or lets pass. */
#include "bulkhead/runtime/guard.h"

#include <stdlib.h>

#include "bulkhead/loop/standing.h"
#include "bulkhead/overload/admission.h"
#include "bulkhead/runtime/clients.h"
#include "bulkhead/runtime/rate_limits.h"
#include "bulkhead/runtime/memory.h"
#include "bulkhead/runtime/streams.h"
#include "runtime/authenticate.h"

#define DEFAULT_CLASS "default" /* of routes without a policy */

struct bh_guard {
    struct bh_auth *auth;               /* NULL: everybody is the same user */
    struct bh_rate_limits *rate_limits; /* NULL: none */
    struct bh_admission *admission;     /* NULL: none */
    struct bh_stream_gate *stream_gate; /* NULL: none */
    const struct bh_clients *clients;   /* of the stream gate */
    const struct bh_memory *memory;     /* NULL: none */
};

int bh_guard_create(struct bh_guard **const ret_guard, struct bh_error *const reterr)
{
    struct bh_guard *const guard = calloc(1, sizeof(*guard));
    if (!guard)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the guard");
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

void bh_guard_set_admission(struct bh_guard *const guard, struct bh_admission *const admission)
{
    guard->admission = admission;
}

void bh_guard_set_stream_gate(struct bh_guard *const guard, struct bh_stream_gate *const gate,
                              const struct bh_clients *const clients)
{
    guard->stream_gate = gate;
    guard->clients = clients;
}

void bh_guard_set_memory(struct bh_guard *const guard, const struct bh_memory *const memory)
{
    guard->memory = memory;
}

void bh_guard_set_rate_limits(struct bh_guard *const guard, struct bh_rate_limits *const limits)
{
    guard->rate_limits = limits;
}

/* Whom the request comes from. False: it was answered. Whoever comes with a good key passes,
 * however many bad ones came from the same address. */
static bool identify(const struct bh_guard *const guard, struct bh_request *const request,
                     const struct bh_route_policy *const policy, int *const ret_result)
{
    struct bh_error error = { 0 };
    if (policy && policy->is_public)
        return true;
    const int result = bh_authenticate(guard->auth, request, &error);
    if (result == 0)
        return true;
    if (result != BH_EACCESS)
        *ret_result = bh_respond_failure(request, &error);
    else if (!guard->rate_limits ||
             bh_rate_limits_pass_refused(guard->rate_limits, request, ret_result))
        *ret_result = bh_authenticate_refuse(request, error.message);
    return false;
}

/* Whether that is enough for the route, and not too often. False: it was answered. */
static bool permit(const struct bh_guard *const guard, struct bh_request *const request,
                   const struct bh_route_policy *const policy, int *const ret_result)
{
    const bool is_uncounted = policy && (policy->is_exempt || policy->is_free);
    const unsigned missing = policy && policy->is_public ? 0 : bh_authorize(request, policy);
    if (guard->rate_limits && (missing || !is_uncounted) &&
        !bh_rate_limits_pass(guard->rate_limits, request, policy ? policy->rate_group : NULL,
                             ret_result))
        return false;
    if (missing)
        *ret_result = bh_authorize_refuse(request, missing);
    return !missing;
}

/* `slot`: what a stream has claimed; NULL: it is none. */
static int handle(const struct bh_guard *const guard, struct bh_request *const request,
                  struct bh_stream_slot *const slot)
{
    if (!slot)
        return bh_request_handle(request);
    int result = bh_stream_gate_enter(guard->stream_gate, slot);
    if (result)
        return bh_streams_refuse(request, guard->stream_gate, result);
    result = bh_request_handle(request);
    return result ? result : bh_stream_wait_sent(request);
}

static bool is_optional(struct bh_request *const request,
                        const struct bh_route_policy *const policy)
{
    return policy && policy->is_optional && policy->is_optional(request);
}

/* Who comes first where connections to the database are short. A stream is not cut short for
 * others. */
static void stand(struct bh_request *const request, const struct bh_route_policy *const policy)
{
    struct bh_fiber_standing standing = { .priority = BH_FIBER_NORMAL };
    if (policy && (policy->is_exempt || policy->is_urgent))
        standing.priority = BH_FIBER_HIGH;
    else if (policy && !policy->is_stream && is_optional(request, policy))
        standing.priority = BH_FIBER_LOW;
    bh_fiber_set_standing(standing);
}

/* Whose share they are of. Where everybody is the same user there are no shares. */
static void stand_for_user(struct bh_request *const request)
{
    const struct bh_principal *const principal = bh_request_principal(request);
    const uint64_t user = (uint64_t)principal->user;
    if (principal->tenant[0] == '\0')
        return;
    struct bh_fiber_standing standing = bh_fiber_standing();
    standing.tenant = (uint32_t)(user ^ user >> 32);
    bh_fiber_set_standing(standing);
}

static enum bh_admission_priority priority_of(struct bh_request *const request,
                                              const struct bh_route_policy *const policy)
{
    if (policy && policy->is_urgent)
        return BH_ADMISSION_HIGH;
    return is_optional(request, policy) ? BH_ADMISSION_LOW : BH_ADMISSION_NORMAL;
}

static int admit(const struct bh_guard *const guard, struct bh_request *const request,
                 const struct bh_route_policy *const policy, struct bh_stream_slot *const slot)
{
    if (!guard->admission || (policy && policy->is_exempt))
        return handle(guard, request, slot);
    struct bh_admission_class *const class = bh_admission_find(
        guard->admission, policy ? policy->name : DEFAULT_CLASS);
    struct bh_admission_ticket ticket;
    struct bh_error error;
    int result = bh_admission_enter(class, priority_of(request, policy), &ticket, &error);
    if (result == BH_EBUSY) {
        bh_request_defer_next(request, class);
        return bh_respond_failure(request, &error);
    }
    if (result)
        return result;
    result = handle(guard, request, slot);
    const int status = bh_request_status(request);
    bh_admission_leave(&ticket, result == 0 && status > 0 && status < 500);
    bh_request_take_turns(request, class);
    return result;
}

/* A client's share is looked at before admission, whose line it could fill too. */
static int admit_stream(const struct bh_guard *const guard, struct bh_request *const request,
                        const struct bh_route_policy *const policy)
{
    char buffer[BH_CLIENT_KEY_SIZE];
    const struct bh_str client = bh_clients_key(guard->clients, request, buffer);
    BH_CLEANUP(bh_stream_slot_leave) struct bh_stream_slot slot = { 0 };
    const int result = bh_stream_gate_claim(guard->stream_gate, client, &slot);
    if (result)
        return bh_streams_refuse(request, guard->stream_gate, result);
    return admit(guard, request, policy, &slot);
}

unsigned bh_guard_room(void *const refused_by)
{
    return bh_admission_room(refused_by);
}

int bh_guard_run(struct bh_request *const request, void *const argument)
{
    const struct bh_guard *const guard = argument;
    const struct bh_route_policy *const policy = bh_request_route(request)->policy;
    int result = 0;
    stand(request, policy); /* whoever must be looked up is, by that */
    if (!identify(guard, request, policy, &result) || !permit(guard, request, policy, &result))
        return result;
    stand_for_user(request);
    if (guard->memory && policy && policy->is_heavy && bh_memory_is_critical(guard->memory))
        return bh_memory_refuse(request);
    if (guard->stream_gate && policy && policy->is_stream)
        return admit_stream(guard, request, policy);
    return admit(guard, request, policy, NULL);
}
