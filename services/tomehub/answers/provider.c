/*
 * A chat is one try that came as far as its first text. What ends badly later is the breaker's
 * failure too, but is not asked again: its text may have been shown.
 */
#include "answers/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "answers/event_stream.h"
#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/client/client.h"
#include "bulkhead/overload/breaker.h"
#include "bulkhead/overload/retry_budget.h"
#include "overload.h"

#define BODY_BYTES_MAX ((size_t)512 * 1024)
#define EVENT_DEPTH_MAX 16
#define TEXT_BYTES_MAX ((size_t)64 * 1024) /* of an answer in all */
/* Answers are few and dear: fewer than of other dependencies tell how the provider is. */
#define JUDGED_CALLS_MIN 5
#define PROBES_MAX 3
#define RETRY_WAIT_US (200 * BH_MS_US)
#define RETRY_AFTER_MAX 2 /* seconds; who asks for more gets no retry */

struct tome_provider {
    const struct tome_settings *settings;
    struct bh_client_options client_options;
    struct bh_client *client;
    struct bh_breaker *breaker; /* NULL: BREAKERS_ENABLED is off */
    struct bh_retry_budget retries;
    char *url;
    char *authorization; /* "Authorization: Bearer …"; NULL: none */
};

struct tome_chat {
    struct tome_provider *provider;
    struct bh_transfer *transfer;
    struct bh_breaker_permit permit;
    uint64_t begun_us;
    struct tome_event_stream events;
    struct bh_str input; /* not yet parsed */
    json_t *event;       /* whose text was handed out */
    size_t text_bytes;
    bool has_left;   /* the breaker, or never entered one */
    bool has_finish; /* the reason was told; what follows is of no interest */
    bool has_ended, was_cut;
    struct bh_str first; /* read at the opening, not yet handed out */
    struct bh_buf body;
};

/* ---- The provider ---- */

static char *endpoint_of(const char *const base)
{
    static const char path[] = "/chat/completions";
    struct bh_str url = bh_str_from(base);
    char *result = NULL;
    while (url.size > 0 && url.data[url.size - 1] == '/')
        url.size--;
    const bool is_whole = bh_str_ends_with(url, BH_STR(path));
    return asprintf(&result, "%.*s%s", BH_STR_ARGS(url), is_whole ? "" : path) < 0 ? NULL : result;
}

