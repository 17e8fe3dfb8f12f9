#include "handlers/cached.h"

#include <stdio.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "service.h"

#define MARK_BYTES_MAX 64

static int load(void *const argument, struct bh_cache_value **const ret_value,
                struct bh_error *const reterr)
{
    const struct tome_cached *const cached = argument;
    struct tome_answer answer;
    tome_answer_begin(&answer);
    const int result = cached->write(cached->argument, &answer.json, reterr);
    if (result != 0) {
        tome_answer_fini(&answer);
        return result;
    }
    return tome_cached_take(&answer, ret_value, reterr);
}

int tome_cached_take(struct tome_answer *const answer, struct bh_cache_value **const ret_value,
                     struct bh_error *const reterr)
{
    bh_json_object_end(&answer->json);
    struct bh_cache_value *const value = bh_cache_value_take(&answer->text);
    if (value == NULL)
        return bh_error_set(reterr, BH_EINTERNAL, "the answer is too large");
    *ret_value = value;
    return 0;
}

void tome_cached_headers(struct bh_request *const request, const struct tome_origin *const origin)
{
    char age[24];
    if (tome_cache_peek(tome_service_of(request)->cache) == NULL)
        return;
    bh_response_lines(request, origin->is_degraded ? BH_STR("X-Cache: degraded\r\n")
                               : origin->is_hit    ? BH_STR("X-Cache: hit\r\n")
                                                   : BH_STR("X-Cache: miss\r\n"));
    if (!origin->is_degraded)
        return;
    snprintf(age, sizeof(age), "%llu", (unsigned long long)(origin->age_us / BH_SECOND_US));
    bh_response_header(request, "Age", bh_str_from(age));
}

void tome_cached_mark(struct bh_buf *const buf, const struct tome_origin *const origin)
{
    if (!origin->is_degraded)
        return;
    bh_buf_append_str(buf, BH_STR(",\"degraded\":true,\"age_seconds\":"));
    bh_buf_append_int(buf, (int64_t)(origin->age_us / BH_SECOND_US));
}

/* What is kept ends with the top object's brace, before which the mark goes. */
static int send_degraded(struct bh_request *const request, const struct bh_str body,
                         const struct tome_origin *const origin)
{
    struct bh_buf mark BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&mark, MARK_BYTES_MAX);
    tome_cached_mark(&mark, origin);
    bh_buf_append_byte(&mark, '}');
    bh_assert(body.size > 2 && body.data[body.size - 1] == '}');
    const struct bh_str pieces[] = { { body.data, body.size - 1 }, bh_buf_peek(&mark) };
    return bh_buf_error(&mark) == 0 ? bh_respond_pieces(request, 200, "application/json", pieces, 2)
                                    : bh_respond_error(request, 500, "no memory for the answer");
}

int tome_cached_send(struct bh_request *const request, const struct tome_cached *const cached)
{
    struct tome_cached copy = *cached;
    const struct tome_question question = { .key = cached->key,
                                            .owner_id = tome_owner_of(request),
                                            .book_id = cached->book_id,
                                            .class = cached->class,
                                            .is_exact = cached->is_exact,
                                            .load = load,
                                            .argument = &copy };
    struct bh_cache_value *BH_CLEANUP(bh_cache_value_unref_cleanup) value = NULL;
    struct tome_origin origin;
    struct bh_error error;
    if (tome_cache_ask(tome_service_of(request)->cache, &question, &value, &origin, &error) != 0)
        return bh_respond_failure(request, &error);
    tome_cached_headers(request, &origin);
    const struct bh_str body = bh_cache_value_peek(value);
    return origin.is_degraded ? send_degraded(request, body, &origin)
                              : bh_respond_pieces(request, 200, "application/json", &body, 1);
}
