/*
 * Answers to searches, kept. What is kept lies between the query as it was typed and the time it
 * took, so that those who type it with other spaces share an answer.
 */
#pragma once

#include "handlers/cached.h"
#include "library/search.h"

struct tome_search_cached {
    struct tome_search_request *search; /* its query is set to the one that is shared */
    char kind;                          /* of the answer: a letter of its own */
    tome_cached_write *write;           /* begins with "query" */
    void *argument;
};

/* An answer: what goes before, the part that is kept, and the end. */
struct tome_search_body {
    struct bh_buf ends; /* what goes before and the end */
    size_t begin_size;
    struct bh_cache_value *kept;
    struct tome_origin origin;
};
int tome_search_cached_get(struct bh_request *request, const struct tome_search_cached *cached,
                           struct tome_search_body *ret_body,
                           struct bh_error *reterr) BH_MUST_CHECK;
/* Sends it with 200 and gives it back. */
int tome_search_cached_send(struct bh_request *request, struct tome_search_body *body);