static int check(const struct tome_settings *const settings, struct bh_error *const reterr)
{
    const struct bh_str url = bh_str_from(settings->answer_url);
    if (!bh_str_starts_with(url, BH_STR("http://")) && !bh_str_starts_with(url, BH_STR("https://")))
        return bh_error_set(reterr, BH_EINVAL,
                            "ANSWER_URL takes http://… or https://…, such as "
                            "http://127.0.0.1:11434/v1");
    for (const char *at = settings->answer_api_key; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            return bh_error_set(reterr, BH_EINVAL,
                                "ANSWER_API_KEY holds a character that no key has: take away "
                                "blanks and line ends");
    return 0;
}

static int make_breaker(struct tome_provider *const provider, struct bh_error *const reterr)
{
    const struct tome_settings *const settings = provider->settings;
    struct bh_breaker_options options;
    if (!settings->breakers_enabled)
        return 0;
    tome_overload_breaker_options(settings, &options);
    options.dependency = "answer_provider";
    options.operation = "answer";
    if (options.calls_minimum > JUDGED_CALLS_MIN)
        options.calls_minimum = JUDGED_CALLS_MIN;
    if (options.probes > PROBES_MAX)
        options.probes = PROBES_MAX;
    options.slow_us = settings->answer_timeout_us; /* long is what answers take */
    options.probe_timeout_us = 2 * settings->answer_timeout_us;
    return bh_breaker_create(&options, &provider->breaker, reterr);
}

static int fill(struct tome_provider *const provider, struct bh_error *const reterr)
{
    const struct tome_settings *const settings = provider->settings;
    bh_client_options_default(&provider->client_options);
    provider->client_options.connect_timeout_us = settings->answer_connect_timeout_us;
    /* A stream has been let in by its gate: it shall not wait here. */
    if (provider->client_options.connections_maximum < settings->max_concurrent_streams)
        provider->client_options.connections_maximum = (unsigned)settings->max_concurrent_streams;
    if (provider->client_options.transfers_maximum < settings->max_concurrent_streams)
        provider->client_options.transfers_maximum = (unsigned)settings->max_concurrent_streams;
    provider->client_options.proxy = settings->answer_proxy;
    provider->client_options.ca_file = settings->answer_ca_file;
    bh_retry_budget_init(&provider->retries, 20, 1, 10, bh_time_now_us());
    provider->url = endpoint_of(settings->answer_url);
    if (settings->answer_api_key[0] != '\0' &&
        asprintf(&provider->authorization, "Authorization: Bearer %s", settings->answer_api_key) <
            0)
        provider->authorization = NULL;
    if (provider->url == NULL ||
        (settings->answer_api_key[0] != '\0' && provider->authorization == NULL) ||
        bh_client_create(&provider->client_options, &provider->client) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the answer provider");
    return make_breaker(provider, reterr);
}

int tome_provider_create(const struct tome_settings *const settings,
                         struct tome_provider **const ret_provider, struct bh_error *const reterr)
{
    *ret_provider = NULL;
    if (settings->answer_url[0] == '\0')
        return 0;
    int result = check(settings, reterr);
    if (result != 0)
        return result;
    struct tome_provider *const provider = calloc(1, sizeof(*provider));
    if (provider == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the answer provider");
    provider->settings = settings;
    result = fill(provider, reterr);
    if (result != 0)
        tome_provider_destroy(provider);
    else
        *ret_provider = provider;
    return result;
}

void tome_provider_destroy(struct tome_provider *const provider)
{
    if (provider == NULL)
        return;
    bh_breaker_destroy(provider->breaker);
    bh_client_destroy(provider->client);
    if (provider->authorization != NULL)
        explicit_bzero(provider->authorization, strlen(provider->authorization));
    free(provider->authorization);
    free(provider->url);
    free(provider);
}

/* ---- Reading a chat ---- */

static int malformed(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ESYNTAX, "the answer provider's stream is malformed");
}

/* The text of {"choices": [{"delta": {"content": "…"}, "finish_reason": …}]}; empty if it has none.
 */
static int take_event(struct tome_chat *const chat, const struct bh_str data,
                      struct bh_str *const ret_text, struct bh_error *const reterr)
{
    *ret_text = BH_STR_NONE;
    if (bh_str_equal(bh_str_trim(data), BH_STR("[DONE]"))) {
        chat->has_ended = true;
        return 0;
    }
    json_decref(chat->event);
    chat->event = NULL;
    if (bh_json_parse(data, EVENT_DEPTH_MAX, &chat->event, NULL) != 0)
        return malformed(reterr);
    if (json_object_get(chat->event, "error") != NULL)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "the answer provider reports an error");
    const json_t *const choice = json_array_get(json_object_get(chat->event, "choices"), 0);
    const json_t *const content = json_object_get(json_object_get(choice, "delta"), "content");
    const char *const finish = json_string_value(json_object_get(choice, "finish_reason"));
    chat->has_finish = chat->has_finish || finish != NULL;
    chat->was_cut = chat->was_cut || (finish != NULL && strcmp(finish, "length") == 0);
    if (json_is_string(content))
        *ret_text = (struct bh_str){ json_string_value(content), json_string_length(content) };
    chat->text_bytes += ret_text->size;
    return chat->text_bytes > TEXT_BYTES_MAX
               ? bh_error_set(reterr, BH_ELIMIT, "the answer provider's answer has no end")
               : 0;
}

static int read_text(struct tome_chat *const chat, const uint64_t until_us,
                     struct bh_str *const ret_text, struct bh_error *const reterr)
{
    struct bh_str data;
    for (;;) {
        int result = 0;
        while (!chat->has_ended && chat->input.size > 0 &&
               (result = tome_event_stream_next(&chat->events, &chat->input, &data)) > 0) {
            result = take_event(chat, data, ret_text, reterr);
            if (result != 0 || ret_text->size > 0)
                return result;
        }
        if (result < 0)
            return malformed(reterr);
        if (chat->has_ended) {
            *ret_text = BH_STR_NONE;
            return 0;
        }
        result = bh_transfer_read(chat->transfer, until_us, &chat->input, reterr);
        if (chat->has_finish && result != BH_ECANCELED && (result != 0 || chat->input.size == 0))
            chat->has_ended = true;
        else if (result != 0)
            return result;
        else if (chat->input.size == 0)
            return bh_error_set(reterr, BH_EUNAVAILABLE,
                                "the answer provider's stream ended in the middle");
    }
}

static void leave_breaker(struct tome_chat *const chat, const int result)
{
    const uint64_t now_us = bh_time_now_us();
    if (chat->has_left)
        return;
    chat->has_left = true;
    bh_breaker_leave(chat->provider->breaker, chat->permit,
                     result == 0              ? BH_BREAKER_SUCCESS
                     : result == BH_ECANCELED ? BH_BREAKER_IGNORED
                                              : BH_BREAKER_FAILURE,
                     now_us - chat->begun_us, now_us);
}

static uint64_t earlier(const uint64_t a, const uint64_t b)
{
    return a < b ? a : b;
}

int tome_chat_read(struct tome_chat *const chat, struct bh_str *const ret_text,
                   struct bh_error *const reterr)
{
    const struct tome_settings *const settings = chat->provider->settings;
    const uint64_t until_us = earlier(bh_time_now_us() + settings->answer_idle_timeout_us,
                                      chat->begun_us + settings->answer_timeout_us);
    if (chat->first.size > 0) {
        *ret_text = chat->first;
        chat->first = BH_STR_NONE;
        return 0;
    }
    const int result = read_text(chat, until_us, ret_text, reterr);
    if (result != 0 || ret_text->size == 0)
        leave_breaker(chat, result);
    return result;
}

bool tome_chat_was_cut(const struct tome_chat *const chat)
{
    return chat->was_cut;
}

void tome_chat_close(struct tome_chat *const chat)
{
    if (chat == NULL)
        return;
    leave_breaker(chat, BH_ECANCELED);
    bh_transfer_close(chat->transfer);
    tome_event_stream_fini(&chat->events);
    json_decref(chat->event);
    bh_buf_fini(&chat->body);
    free(chat);
}

/* ---- Asking ---- */

/* A status that is not 200: the error, and how many seconds to wait before another try (-1: none).
 */
static int refused(const struct bh_transfer *const transfer, int64_t *const ret_retry,
                   struct bh_error *const reterr)
{
    const int status = bh_transfer_status(transfer);
    const struct bh_str after = bh_transfer_header(transfer, "Retry-After");
    int64_t seconds = 0;
    if (status == 429 || status >= 500)
        *ret_retry = after.size == 0                                             ? 0
                     : bh_str_to_int64(after, 0, RETRY_AFTER_MAX, &seconds) == 0 ? seconds
                                                                                 : -1;
    return bh_error_set(reterr, BH_EUNAVAILABLE, "the answer provider answered with status %d",
                        status);
}

static int ask(struct tome_chat *const chat, int64_t *const ret_retry,
               struct bh_error *const reterr)
{
    const struct tome_provider *const provider = chat->provider;
    const char *const headers[] = { "Content-Type: application/json", "Accept: text/event-stream",
                                    provider->authorization, NULL };
    const struct bh_client_request request = {
        .method = "POST",
        .url = provider->url,
        .headers = headers,
        .body = bh_buf_peek(&chat->body),
    };
    const uint64_t until_us = earlier(chat->begun_us +
                                          provider->settings->answer_first_byte_timeout_us,
                                      chat->begun_us + provider->settings->answer_timeout_us);
    int result = bh_client_open(provider->client, &request, until_us, &chat->transfer, reterr);
    *ret_retry = result == BH_EUNAVAILABLE ? 0 : -1;
    if (result == 0 && bh_transfer_status(chat->transfer) != 200)
        result = refused(chat->transfer, ret_retry, reterr);
    if (result == 0)
        result = read_text(chat, until_us, &chat->first, reterr);
    if (result == 0 && chat->first.size == 0)
        result = bh_error_set(reterr, BH_ESYNTAX, "the answer provider answered with nothing");
    return result;
}

static int chat_create(struct tome_provider *const provider, struct tome_prompt prompt,
                       struct tome_chat **const ret_chat, struct bh_error *const reterr)
{
    struct tome_chat *const chat = calloc(1, sizeof(*chat));
    if (chat == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a question");
    chat->provider = provider;
    chat->has_left = true; /* has not entered yet */
    tome_event_stream_init(&chat->events);
    bh_buf_init(&chat->body, BODY_BYTES_MAX);
    prompt.model = bh_str_from(provider->settings->answer_model);
    if (getrandom(&prompt.secret, sizeof(prompt.secret), 0) != (ssize_t)sizeof(prompt.secret))
        prompt.secret = bh_time_now_ns();
    tome_prompt_write(&prompt, &chat->body);
    if (bh_buf_error(&chat->body) != 0) {
        tome_chat_close(chat);
        return bh_error_set(reterr, BH_ELIMIT, "the question is too long for the provider");
    }
    *ret_chat = chat;
    return 0;
}

static int try_once(struct tome_provider *const provider, const struct tome_prompt *const prompt,
                    struct tome_chat **const ret_chat, int64_t *const ret_retry,
                    struct bh_error *const reterr)
{
    struct tome_chat *chat = NULL;
    *ret_retry = -1;
    int result = chat_create(provider, *prompt, &chat, reterr);
    if (result != 0)
        return result;
    chat->begun_us = bh_time_now_us();
    if (provider->breaker != NULL) {
        result = bh_breaker_enter(provider->breaker, chat->begun_us, &chat->permit, reterr);
        chat->has_left = result != 0;
    }
    if (result == 0)
        result = ask(chat, ret_retry, reterr);
    if (result != 0) {
        leave_breaker(chat, result);
        tome_chat_close(chat);
        return result;
    }
    *ret_chat = chat;
    return 0;
}

int tome_chat_open(struct tome_provider *const provider, const struct tome_prompt *const prompt,
                   struct tome_chat **const ret_chat, struct bh_error *const reterr)
{
    int64_t retry_s = -1;
    bh_retry_budget_tried(&provider->retries);
    int result = try_once(provider, prompt, ret_chat, &retry_s, reterr);
    if (result == 0 || retry_s < 0 || !bh_retry_budget_take(&provider->retries, bh_time_now_us()))
        return result;
    const int slept = bh_fiber_sleep(RETRY_WAIT_US + (uint64_t)retry_s * BH_SECOND_US);
    if (slept != 0)
        return bh_error_set(reterr, slept, "%s", bh_error_text(slept));
    return try_once(provider, prompt, ret_chat, &retry_s, reterr);
}
