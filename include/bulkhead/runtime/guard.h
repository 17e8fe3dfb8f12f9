/*
 * The guard: what every request passes before its handler and leaves after it. Each step either
 * answers by itself (401, 403, 429, 503) or lets the request go on to the next.
 *
 * One guard serves all loops; it is created at start and constant but for what its steps count.
 */
#pragma once

#include "bulkhead/runtime/auth.h"

/* What the guard must know of a route; `bh_route.policy` points at one. Without one a route is in
 * the class "default". */
struct bh_route_policy {
    const char *name;       /* of the class, for metrics and messages: "search"; a literal */
    bool is_exempt;         /* health and operator routes: never limited, never refused for load */
    bool is_stream;         /* holds a slot of the stream gate until its last byte was sent */
    bool is_heavy;          /* refused while memory is critical */
    bool is_public;         /* nobody is asked who they are, and the handler does not know */
    bool is_free;           /* costs so little that no rate limit counts it: the pages' files */
    unsigned scope;         /* what a request needs; 0: read for GET and HEAD, else write */
    const char *rate_group; /* its rate limit beside the global one; NULL: none */
    bool is_urgent;         /* when there is too much to do: before the others */

    /* Whether a request can be done without when there is too much to do: after the others, and the
     * first to be refused. Body unread. NULL: it cannot. */
    bool (*is_optional)(struct bh_request *request);
};

struct bh_guard; /* opaque */
struct bh_admission;
struct bh_clients;
struct bh_rate_limits;
struct bh_stream_gate;
struct bh_memory;

int bh_guard_create(struct bh_guard **ret_guard, struct bh_error *reterr) BH_MUST_CHECK;
void bh_guard_destroy(struct bh_guard *guard);

/* Who tells who sends a request; borrowed, may be NULL: everybody is BH_USER_DEFAULT then. Before
 * the first request. */
void bh_guard_set_auth(struct bh_guard *guard, struct bh_auth *auth);

/* Admission to all routes that are not exempt, by class: the policy's name, else the last class.
 * Borrowed, may be NULL. Before the first request. */
void bh_guard_set_admission(struct bh_guard *guard, struct bh_admission *admission);

/* The gate of the routes that stream, and who has a share of it; borrowed. Before the first
 * request. */
void bh_guard_set_stream_gate(struct bh_guard *guard, struct bh_stream_gate *gate,
                              const struct bh_clients *clients);

/* What each client may ask for; borrowed, may be NULL. Before the first request. */
void bh_guard_set_rate_limits(struct bh_guard *guard, struct bh_rate_limits *limits);

/* What tells when heavy work is refused; borrowed, may be NULL. Before the first request. */
void bh_guard_set_memory(struct bh_guard *guard, const struct bh_memory *memory);

/* A bh_http_guard; `argument` is the struct bh_guard. */
int bh_guard_run(struct bh_request *request, void *argument);

/* The bh_http_room that goes with it. */
unsigned bh_guard_room(void *refused_by);
