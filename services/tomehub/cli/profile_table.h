/* What the statements of a window have cost: the difference of two answers of
 * `GET /api/admin/queries`, for people and as JSON. */
#pragma once

#include "bulkhead/base/json.h"

struct tome_profile_row {
    const char *fingerprint, *name, *sql; /* borrowed from the later answer */
    int64_t executions, rows, errors, slow, repeated_requests;
    int64_t repeated_maximum; /* since the server's start */
    double total_seconds, wait_seconds, p95_seconds;
};

struct tome_profile {
    struct tome_profile_row *rows; /* the most total time first */
    size_t count;
    int64_t executions, repeat_limit;
    double seconds;                    /* of the window, by the server's clock */
    double total_seconds, p95_seconds; /* of all */
};

/* Both answers outlive *ret_profile. BH_ESYNTAX: one is not such an answer. BH_ECONFLICT: the
 * server was started anew between them. BH_ENOMEM. */
int tome_profile_between(const json_t *before, const json_t *after,
                         struct tome_profile *ret_profile, struct bh_error *reterr) BH_MUST_CHECK;
void tome_profile_fini(struct tome_profile *profile);

/* A heading, the first `top` rows, and what was repeated within requests. `columns`: of the
 * terminal, to which lines are cut; 0: they are not. */
void tome_profile_print(const struct tome_profile *profile, size_t top, size_t columns,
                        struct bh_buf *text);
void tome_profile_json(const struct tome_profile *profile, size_t top, struct bh_json *json);
