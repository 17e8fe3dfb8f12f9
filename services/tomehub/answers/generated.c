#include "answers/generated.h"

#define PENDING_BYTES_MAX ((size_t)16 * 1024) /* a sentence longer than this has no end */

enum outcome { OUTCOME_GOING_ON, OUTCOME_UNSUPPORTED, OUTCOME_NOT_THERE };

struct attempt {
    struct tome_generating *generating;
    struct bh_buf pending; /* text that is not yet a whole sentence */
    struct tome_grounding grounding;
    struct bh_str sentence; /* being checked, in `pending` */
    size_t told;
    struct bh_str unsupported;
};

static int listener_failed(struct attempt *const attempt, const int result)
{
    if (result != 0)
        attempt->generating->is_provider_fault = false;
    return result;
}

static int check(void *const argument, struct tome_analyzer *const analyzer,
                 const atomic_bool *const canceled, struct bh_error *const reterr)
{
    struct attempt *const attempt = argument;
    const struct tome_generating *const generating = attempt->generating;
    (void)canceled;
    const int result = tome_grounding_check(analyzer, attempt->sentence, generating->question,
                                            generating->hits, generating->hit_count,
                                            generating->arena, &attempt->grounding);
    return result == 0 ? 0 : bh_error_set(reterr, result, "no memory to check an answer");
}

/* The sentence is whole: tells it if it is supported. */
static int take_sentence(struct attempt *const attempt, enum outcome *const ret_outcome,
                         struct bh_error *const reterr)
{
    struct tome_generating *const generating = attempt->generating;
    if (bh_str_starts_with(bh_str_trim(attempt->sentence), BH_STR(TOME_PROMPT_MARKER))) {
        *ret_outcome = OUTCOME_NOT_THERE;
        return 0;
    }
    int result = tome_searcher_run(generating->searcher, true, check, attempt, reterr);
    if (result != 0)
        return listener_failed(attempt, result);
    if (!attempt->grounding.is_supported) {
        attempt->unsupported = bh_str_from(bh_arena_strdup(generating->arena, attempt->sentence));
        *ret_outcome = OUTCOME_UNSUPPORTED;
        return 0;
    }
    attempt->told++;
    result = generating->sentence(generating->argument, &attempt->grounding, reterr);
    return listener_failed(attempt, result);
}

static int take_sentences(struct attempt *const attempt, const bool is_all,
                          enum outcome *const ret_outcome, struct bh_error *const reterr)
{
    size_t size;
    int result = 0;
    while (result == 0 && *ret_outcome == OUTCOME_GOING_ON &&
           (size = tome_grounding_sentence_end(bh_buf_peek(&attempt->pending), is_all)) > 0) {
        attempt->sentence = (struct bh_str){ attempt->pending.data, size };
        result = take_sentence(attempt, ret_outcome, reterr);
        bh_buf_consume(&attempt->pending, size);
    }
    return result;
}

static int read_chat(struct attempt *const attempt, struct tome_chat *const chat,
                     enum outcome *const ret_outcome, struct bh_error *const reterr)
{
    int result = 0;
    while (result == 0 && *ret_outcome == OUTCOME_GOING_ON) {
        struct bh_str text;
        result = tome_chat_read(chat, &text, reterr);
        if (result != 0)
            return result;
        if (text.size == 0)
            break;
        bh_buf_append_str(&attempt->pending, text);
        if (bh_buf_error(&attempt->pending) != 0)
            return bh_error_set(reterr, BH_ELIMIT, "the answer provider's sentence has no end");
        result = take_sentences(attempt, false, ret_outcome, reterr);
    }
    /* Of an answer that was cut for its length, what is no whole sentence is left out. */
    if (result == 0 && *ret_outcome == OUTCOME_GOING_ON && !tome_chat_was_cut(chat))
        result = take_sentences(attempt, true, ret_outcome, reterr);
    return result;
}

static int attempt_once(struct attempt *const attempt, enum outcome *const ret_outcome,
                        struct bh_error *const reterr)
{
    struct tome_generating *const generating = attempt->generating;
    const struct tome_prompt prompt = { .question = generating->question,
                                        .hits = generating->hits,
                                        .hit_count = generating->hit_count,
                                        .unsupported = attempt->unsupported };
    struct tome_chat *chat = NULL;
    *ret_outcome = OUTCOME_GOING_ON;
    attempt->told = 0;
    bh_buf_init(&attempt->pending, PENDING_BYTES_MAX);
    int result = tome_chat_open(generating->provider, &prompt, &chat, reterr);
    if (result == 0)
        result = read_chat(attempt, chat, ret_outcome, reterr);
    tome_chat_close(chat);
    bh_buf_fini(&attempt->pending);
    if (result == 0 && *ret_outcome == OUTCOME_GOING_ON && attempt->told == 0)
        return bh_error_set(reterr, BH_ESYNTAX, "the answer provider answered with nothing");
    return result;
}

int tome_generated_make(struct tome_generating *const generating, struct bh_error *const reterr)
{
    struct attempt attempt = { .generating = generating };
    generating->attempts = 0;
    while (generating->attempts < TOME_GENERATED_ATTEMPTS_MAX) {
        enum outcome outcome;
        generating->attempts++;
        generating->is_provider_fault = true;
        const int result = attempt_once(&attempt, &outcome, reterr);
        if (result != 0 || outcome == OUTCOME_GOING_ON)
            return result;
        if (attempt.told > 0) {
            const int restarted = generating->restart(generating->argument, reterr);
            if (restarted != 0)
                return listener_failed(&attempt, restarted);
        }
        if (outcome == OUTCOME_NOT_THERE)
            break;
    }
    return bh_error_set(reterr, BH_ENOTFOUND, "the library does not say");
}
