/*
 * The answer provider: any server that speaks the OpenAI chat completions, streamed.
 *
 * One breaker for all loops; retries within a budget, and only before the first text. Time-outs: to
 * connect, to the first text, between texts, and in all. Fibers.
 */
#pragma once

#include "answers/prompt.h"
#include "bulkhead/base/error.h"
#include "settings.h"

struct tome_provider; /* opaque; shared by all loops */
struct tome_chat;     /* opaque: one answer being read, of one fiber */

/* With ANSWER_URL empty *ret_provider is NULL. `settings` is borrowed. BH_EINVAL: a setting.
 * BH_ENOMEM. */
int tome_provider_create(const struct tome_settings *settings, struct tome_provider **ret_provider,
                         struct bh_error *reterr) BH_MUST_CHECK;
/* All loops have ended. NULL is fine. */
void tome_provider_destroy(struct tome_provider *provider);

/* Asks, and waits for the first text. `prompt`: all but model and secret. BH_EUNAVAILABLE (also:
 * the breaker is open), BH_ETIMEDOUT, BH_ESYNTAX, BH_EACCESS; BH_ECANCELED: nobody wants it. */
int tome_chat_open(struct tome_provider *provider, const struct tome_prompt *prompt,
                   struct tome_chat **ret_chat, struct bh_error *reterr) BH_MUST_CHECK;

/* The next text; size 0 at the end. It lives until the next call. Errors as above. */
int tome_chat_read(struct tome_chat *chat, struct bh_str *ret_text,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* Whether the answer ended because it grew too long. */
bool tome_chat_was_cut(const struct tome_chat *chat);

/* At any time; what the provider still writes is not waited for. NULL is fine. */
void tome_chat_close(struct tome_chat *chat);
