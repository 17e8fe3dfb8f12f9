/*
 * Path patterns of routes: "/api/books/{id}/pages/{n}", "/files/{path...}". Slices of the pattern;
 * pure; any thread.
 */
#pragma once

#include "bulkhead/http/router.h"

enum bh_pattern_kind {
    BH_PATTERN_LITERAL,
    BH_PATTERN_NAME, /* {name}: one segment, not empty */
    BH_PATTERN_REST  /* {name...}: all that follows, last only */
};

struct bh_pattern_segment {
    enum bh_pattern_kind kind;
    struct bh_str text; /* the literal, or the name without braces and dots */
};

/* Cuts the next segment off a well-formed pattern; false: no more. */
bool bh_pattern_next(struct bh_str *rest, struct bh_pattern_segment *ret_segment);

/* Which parameter of the pattern is called `name` (0…), or -1. */
int bh_pattern_parameter(const char *pattern, struct bh_str name);

/* 0, or BH_EINVAL with the reason: method not a token, no handler, pattern malformed. */
int bh_pattern_check(const struct bh_route *route, struct bh_error *reterr) BH_MUST_CHECK;
