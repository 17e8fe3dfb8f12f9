/*
 * Router: method and path pattern → handler. Patterns are literal segments, `{name}` segments
 * ("/api/books/{id}/pages/{n}") and, as the last one, `{name...}` for all that follows
 * ("/files/{path...}"). A literal beats a name at the same place; `{name...}` is taken only where
 * nothing else has the path. Built once at start, then constant and shared by all loops.
 */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

struct bh_request;
struct bh_router; /* opaque */

/* Runs in a fiber. Answers through bh_respond… or bh_stream_…; returning without an answer, or with
 * an error before one, gives the client 500 (BH_ECANCELED: nothing, BH_ETIMEDOUT: 503). */
typedef int bh_handler(struct bh_request *request);

#define BH_ROUTE_PARAMETERS_MAX 8

struct bh_route {
    const char *method;  /* "GET"; GET answers HEAD too; "*" any */
    const char *pattern; /* also the metrics label and the log's route */
    bh_handler *handler;
    uint64_t body_maximum; /* bytes; 0: no body is taken (413 when one comes) */
    uint64_t deadline_us;  /* from the handler's start to the answer's; 0: the server's default */
    bool stream_body;      /* true: the handler reads the body as it arrives;
                              false: it is read whole before the handler runs */
    const void *policy;    /* for the server's guard; borrowed, may be NULL */
};

int bh_router_create(struct bh_router **ret_router) BH_MUST_CHECK;
void bh_router_destroy(struct bh_router *router);

/* Adds `count` routes; the array and its strings are borrowed for the router's life.
 * BH_EEXISTS: the same method and pattern twice. BH_EINVAL: a malformed pattern. */
int bh_router_add(struct bh_router *router, const struct bh_route *routes, size_t count,
                  struct bh_error *reterr) BH_MUST_CHECK;

struct bh_route_match {
    const struct bh_route *route;                      /* NULL unless found */
    struct bh_str parameters[BH_ROUTE_PARAMETERS_MAX]; /* raw, still percent-encoded */
    size_t parameter_count;
    const char *allow; /* the Allow value when the path exists with other methods, else NULL */
};

/* `path`: the request target up to `?`. 0: found. BH_ENOTFOUND: no such path (allow NULL) or no
 * such method (allow set). Any thread. */
int bh_router_match(const struct bh_router *router, struct bh_str method, struct bh_str path,
                    struct bh_route_match *ret_match) BH_MUST_CHECK;
