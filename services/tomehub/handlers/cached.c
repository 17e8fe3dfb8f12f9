#include "handlers/cached.h"

#include "service.h"

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

void tome_cached_header(struct bh_request *const request, const bool is_hit)
{
    if (tome_service_of(request)->cache != NULL)
        bh_response_header(request, "X-Cache", is_hit ? BH_STR("hit") : BH_STR("miss"));
}

int tome_cached_send(struct bh_request *const request, const struct tome_cached *const cached)
{
    struct tome_cached copy = *cached;
    const struct tome_question question = { .key = cached->key,
                                            .owner_id = tome_owner_of(request),
                                            .book_id = cached->book_id,
                                            .class = cached->class,
                                            .load = load,
                                            .argument = &copy };
    struct bh_cache_value *BH_CLEANUP(bh_cache_value_unref_cleanup) value = NULL;
    struct bh_error error;
    bool is_hit = false;
    if (tome_cache_ask(tome_service_of(request)->cache, &question, &value, &is_hit, &error) != 0)
        return bh_respond_failure(request, &error);
    tome_cached_header(request, is_hit);
    const struct bh_str body = bh_cache_value_peek(value);
    return bh_respond_pieces(request, 200, "application/json", &body, 1);
}
