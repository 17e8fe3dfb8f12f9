/* Answers that may be kept: made once, sent to all who ask the same until it changes. */
#pragma once

#include "bulkhead/base/json.h"
#include "cache/cache.h"
#include "handlers/answer.h"

/* Writes the fields of the answer's top object. 0 or an error. */
typedef int tome_cached_write(void *argument, struct bh_json *json, struct bh_error *reterr);

struct tome_cached {
    const struct tome_key *key;
    enum tome_cache_class class;
    int64_t book_id; /* the only book the answer depends on; 0: all of the owner's */
    bool is_exact;   /* never degraded: it answers a change */
    tome_cached_write *write;
    void *argument;
};

/* Answers 200 with what is kept or what `write` makes, and says which in X-Cache. */
int tome_cached_send(struct bh_request *request, const struct tome_cached *cached);

/* Closes the top object of an answer and takes it as a value. */
int tome_cached_take(struct tome_answer *answer, struct bh_cache_value **ret_value,
                     struct bh_error *reterr) BH_MUST_CHECK;

/* Tells whether the answer was kept, where answers are kept at all; of a degraded one, its age. */
void tome_cached_headers(struct bh_request *request, const struct tome_origin *origin);

/* ,"degraded":true,"age_seconds":12 where it is so, else nothing. */
void tome_cached_mark(struct bh_buf *buf, const struct tome_origin *origin);
