/*
 * Request targets (RFC 9112 section 3.2) and hosts. Slices of the input; pure; any thread.
 */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"
#include "http/head.h"

struct bh_target {
    struct bh_str authority; /* absolute-form only, else empty */
    struct bh_str path;      /* raw; empty: an absolute-form target without one, meaning "/" */
    struct bh_str query;     /* raw, behind '?' */
    bool is_asterisk;
};

/* origin-form ("/a?b"), absolute-form ("http://host/a?b") and, for OPTIONS, asterisk-form ("*",
 * or an absolute-form without path and query). BH_ESYNTAX: anything else, a fragment, a byte
 * that no target may hold, user information before the host. */
int bh_target_parse(struct bh_str text, enum bh_http_method method,
                    struct bh_target *ret_target) BH_MUST_CHECK;

/* Whether `host` is a Host value: a name or address, an optional port, or nothing at all. */
bool bh_host_is_valid(struct bh_str host);
