/* Answering: JSON as it is written, and what was wrong with a request. */
#pragma once

#include "bulkhead/base/json.h"
#include "bulkhead/http/request.h"

/* ---- JSON ---- */

struct tome_answer {
    struct bh_buf text;  /* private */
    struct bh_json json; /* to be written to */
};

/* Opens the top object. Ends with tome_answer_send, or tome_answer_fini where that is not reached.
 * */
void tome_answer_begin(struct tome_answer *answer);
void tome_answer_fini(struct tome_answer *answer);

/* Closes the top object and sends it. */
int tome_answer_send(struct bh_request *request, int status, struct tome_answer *answer);

/* ---- What was wrong ---- */

struct tome_problem {
    int status;        /* 400, 413, 422 …; 0: none */
    const char *field; /* names what it is about, or NULL; a literal, or `name` */
    char name[64];
    char detail[300];
};

/* Fills *problem with 422 for `field` and returns false, so that `return tome_invalid(…)` reads as
 * one step of a check. */
bool tome_invalid(struct tome_problem *problem, const char *field, const char *format, ...)
    BH_PRINTF(3, 4);

/* Sends {"error", "detail", "field", "request_id"}. */
int tome_problem_send(struct bh_request *request, const struct tome_problem *problem);
